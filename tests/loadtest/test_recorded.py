"""Recorded requests: every way of writing them, and what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import InputError
from canari.loadtest.recorded import Recorded, fitting, read_recorded
from canari.signature import Input

INPUTS = (
    Input(name="age", kind="number", missing=True),
    Input(name="visits", kind="integer"),
    Input(name="smoker", kind="boolean"),
    Input(name="exercise", kind="category", levels=("none", "some")),
)
ROW: dict[str, Any] = {"age": 30.5, "visits": 2, "smoker": True, "exercise": "some"}
OTHER: dict[str, Any] = {"age": None, "visits": 0, "smoker": False, "exercise": "none"}
COLUMNS = {name: [ROW[name], OTHER[name]] for name in ROW}
TENSORS = [
    {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [[a], [b]] if name == "age" else [a, b]}
    for name, (a, b) in COLUMNS.items()
]


def read(folder: Path, *lines: Any, skip: bool = False) -> Recorded:
    path = folder / "recorded.ndjson"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return read_recorded(path, INPUTS, skip_unfit=skip)


@pytest.mark.parametrize(
    "line",
    [{"rows": [ROW, OTHER]}, {"rows": COLUMNS}, {"inputs": COLUMNS}, {"inputs": TENSORS}, [ROW, OTHER], COLUMNS,
     {"rows": [{**ROW, "extra": [1]}, OTHER], "prediction": 0.5}],
)  # fmt: skip
def test_two_rows_however_they_are_written(tmp_path: Path, line: Any) -> None:
    assert read(tmp_path, line).requests == [[ROW, OTHER]]


@pytest.mark.parametrize("line", [ROW, {"row": ROW}, {"inputs": ROW}, {**ROW, "visits": 2.0}, "\ufeff" + json.dumps(ROW)])
def test_one_row_however_it_is_written(tmp_path: Path, line: Any) -> None:
    found = read(tmp_path, "", line, "  ")
    assert found.requests == [[ROW]]
    assert isinstance(found.requests[0][0]["visits"], int)
    assert found.seconds is None


def test_one_tensor_of_all_columns() -> None:
    inputs = (Input(name="a", kind="number"), Input(name="b", kind="number"))
    said = [{"name": "input-0", "shape": [2, 2], "datatype": "FP64", "data": [[1.0, 2.0], [3.0, 4.0]]}]
    assert fitting(said, inputs) == [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]
    with pytest.raises(InputError, match="2 columns, came 3"):
        fitting([{**said[0], "data": [1.0, 2.0, 3.0]}], inputs)


def test_times_are_distances_from_the_first_in_order(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"time": "2026-01-31T12:00:02+00:00", "row": OTHER},
        {"time": "2026-01-31T13:00:00.5+01:00", "row": ROW},
        {"time": "2026-01-31T12:00:04", "rows": [ROW, ROW]},
    )
    assert found.seconds == pytest.approx([0, 1.5, 3.5])
    assert found.requests == [[ROW], [OTHER], [ROW, ROW]]
    assert read(tmp_path, {"time": 5, "row": ROW}, {"time": 5.25, **ROW}).seconds == [0, 0.25]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"row": {**ROW, "age": "old"}}, "line 2, column 'age': expected a number or a missing value, came 'old'"),
        ({"rows": [ROW, {**ROW, "visits": 1.5}]}, "line 2, row 1, column 'visits': expected a whole number, came 1.5"),
        ({"row": {**ROW, "exercise": "daily"}}, "line 2, column 'exercise': expected one of 'none', 'some', came 'daily'"),
        ({"row": {**ROW, "smoker": None}}, "line 2, column 'smoker': expected true or false, came a missing value"),
        ({"row": {"age": 1}}, "line 2, column 'visits' is missing: expected a whole number"),
        ({"inputs": TENSORS[:2]}, "line 2, column 'smoker' is missing"),
        ({"inputs": {**COLUMNS, "age": [1]}}, "line 2, column 'visits' has 2 values, column 'age' has 1"),
        ({"inputs": {**COLUMNS, "age": 1}}, "line 2, column 'age': expected a list"),
        ([], "line 2, expected at least one row"),
        ([[1]], "line 2, expected an object with one value a column, came a list"),
        (5, "line 2, expected an object"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_or_skipped_and_counted(tmp_path: Path, line: Any, says: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, ROW, line)
    assert says in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "recorded.ndjson"))
    with pytest.raises(InputError, match="2 of 3 requests do not fit"):
        read(tmp_path, ROW, line, line)
    skipped = read(tmp_path, ROW, line, OTHER, skip=True)
    assert skipped.requests == [[ROW], [OTHER]]
    assert skipped.skipped == 1
    assert says in (skipped.first_skipped or "")
    with pytest.raises(InputError, match="2 of 2 requests do not fit"):
        read(tmp_path, line, line, skip=True)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "has no requests"),
        ((ROW, "{"), "line 2: not JSON"),
        ((ROW, {"time": 1, "row": ROW}), "line 2: has a time, others have none"),
        (({"time": 1, "row": ROW}, ROW), "line 2: has no time, others have one"),
        (({"time": "noon", "row": ROW},), "line 1, time: expected seconds or a time .* came 'noon'"),
        (({"time": True, "row": ROW},), "line 1, time: .* came true"),
        (({"row": ROW, "rows": [ROW]},), "line 1: expected one of row, rows, inputs, came row and rows"),
    ],
)
def test_what_is_no_recording_is_always_refused(tmp_path: Path, lines: tuple[Any, ...], says: str, skip: bool) -> None:
    with pytest.raises(InputError, match=says):
        read(tmp_path, *lines, skip=skip)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_recorded(tmp_path / "absent", INPUTS, skip_unfit=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ROW, "row", "rows", "inputs", "time", "name", "data"]), inner, max_size=6)
    ),
    max_leaves=15,
)


@given(lines=st.lists(JSON, max_size=3))
def test_whatever_a_line_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, lines: list[Any]) -> None:
    try:
        found = read(tmp_path_factory.mktemp("recorded"), *lines, skip=True)
    except InputError:
        return
    assert all(set(row) == set(ROW) for request in found.requests for row in request)
