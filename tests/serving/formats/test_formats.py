"""Every form of a request's rows: the same rows are the same doubles, and what is wrong is said, whatever the form."""

import io
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.model import Columns, Feeds, Model, Predictions
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.serving.formats import ARROW, CONTENT_TYPES, JSON, PARQUET, Formats
from canari.serving.http import HttpError
from canari.signature import Output, Signature
from tests.conftest import ROWS, make_classifier, make_toy
from tests.serving.conftest import ROW

NDJSON = b"application/x-ndjson"
STREAM, FILE = ARROW
RECORDS = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
TOY = make_toy()
FORMATS = Formats(TOY.signature, bento="toy_service:7")


def ipc(table: pa.Table, new: Callable[..., Any] = pa.ipc.new_stream, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink, **options)
    return sink.getvalue()


def pandas_file(write: Callable[[pd.DataFrame, io.BytesIO], None]) -> bytes:
    sink = io.BytesIO()
    write(pd.DataFrame(ROWS).astype({"exercise": "category"}), sink)
    return sink.getvalue()


TABLE = pa.table(ROWS)
FACTOR = TABLE.set_column(3, "exercise", TABLE["exercise"].dictionary_encode())
VIEW = TABLE.set_column(3, "exercise", TABLE["exercise"].cast(pa.string_view()))
FACTOR_OF_VIEWS = pa.table(
    {**ROWS, "exercise": pa.DictionaryArray.from_arrays([0, 1, 2, 0, 1], pa.array(["none", "some", "a lot"], pa.string_view()))}
)
MANY_TYPES = pa.table(
    {
        "ignored": pa.array([[1], [], None, [2], [3]]),
        "exercise": pa.array(ROWS["exercise"], pa.large_string()),
        "smoker": ROWS["smoker"],
        "visits": pa.array(ROWS["visits"], pa.uint8()),
        "age": pa.array([None if v is None else Decimal(v) for v in ROWS["age"]], pa.decimal128(9, 4)),
    }
)
FLOATS = pa.table({**ROWS, "age": pa.array([21.5, 80, 42.25, math.nan, 33], pa.float32()), "visits": [0.0, 12.0, 3.0, 4.0, 2.0]})
BATCHES = pa.concat_tables([FACTOR.slice(0, 2), FACTOR.slice(2, 0), FACTOR.slice(2)])

BODIES = [
    (None, json.dumps(RECORDS).encode()),
    (JSON, json.dumps(RECORDS, indent=2).encode()),
    (JSON, json.dumps({"rows": RECORDS}).encode()),
    (JSON, json.dumps({"columns": ROWS}).encode()),
    (JSON, json.dumps(ROWS).encode()),
    (JSON, json.dumps({"more": 1, **ROWS, "rows": [1]}).encode()),
    (JSON, json.dumps([{**row, "more": {"a": [1]}} for row in RECORDS]).encode()),
    (JSON, pd.DataFrame(ROWS).to_json(orient="records").encode()),
    (NDJSON, "\n".join(map(json.dumps, RECORDS)).encode()),
    (b"application/jsonl", "\r\n\r\n".join(map(json.dumps, RECORDS)).encode() + b"\n"),
    (b"application/jsonlines", pd.DataFrame(ROWS).to_json(orient="records", lines=True).encode()),
    (STREAM, ipc(TABLE)),
    (STREAM, ipc(FACTOR, compression="zstd")),
    (STREAM, ipc(VIEW)),
    (STREAM, ipc(FACTOR_OF_VIEWS)),
    (STREAM, ipc(MANY_TYPES, compression="lz4")),
    (STREAM, ipc(FLOATS)),
    (STREAM, ipc(BATCHES)),
    (FILE, ipc(FACTOR, pa.ipc.new_file)),
    (FILE, pandas_file(lambda frame, sink: frame.to_feather(sink))),
    (b"Application/vnd.apache.parquet; charset=binary", parquet(TABLE)),
    (*PARQUET, parquet(FACTOR, compression="zstd", data_page_version="2.0")),
    (*PARQUET, parquet(MANY_TYPES, compression="gzip")),
    (*PARQUET, parquet(FLOATS, use_dictionary=False, use_byte_stream_split=["age"])),
    (*PARQUET, parquet(BATCHES, row_group_size=2)),
    (*PARQUET, pandas_file(lambda frame, sink: frame.to_parquet(sink))),
]


