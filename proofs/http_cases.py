"""HTTP requests that are wrong in one way or another, each made from nothing but its number."""

import gzip
import io
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from canari.model import Model
from canari.signature import MISSING, Input
from proofs.mutations import MARKER, MARKER_NUMBER, changed_bytes, dumps, marked_value, wrong_rows, wrong_text
from proofs.servers import check_rows
from proofs.tensor_cases import infer_request, raw_element, wrong_infer_request

# What may come back: one refusal; one refusal or success; refusals only, until the connection is closed; the same or successes;
# what one can get on a port that speaks another protocol.
Expected: TypeAlias = Literal["refusal", "answer", "refusals", "answers", "whatever"]

_JSON = b"application/json"
_NDJSON = b"application/x-ndjson"
_ARROW = b"application/vnd.apache.arrow.stream"
_ARROW_FILE = b"application/vnd.apache.arrow.file"
_PARQUET = b"application/vnd.apache.parquet"

_TOO_LARGE = 8 * 2**20 + 1
_TOO_MANY_ROWS = 10_001


class HttpCase(NamedTuple):
    """One request, or what is to be taken for one."""

    what: str
    raw: bytes
    expected: Expected = "refusal"
    slow: bool = False  # the server waits for more that does not come
    to_grpc: bool = False  # goes to the port of gRPC