def same(one: Feeds, other: Feeds) -> bool:
    return list(one) == list(other) and all(
        one[name].shape == other[name].shape
        and (
            one[name].tolist() == other[name].tolist()
            if one[name].dtype == object
            else one[name].tobytes() == other[name].tobytes()
        )
        for name in one
    )


@pytest.mark.parametrize(("content_type", "body"), BODIES)
def test_the_same_rows_in_each_form_are_the_same_doubles(content_type: bytes | None, body: bytes) -> None:
    feeds, rows = FORMATS.negotiate(content_type, None).reads.feeds(body)
    assert rows == len(RECORDS)
    expected = to_feeds(TOY.signature.inputs, ROWS)
    assert same({name: feeds[name] for name in expected}, expected)


doubles = st.floats(allow_nan=False, allow_infinity=False) | st.none()


@given(st.lists(st.tuples(doubles, st.integers(-(2**53), 2**53)), min_size=1, max_size=20))
def test_any_double_and_integer_survive_each_form(values: list[tuple[float | None, int]]) -> None:
    columns: dict[str, list[Any]] = {
        "age": [age for age, _ in values],
        "visits": [visits for _, visits in values],
        "smoker": [True] * len(values),
        "exercise": ["some"] * len(values),
    }
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    table = pa.table(columns, schema=TABLE.schema)
    expected = to_feeds(TOY.signature.inputs, columns)
    for content_type, body in [
        (JSON, json.dumps(records).encode()),
        (JSON, json.dumps(columns).encode()),
        (NDJSON, "\n".join(map(json.dumps, records)).encode()),
        (STREAM, ipc(table, compression="zstd")),
        (*PARQUET, parquet(table)),
    ]:
        feeds, _ = FORMATS.negotiate(content_type, None).reads.feeds(body)
        assert same({name: feeds[name] for name in expected}, expected)


def refusal(content_type: bytes, body: bytes, formats: Formats = FORMATS) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        formats.negotiate(content_type, None).reads.feeds(body)
    return caught.value.status, str(caught.value)


def table(**changed: Any) -> pa.Table:
    return pa.table({**ROWS, **changed})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (table().drop_columns("visits"), "column 'visits' is missing: expected a whole number in each row"),
        (
            table(age=["1", "2", "3", "4", "5"]),
            "column 'age': expected a number or a missing value, came values of type string",
        ),
        (table(age=[True] * 5), "column 'age': expected a number or a missing value, came values of type bool"),
        (table(smoker=[1] * 5), "column 'smoker': expected true or false, came values of type int64"),
        (table(exercise=[1] * 5), "column 'exercise': expected one of 'none', 'some', 'a lot', came values of type int64"),
        (table(visits=[0, 1, None, 3, 4]), "row 2, column 'visits': expected a whole number, came a missing value"),
        (table(visits=[0, 1, 2, 3.5, 4]), "row 3, column 'visits': expected a whole number, came 3.5"),
        (table(visits=[0, 1, 2, 3, math.nan]), "row 4, column 'visits': expected a whole number, came NaN"),
        (table(visits=[0, 2**53 + 1, 2, 3, 4]), "row 1, column 'visits': expected a whole number, came 9007199254740993, which"),
        (
            table(visits=[Decimal(2**53 + 1), *map(Decimal, range(4))]),
            "row 0, column 'visits': expected a whole number, came 9007199254740993, which is beyond 2^53",
        ),
        (table(age=[1, 2, math.inf, 3, 4.0]), "row 2, column 'age': expected a number or a missing value, came Inf"),
        (table(smoker=[True, None, True, True, True]), "row 1, column 'smoker': expected true or false, came a missing value"),
        (
            table(exercise=["none", "some", "much", "none", "some"]),
            "row 2, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'",
        ),
        (table(exercise=["none", None, "none", "none", "some"]), "row 1, column 'exercise': expected one of"),
        (table(exercise=["none", "\x1a", "none", "none", "some"]), "row 1, column 'exercise': expected one of"),
        (pa.table([*TABLE.columns, TABLE["age"]], [*TABLE.column_names, "age"]), "column 'age' is there 2 times"),
        (TABLE.slice(0, 0), "there are no rows: expected at least one"),
        (table(**{f"c{i}": [0] * 5 for i in range(1005)}), "there are 1009 columns: expected at most 1004"),
    ],
)
def test_what_does_not_fit_in_a_table_is_said(wrong: pa.Table, message: str) -> None:
    for content_type, body in [(STREAM, ipc(wrong)), (FILE, ipc(wrong, pa.ipc.new_file)), (*PARQUET, parquet(wrong))]:
        status, said = refusal(content_type, body)
        assert (status, said.startswith(message)) == (400, True), said


def test_a_level_that_no_row_uses_may_be_unknown() -> None:
    factor = pa.DictionaryArray.from_arrays([1, 1, 2, 2, 1], ["never", "some", "none"])
    feeds, _ = FORMATS.negotiate(STREAM, None).reads.feeds(ipc(table(exercise=factor)))
    assert feeds["exercise"].ravel().tolist() == ["some", "some", "none", "none", "some"]


def test_missing_categories() -> None:
    signature = msgspec.structs.replace(
        TOY.signature, inputs=tuple(msgspec.structs.replace(c, missing=True) for c in TOY.signature.inputs)
    )
    columns = {name: [*values[:4], None] for name, values in ROWS.items()}
    expected = to_feeds(signature.inputs, columns)
    formats = Formats(signature)
    nulls = pa.table({name: pa.array([None] * 5) if name == "smoker" else values for name, values in columns.items()})
    for content_type, body in [
        (JSON, json.dumps(columns).encode()),
        (STREAM, ipc(pa.table(columns))),
        (STREAM, ipc(pa.table({**columns, "exercise": pa.array(columns["exercise"]).dictionary_encode()}))),
        (*PARQUET, parquet(pa.table(columns))),
    ]:
        feeds, _ = formats.negotiate(content_type, None).reads.feeds(body)
        assert same({name: feeds[name] for name in expected}, expected)
    feeds, _ = formats.negotiate(STREAM, None).reads.feeds(ipc(nulls))
    assert np.isnan(feeds["smoker"]).all()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"age":1,"age":2,"visits":2,"smoker":true,"exercise":"some"}', "the key 'age' is there twice in one object"),
        ('[{"age":1,"visits":2,"smoker":true,"exercise":"some","\\u0061ge":3}]', "row 0: the key 'age' is there twice"),
        ('[{"age":1,"visits":2,"smoker":true,"exercise":"some","x":{"y":1,"y":1}}]', "row 0: the key 'y' is there twice"),
        ('{"columns":{"age":[1],"visits":[2],"smoker":[true],"exercise":["some"],"age":[1]}}', "the key 'age' is there twice"),
        ('{"columns":{"age":[1,2],"visits":[2],"smoker":[true],"exercise":["some"]}}', "column 'visits' has 1 values"),
        ('{"columns":{"age":[1],"visits":[2],"smoker":[true]}}', "column 'exercise' is missing"),
        ('{"columns":{"age":[1],"visits":2,"smoker":[true],"exercise":["some"]}}', "column 'visits': expected an array"),
        ('{"columns":{"age":["1"],"visits":[2],"smoker":[true],"exercise":["some"]}}', "row 0, column 'age': expected a number"),
        ('{"columns":{"age":[],"visits":[],"smoker":[],"exercise":[]}}', "there are no rows"),
        ('{"columns":{}}', "column 'age' is missing"),
        ('{"columns":{"age":[1]},"rows":[{"age":1}]}', "expected rows or columns, came both"),
        (json.dumps([{**ROW, **{f"c{i}": 0 for i in range(1005)}}]), "row 0: an object has 1009 keys: expected at most 1004"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"age":1,"visits":2,"smoker":true,"exercise":"some","x":' + "[" * 100_000, "the body is not JSON"),
    ],
)
def test_what_does_not_fit_in_json_is_said(body: str, message: str) -> None:
    status, said = refusal(JSON, body.encode())
    assert (status, message in said) == (400, True), said


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([ROW, {**ROW, "age": "x"}], "line 2, column 'age': expected a number or null, came 'x'"),
        ([ROW, None], "line 2: expected an object with one value a column, came null"),
        ([ROW, "", {**ROW, "visits": 1.5}], "line 3, column 'visits': expected a whole number, came 1.5"),
        ([ROW, '{"age": 1,'], "line 2: it is not JSON"),
        ([ROW, '{"age": 1, "age": 2}'], "line 2: the key 'age' is there twice"),
        ([f"{json.dumps(ROW)} {json.dumps(ROW)}"], "line 1: it is not JSON"),
        (["", " "], "there are no rows"),
    ],
)
def test_what_does_not_fit_in_a_line_is_said(lines: list[Any], message: str) -> None:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    status, said = refusal(NDJSON, body.encode())
    assert (status, said.startswith(message)) == (400, True), said