class HttpCases:
    """The requests for one model."""

    def __init__(self, model: Model, seed: int) -> None:
        self._signature = model.signature
        self._seed = seed
        self._rows = check_rows(model)
        self._infer = f"/v2/models/{model.signature.name}/infer".encode()
        self._tables = _Tables(model.signature.inputs, self._rows)
        self._doors: Sequence[Callable[[Random, str], HttpCase]] = (
            *(self._records,) * 4,
            *(self._columns,) * 2,
            *(self._lines,) * 2,
            *(self._table,) * 3,
            *(self._tensors,) * 5,
            *(self._raw_tensors,) * 4,
            *(self._text,) * 3,
            *(self._headers,) * 4,
            *(self._framing,) * 3,
        )

    def __getitem__(self, number: int) -> HttpCase:
        """The request of this number: the same each time."""
        rng = Random(f"{self._seed} {number}")
        return rng.choice(self._doors)(rng, MARKER % number)

    # The doors, each with a body that is wrong

    def _records(self, rng: Random, marker: str) -> HttpCase:
        what, rows = wrong_rows(rng, self._some(rng, rng.choice((1, 1, 3))), self._signature.inputs, marker)
        content: Any = rows if rng.random() < 0.6 else {"rows": rows}
        if rng.random() < 0.03:
            what, content = rng.choice(
                [
                    ("no rows", []),
                    ("no rows", {"rows": []}),
                    ("rows and columns", {"rows": rows, "columns": {}}),
                    ("a text for rows", {"rows": marker}),
                    ("too many rows", [{}] * _TOO_MANY_ROWS),
                    ("a number", MARKER_NUMBER),
                ]
            )
        return _post(rng, marker, b"/predict", _JSON, dumps(content), f"records: {what}")

    def _columns(self, rng: Random, marker: str) -> HttpCase:
        inputs = self._signature.inputs
        rows = self._some(rng, rng.choice((1, 2, 5)))
        columns: dict[str, Any] = {column.name: [row[column.name] for row in rows] for column in inputs}
        name = rng.choice(inputs).name
        match rng.randrange(5):
            case 0:
                what, _ = "a column is missing", columns.pop(name)
            case 1:
                what = "a column of another length"
                columns[name] = columns[name] * 2 if len(inputs) > 1 else []
            case 2:
                what = "a column that is no array"
                columns[name] = rng.choice([marker, MARKER_NUMBER, {marker: 1}, None])
            case 3:
                what = "a wrong value"
                columns[name][-1] = [marker]
            case _:
                what = "no rows"
                columns = {key: [] for key in columns}
        content = {"columns": columns} if rng.random() < 0.5 else columns
        return _post(rng, marker, b"/predict", _JSON, dumps(content), f"columns: {what}")

    def _lines(self, rng: Random, marker: str) -> HttpCase:
        if rng.random() < 0.3:
            body = b"\n".join(map(dumps, self._some(rng, 3)))
            what, body = changed_bytes(rng, body)
            return _post(rng, marker, b"/predict", _NDJSON, body, f"NDJSON: {what}", "answer")
        what, rows = wrong_rows(rng, self._some(rng, 3), self._signature.inputs, marker)
        return _post(rng, marker, b"/predict", _NDJSON, b"\n".join(map(dumps, rows)), f"NDJSON: {what}")

    def _table(self, rng: Random, marker: str) -> HttpCase:
        content_type, what, body, right = self._tables.choose(rng)
        if not right and rng.random() < 0.7:
            return _post(rng, marker, b"/predict", content_type, body, what)
        changed, body = changed_bytes(rng, body)
        return _post(rng, marker, b"/predict", content_type, body, f"{what}, {changed}", "answer")

    def _tensors(self, rng: Random, marker: str) -> HttpCase:
        what, request = wrong_infer_request(rng, self._signature, self._some(rng, 1)[0], marker)
        if rng.random() < 0.3:
            request.setdefault("id", marker)
        return _post(rng, marker, self._infer, _JSON, dumps(request), f"tensors: {what}")

    def _raw_tensors(self, rng: Random, marker: str) -> HttpCase:
        row = self._some(rng, 1)[0]
        inputs = self._signature.inputs
        request = infer_request(rng, self._signature, row)
        values = [row[column.name] for column in inputs]
        for tensor, value in zip(request["inputs"], values, strict=True):
            if value is None:
                tensor["datatype"] = {"INT64": "FP64", "INT32": "FP64"}.get(tensor["datatype"], tensor["datatype"])
        raws = [raw_element(c, t["datatype"], v) for c, t, v in zip(inputs, request["inputs"], values, strict=True)]
        for tensor, raw in zip(request["inputs"], raws, strict=True):
            del tensor["data"]
            tensor["parameters"] = {"binary_data_size": len(raw)}
        tensor, raw = request["inputs"][-1], b"".join(raws)
        text, announced, expected = b"", None, "refusal"
        match rng.randrange(9):
            case 0:
                what, raw = "raw bytes cut", raw[: rng.randrange(len(raw))]
            case 1:
                what, raw = "more raw bytes", raw + rng.randbytes(rng.randrange(1, 50)) + marker.encode()
            case 2:
                what = "another size"
                tensor["parameters"] = {"binary_data_size": rng.choice([-1, 0, 2**63, 2**80, 3, "8", 1.5, True, None, marker])}
            case 3:
                what = "raw bytes and data"
                tensor["data"] = [values[-1]]
            case 4:
                what = "a wrong length of the JSON"
                announced = rng.choice([b"-1", b"+5", b"1e2", b"99999999", b"9" * 400, b"", marker.encode(), b"0x10"])
            case 5:
                what = "the JSON cut"
                announced = b"%d" % rng.randrange(2, len(dumps(request)) - 1)
            case 6:
                what, raw, expected = "other raw bytes", rng.randbytes(len(raw)), "answer"
            case 7:
                what, tensor["datatype"] = "an unknown datatype", rng.choice([marker, "BF16", "FP128", ""])
            case _:
                text, expected = dumps(request), "answer"
                what, text = changed_bytes(rng, text)
        text = text or dumps(request)
        length = b"%d" % len(text) if announced is None else announced
        headers = [(b"inference-header-content-length", length)]
        content_type = rng.choice([_JSON, b"application/octet-stream"])
        return _post(rng, marker, self._infer, content_type, text + raw, f"raw tensors: {what}", expected, headers)

    # Any door, with something else that is wrong

    def _text(self, rng: Random, marker: str) -> HttpCase:
        path, body = self._valid(rng)
        if rng.random() < 0.4:
            what, body = changed_bytes(rng, body)
            return _post(rng, marker, path, _JSON, body, f"text: {what}", "answer")
        what, body = wrong_text(rng, body, marker)
        return _post(rng, marker, path, _JSON, body, f"text: {what}")

    def _headers(self, rng: Random, marker: str) -> HttpCase:
        path, body = self._valid(rng)
        mark = marker.encode()
        version = self._signature.version.encode()
        name = self._signature.name.encode()

        def post(what: str, expected: Expected = "refusal", to: bytes = path, kind: bytes = _JSON, **more: bytes) -> HttpCase:
            headers = [(key.replace("_", "-").encode(), value) for key, value in more.items()]
            return _post(rng, marker, to, kind, body, what, expected, headers)

        def other_method() -> HttpCase:
            method = rng.choice([b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND"])
            return HttpCase("another method", _request(method, path, [(b"authorization", mark)], body))

        def get_with_post() -> HttpCase:
            to = rng.choice(
                [b"/signature", b"/metrics", b"/readyz", b"/livez", b"/v2", b"/v2/health/live", b"/v2/models/" + name]
            )
            return post("POST to what is read", to=to)

        def unknown_path() -> HttpCase:
            unknown = [
                b"/v2/models/" + mark,
                b"/v2/models/" + name + b"/versions/" + mark + b"/infer",
                b"/v2/models/" + name + b"/versions/" + version + b"0/infer",
                b"/v2/models/" + name + b"/" + mark,
                b"/v2/models/" + name + b"%00/infer",
                b"/v2/repository/index?" + mark,
                b"/predict/" + mark,
                b"/predict/../" + mark,
                b"/%ff%fe" + mark,
                b"//predict" + mark,
                b"/" + quote(rng.randbytes(30)).encode() + mark,
                b"/" + mark * 500,
                b"*",
                b"http://" + mark + b"/" + mark,
            ]
            return post("an unknown path", to=rng.choice(unknown))

        def compressed() -> HttpCase:
            return _post(
                rng, marker, path, _JSON, _BOMB if rng.random() < 0.02 else gzip.compress(body, 1, mtime=0), "gzip", "refusal",
                [(b"content-encoding", rng.choice([b"gzip", b"GZIP", b"deflate", b"br", b"zstd", mark, b"gzip, gzip"]))],
            )  # fmt: skip

        other_types = [
            b"text/plain",
            b"text/csv",
            b"application/xml",
            mark,
            b"multipart/form-data; boundary=" + mark,
            b"json",
            b"\xff",
        ]
        makers: list[Callable[[], HttpCase]] = [
            other_method,
            get_with_post,
            unknown_path,
            unknown_path,
            compressed,
            lambda: post("another content type", kind=rng.choice(other_types)),
            lambda: post("another format's content type", kind=rng.choice([_ARROW, _ARROW_FILE, _PARQUET])),
            lambda: post("an odd Accept", "answer", accept=rng.choice([mark, b"text/html", b"*/*;q=2", b",,;", b"\xff\xfe"])),
            lambda: post("a query", "answer", to=path + b"?" + mark + b"=%zz&&=" + mark),
            lambda: post("an odd charset", "answer", kind=_JSON + b"; charset=" + mark),
            lambda: post("a bad request id", "answer", x_request_id=rng.choice([b"my " + mark, mark * 30, b"\xe9" + mark, b""])),
            lambda: post("a bad traceparent", "answer", traceparent=rng.choice([mark, b"00-" + mark + b"-1-01", b"00-0-0-0"])),
            lambda: post("many headers", "answer", **{f"x_{mark.decode()}_{i}": mark for i in range(rng.randrange(200))}),
            lambda: HttpCase("headers too large", _head(b"POST", path, [(b"x-" + mark, mark * 6_000)]), "refusals"),
        ]
        return rng.choice(makers)()

    def _framing(self, rng: Random, marker: str) -> HttpCase:
        path, body = self._valid(rng)
        mark = marker.encode()
        length = b"%d" % len(body)
        hidden = b"GET /livez?" + mark + b" HTTP/1.1\r\nhost: h\r\n\r\n"
        line = b"POST " + path + b" HTTP/1.1\r\n"
        host, kind = b"host: h\r\n", b"content-type: application/json\r\n"
        sized = b"content-length: %b\r\n\r\n" % length
        signed = rng.choice([b"+", b"-"]) + length
        huge = b"9" * rng.choice([9, 19, 20, 400])
        version = rng.choice([b"3.7", b"9", b"1.", mark])
        upgrade = b"connection: upgrade\r\nupgrade: %b\r\n" % mark
        extended = b"\r\n%x;%b=%b\r\n%b\r\n0\r\n\r\n" % (len(body), mark, mark, body)
        chunked = b"transfer-encoding: chunked\r\n"
        whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

        def refused(what: str, *parts: bytes) -> HttpCase:
            return HttpCase(f"framing: {what}", b"".join(parts), "refusals")

        def taken(what: str, *parts: bytes, slow: bool = False) -> HttpCase:
            return HttpCase(f"framing: {what}", b"".join(parts), "answers", slow)

        if rng.random() < 0.02:
            return rng.choice(
                [
                    taken(
                        "the body ends early", line, host, kind, b"content-length: %d\r\n\r\n" % (len(body) + 9), body, slow=True
                    ),
                    taken("the last chunk is missing", line, host, chunked, b"\r\n%x\r\n%b\r\n" % (len(body), body), slow=True),
                    HttpCase("framing: HTTP/1.1 for gRPC", line + host + b"\r\n", "whatever", slow=True, to_grpc=True),
                    HttpCase("framing: random bytes for gRPC", rng.randbytes(99) + mark, "whatever", slow=True, to_grpc=True),
                    HttpCase(
                        "framing: broken HTTP/2",
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(200),
                        "whatever",
                        slow=True,
                        to_grpc=True,
                    ),
                ]
            )
        if rng.random() < 0.001:
            return refused(
                "a body that is too large", line, host, kind, b"content-length: %d\r\n\r\n" % _TOO_LARGE, b" " * _TOO_LARGE
            )
        makers: list[Callable[[], HttpCase]] = [
            lambda: refused("a length and chunks", line, host, kind, b"content-length: 5\r\n", chunked, b"\r\n0\r\n\r\n", hidden),
            lambda: refused("chunks and a length", line, host, kind, chunked, b"content-length: 6\r\n\r\n0\r\n\r\nG", hidden),
            lambda: refused("two lengths", line, host, b"content-length: 0\r\ncontent-length: %b\r\n\r\n" % length, hidden),
            lambda: refused("a list of lengths", line, host, b"content-length: %b, %b\r\n\r\n" % (length, length), body),
            lambda: refused("a signed length", line, host, b"content-length: %b\r\n\r\n" % signed, body),
            lambda: refused("a length in hexadecimal", line, host, b"content-length: 0x%x\r\n\r\n" % len(body), body),
            lambda: refused("a length that is a text", line, host, b"content-length: %b\r\n\r\n" % mark, body),
            lambda: refused("a huge length", line, host, b"content-length: %b\r\n\r\n" % huge, body),
            lambda: refused("an unknown transfer coding", line, host, b"transfer-encoding: %b\r\n\r\n" % mark, whole),
            lambda: refused("chunked is not last", line, host, b"transfer-encoding: chunked, gzip\r\n\r\n", whole),
            lambda: refused("an odd chunked", line, host, b"transfer-encoding: xchunked\r\n\r\n", whole),
            lambda: refused("a header before a space", line, host, b"content-length : %b\r\n\r\n" % length, body),
            lambda: refused("a header without a colon", line, host, mark, b"\r\n\r\n"),
            lambda: refused("a folded header", line, host, b"x-a: b\r\n transfer-encoding: chunked\r\n\r\n\x00", hidden),
            lambda: refused("a zero byte in a header", line, host, b"x-a: \x00%b\r\n\r\n" % mark),
            lambda: refused("a bad chunk size", line, host, kind, chunked, b"\r\n%b\r\n%b\r\n0\r\n\r\n" % (mark, body)),
            lambda: refused("a negative chunk size", line, host, kind, chunked, b"\r\n-5\r\n%b\r\n0\r\n\r\n" % body),
            lambda: refused("a huge chunk size", line, host, kind, chunked, b"\r\n%b\r\n%b" % (b"f" * 40, body)),
            lambda: refused("no Host", line, b"content-length: 0\r\n\r\n"),
            lambda: refused("two Hosts", line, host, b"host: %b\r\ncontent-length: 0\r\n\r\n" % mark),
            lambda: refused("another version", b"POST %b HTTP/%b\r\n" % (path, version), host, b"\r\n"),
            lambda: refused("a space in the path", b"POST /pre dict %b HTTP/1.1\r\n" % mark, host, b"\r\n"),
            lambda: refused("an unknown method", b"%b / HTTP/1.1\r\n" % mark, host, b"\r\n"),
            lambda: refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", rng.randbytes(120), b"\r\n\r\n"),
            lambda: refused("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", rng.randbytes(60)),
            lambda: refused("CONNECT", b"CONNECT %b:443 HTTP/1.1\r\n" % mark, host, b"\r\n", rng.randbytes(20)),
            lambda: taken("a body that ends in the next request", line, host, kind, sized, body, mark),
            lambda: taken("two at once", *(line + host + kind + b"content-length: %b\r\n\r\n%b" % (length, body) for _ in "12")),
            lambda: taken("an upgrade", line, host, kind, upgrade, sized, body),
            lambda: taken("an odd Expect", line, host, kind, b"expect: %b\r\ncontent-length: %b\r\n\r\n" % (mark, length), body),
            lambda: taken("bare line feeds", (line + host + kind + sized).replace(b"\r\n", b"\n"), body),
            lambda: taken("HTTP/1.0", b"POST %b HTTP/1.0\r\n" % path, kind, sized, body),
            lambda: taken("HTTP/0.9", b"GET /livez\r\n"),
            lambda: taken("the head is cut", (line + host + kind)[: rng.randrange(1, 60)]),
            lambda: taken("extensions of chunks", line, host, kind, chunked, extended),
            lambda: taken("changed bytes", changed_bytes(rng, line + host + kind + sized)[1], body),
        ]  # fmt: skip
        return rng.choice(makers)()

    def _valid(self, rng: Random) -> tuple[bytes, bytes]:
        """A path and a body of JSON that it takes, with numbers that are somebody's own."""
        row = self._some(rng, 1)[0]
        for column in self._signature.inputs:
            if column.kind in ("number", "integer") and rng.random() < 0.5:
                row[column.name] = marked_value(column)
        if rng.random() < 0.5:
            return b"/predict", dumps([row])
        return self._infer, dumps({"inputs": [
            {"name": c.name, "shape": [1, 1], "datatype": c.datatype, "data": [row[c.name]]} for c in self._signature.inputs
        ]})  # fmt: skip

    def _some(self, rng: Random, count: int) -> list[dict[str, Any]]:
        return [dict(rng.choice(self._rows)) for _ in range(count)]


class _Tables:
    """Arrow streams and files and Parquet files, right and wrong ones, made once."""

    def __init__(self, inputs: Sequence[Input], rows: list[dict[str, Any]]) -> None:
        arrays = {column.name: _array(column, [row[column.name] for row in rows[:4]]) for column in inputs}
        first, last = inputs[0].name, inputs[-1].name
        right = pa.table(arrays)
        mark = MARKER % 0
        wrong = {
            "a column is missing": right.drop_columns([last]),
            "a column has another name": right.rename_columns([mark if name == first else name for name in right.column_names]),
            "a column twice": pa.Table.from_arrays([*right.columns, right.column(0)], [*right.column_names, first]),
            "no rows": right.slice(0, 0),
            "no columns": pa.table({}),
            "lists": _with(right, first, pa.array([[1.0]] * 4)),
            "timestamps": _with(right, first, pa.array([MARKER_NUMBER] * 4, pa.timestamp("ms"))),
            "binary": _with(right, last, pa.array([mark.encode()] * 4)),
            "structs": _with(right, last, pa.array([{mark: mark}] * 4)),
            "infinite numbers or unknown levels": _with(right, last, _unfit(inputs[-1], mark)),
            "too many rows": pa.concat_tables([right] * (_TOO_MANY_ROWS // 4 + 1)).combine_chunks(),
        }
        self._all = [(kind, what, body, False) for what, table in wrong.items() for kind, body in _written(table)]
        self._all += [(kind, "a table", body, True) for kind, body in _written(right)] * 4
        self._all += [(_ARROW, "dictionaries", _stream(right.replace_schema_metadata({mark: mark}), "zstd"), True)] * 4
        self._all.append((_ARROW, "a bomb", _stream(pa.table({first: pa.array([0.0] * (16 * 2**20))}), "zstd"), False))

    def choose(self, rng: Random) -> tuple[bytes, str, bytes, bool]:
        """Content type, what it is, the body, and whether it is right."""
        kind, what, body, right = rng.choice(self._all)
        return kind, f"{kind.rpartition(b'.')[2].decode()}: {what}", body, right


_BOMB = gzip.compress(bytes(64 * 2**20), 9, mtime=0)


def _array(column: Input, values: list[Any]) -> pa.Array:
    types = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "category": pa.string()}
    return pa.array(values, types[column.kind])


def _unfit(column: Input, mark: str) -> pa.Array:
    if column.kind == "category":
        return pa.array([mark, mark, mark, MISSING])
    return pa.array([float("inf")] * 4)


def _with(table: pa.Table, name: str, array: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, array)


def _written(table: pa.Table) -> list[tuple[bytes, bytes]]:
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    file = pa.BufferOutputStream()
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return [(_ARROW, _stream(table)), (_ARROW_FILE, file.getvalue().to_pybytes()), (_PARQUET, parquet.getvalue())]


def _stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _post(
    rng: Random,
    marker: str,
    path: bytes,
    content_type: bytes,
    body: bytes,
    what: str,
    expected: Any = "refusal",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> HttpCase:
    secret = rng.choice([b"authorization", b"cookie", b"x-api-key", b"user-agent"])
    return HttpCase(
        what, _request(b"POST", path, [(b"content-type", content_type), (secret, marker.encode()), *headers], body), expected
    )


def _request(method: bytes, path: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    return _head(method, path, [*headers, (b"content-length", b"%d" % len(body))]) + body


def _head(method: bytes, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"%b %b HTTP/1.1\r\nhost: h\r\n%b\r\n" % (method, path, b"".join(b"%b: %b\r\n" % header for header in headers))