def test_too_many_rows_in_each_form() -> None:
    formats = Formats(TOY.signature, max_rows=4)
    message = "5 rows are too many: expected at most 4 at a time"
    for content_type, body in BODIES:
        status, said = refusal(content_type or JSON, body, formats)
        assert (status, said) == (413, message)


REPEATED = "x" * 2**20


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (STREAM, ipc(table(exercise=[str(i) + 15 * REPEATED for i in range(5)]), compression="zstd")),
        (FILE, ipc(table(exercise=[str(i) + 15 * REPEATED for i in range(5)]), pa.ipc.new_file, compression="zstd")),
        (*PARQUET, parquet(table(exercise=[str(i) + 15 * REPEATED for i in range(5)]), compression="zstd")),
    ],
)
def test_a_small_body_that_expands_to_a_large_one_is_refused(content_type: bytes, body: bytes) -> None:
    assert len(body) < 100_000
    assert refusal(content_type, body) == (413, "the columns expand to more than 64 MiB: send fewer rows at a time")


def test_views_of_the_same_long_text_are_refused_before_they_are_copied() -> None:
    n = 1000
    view = np.zeros(n, [("length", "<i4"), ("prefix", "S4"), ("buffer", "<i4"), ("offset", "<i4")])
    view["length"], view["prefix"] = len(REPEATED), b"xxxx"
    texts = pa.Array.from_buffers(pa.string_view(), n, [None, pa.py_buffer(view.tobytes()), pa.py_buffer(REPEATED.encode())])
    wrong = pa.table({"age": [1.0] * n, "visits": [1] * n, "smoker": [True] * n, "exercise": texts})
    assert refusal(STREAM, ipc(wrong))[0] == 413


def test_one_long_text_in_many_rows_is_read_once() -> None:
    text, n = REPEATED[: 2**18], 1000
    repeated = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([text]))
    rows = pa.table({**{name: [value] * n for name, value in ROW.items()}, "exercise": repeated})
    for content_type, body in [(STREAM, ipc(rows)), (*PARQUET, parquet(rows))]:
        status, said = refusal(content_type, body)
        assert (status, said.startswith("row 0, column 'exercise': expected one of")) == (400, True), said


def test_more_rows_than_there_are_bytes_is_refused() -> None:
    billion = pa.table({name: pa.nulls(10**9) for name in ROWS})
    assert refusal(STREAM, ipc(billion)) == (413, "1000000000 rows are too many: expected at most 10000 at a time")


def test_texts_that_repeat_each_other_are_refused() -> None:
    body = parquet(TABLE, use_dictionary=False, column_encoding={"exercise": "DELTA_BYTE_ARRAY"})
    status, said = refusal(*PARQUET, body)
    assert (status, "DELTA_BYTE_ARRAY" in said) == (400, True), said


def test_many_tiny_batches_are_refused() -> None:
    body = ipc(pa.Table.from_batches([TABLE.slice(0, 1).to_batches()[0]] * 300))
    assert refusal(STREAM, body) == (413, "the rows are in more than 256 parts: expected larger record batches or row groups")


hostile = st.builds(
    lambda body, changes, end: bytes(
        {at % len(body): value for at, value in changes}.get(i, byte) for i, byte in enumerate(body[: len(body) - end])
    ),
    st.sampled_from([body for _, body in BODIES]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from([0, 0, 0, 1, 9]),
)


@given(hostile | st.binary(max_size=60), st.sampled_from(CONTENT_TYPES))
def test_no_damaged_body_makes_a_format_fail(body: bytes, content_type: bytes) -> None:
    reads = FORMATS.negotiate(content_type, None).reads
    try:
        _, rows = reads.feeds(body)
    except HttpError as error:
        refused = error
    else:
        assert rows >= 1
        return
    assert refused.status in (400, 413)
    assert 0 < len(str(refused)) < 500


@pytest.mark.parametrize(("model", "columns"), [(TOY, ROWS), (make_classifier(), {"x": [5.0, 0.1, None]})])
def test_one_row_is_written_as_many_are(model: Model, columns: Columns) -> None:
    runtime = OnnxRuntime(model.signature, model.onnx)
    json_format = Formats(model.signature, bento="b:1").json
    for row in zip(*columns.values(), strict=True):
        body = json.dumps(dict(zip(columns, row, strict=True))).encode()
        values = json_format.one(body)
        assert values == row == json_format.one(b" [" + body + b"]\n")
        feeds, _ = json_format.feeds(body)
        assert json_format.encode_one(runtime.predict_row(values)) == json_format.encode(runtime.predict(feeds))


def some_signature(*outputs: Output) -> Signature:
    return msgspec.structs.replace(TOY.signature, outputs=outputs)


@pytest.mark.parametrize("value", [1e16, 1e308, -0.0, 5e-324, 0.1, math.nan, math.inf, -math.inf, 3.0])
def test_any_double_is_written_as_one_row_as_among_many(value: float) -> None:
    json_format = Formats(some_signature(Output(name='a "number"', kind="number"))).json
    one = json_format.encode_one([value])
    assert one == json_format.encode({'a "number"': np.array([[value]])})
    wide = Formats(
        some_signature(Output(name="p", kind="probability", labels=("a", "b")), Output(name="class", kind="class"))
    ).json
    both: Predictions = {"p": np.array([[value, 0.5]]), "class": np.array([[None]], object)}
    assert wide.encode_one([[value, 0.5], None]) == wide.encode(both)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({**ROW, "visits": 2.0}),
        json.dumps({**ROW, "age": "30"}),
        json.dumps({**ROW, "more": 1}),
        json.dumps([ROW, ROW]),
        json.dumps({"rows": [ROW]}),
        '{"age":1,"age":2,"visits":2,"smoker":true,"exercise":"some"}',
        "",
        "[]",
    ],
)
def test_what_is_not_plainly_one_row_is_left_to_the_slower_way(body: str) -> None:
    assert FORMATS.json.one(body.encode()) is None


def test_answers_say_who_answered_and_what() -> None:
    model = make_classifier()
    predictions = OnnxRuntime(model.signature, model.onnx).predict(to_feeds(model.signature.inputs, {"x": [5.0, None]}))
    formats = Formats(model.signature, bento="iris_service:3")
    answers = {c: formats.negotiate(c, None).writes.encode(predictions, c) for c in CONTENT_TYPES}
    answer = json.loads(answers[JSON])
    assert list(answer) == ["model", "version", "bento", "predictions"]
    records = answer["predictions"]
    assert records[1]["class"] is None
    assert [json.loads(line) for line in answers[NDJSON].splitlines()] == records
    for found in (
        pa.ipc.open_stream(answers[STREAM]).read_all(),
        pa.ipc.open_file(answers[FILE]).read_all(),
        pa.parquet.read_table(io.BytesIO(answers[PARQUET[0]])),
    ):
        assert found.to_pylist() == records
        assert {b"model": b"iris", b"version": b"1", b"bento": b"iris_service:3"}.items() <= found.schema.metadata.items()
    assert "bento" not in json.loads(Formats(model.signature).json.encode(predictions))


@pytest.mark.parametrize(
    ("content_type", "accept", "answer"),
    [
        (None, None, JSON),
        (JSON, b"*/*", JSON),
        (STREAM, b"*/*", STREAM),
        (b"Application/JSON; charset=utf-8", b"application/json", JSON),
        (b"application/jsonl", None, b"application/jsonl"),
        (STREAM, b"application/json", JSON),
        (JSON, b"text/html, application/*;q=0.5", JSON),
        (JSON, b"application/json;q=0.1, application/vnd.apache.parquet", PARQUET[0]),
        (JSON, b"application/json;q=0, */*", NDJSON),
        (FILE, b"application/json, text/xml, application/xml, */*", FILE),
    ],
)
def test_negotiation(content_type: bytes | None, accept: bytes | None, answer: bytes) -> None:
    chosen = FORMATS.negotiate(content_type, accept)
    assert chosen.content_type == answer
    assert answer in chosen.writes.content_types


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ((b"text/csv", None), 415, "Content-Type: expected application/json, "),
        ((JSON, b"text/csv"), 406, "Accept: expected application/json, "),
        ((JSON, b"*/*;q=0"), 406, "came '*/*;q=0'"),
        ((JSON, None, b"gzip"), 415, "a compressed body is not taken"),
    ],
)
def test_forms_that_there_are_not(headers: tuple[bytes | None, ...], status: int, message: str) -> None:
    with pytest.raises(HttpError) as caught:
        FORMATS.negotiate(*headers)
    assert (caught.value.status, message in str(caught.value)) == (status, True)
