"""Apache Parquet: row groups in, one row group out.

https://parquet.apache.org/docs/file-format/
"""

from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from canari.serving.formats.tabular import Tabular, check_expanded, is_text

_METADATA_BYTES = 2**20  # of a text in the file's metadata
_DEEPEST = 16  # structures in structures

# The types of Thrift's compact protocol.
_I32, _I64, _LIST, _STRUCTURE = 5, 6, 9, 12

# Number and type of the fields of parquet.thrift: of the file's metadata, a row group, a column chunk and its metadata,
_ROW_GROUPS = (4, _LIST)
_COLUMNS, _ROWS = (1, _LIST), (3, _I64)
_METADATA = (3, _STRUCTURE)
_PATH, _VALUES, _TOTAL_SIZE, _DATA_PAGE, _DICTIONARY_PAGE = (3, _LIST), (5, _I64), (7, _I64), (9, _I64), (11, _I64)
# and of a page's header, which has in it the header of a data page, a dictionary page or a data page v2.
_EXPANDED_SIZE, _STORED_SIZE = (2, _I32), (3, _I32)
_PAGE, _DICTIONARY, _PAGE_V2 = (5, _STRUCTURE), (7, _STRUCTURE), (8, _STRUCTURE)
_COUNT = (1, _I32)
_ENCODINGS = {_PAGE: (2, _I32), _DICTIONARY: (2, _I32), _PAGE_V2: (4, _I32)}

_Structure: TypeAlias = dict[tuple[int, int], Any]

# Each text says how much of the one before it repeats, so that there is no end to what a page expands to.
_DELTA_BYTE_ARRAY = 7


class Parquet(Tabular):
    """`application/vnd.apache.parquet`."""

    content_types: tuple[bytes, ...] = (b"application/vnd.apache.parquet",)
    name = "a Parquet file"

    def read(self, body: bytes) -> pa.Table:
        """See `Tabular.read`."""
        limits = {"thrift_string_size_limit": _METADATA_BYTES, "thrift_container_size_limit": _METADATA_BYTES}
        with pq.ParquetFile(pa.BufferReader(body), pre_buffer=False, **limits) as file:
            schema = file.schema_arrow
        self.check_schema(schema)
        self._check_pages(body)
        # As dictionaries, or one long text in many rows would be copied into each.
        texts = [name for name in self._names if is_text(schema.field(name).type)]
        with pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts, pre_buffer=False, **limits) as file:
            return file.read(columns=sorted(self._names), use_threads=False, use_pandas_metadata=False)

    def write(self, table: pa.Table, content_type: bytes) -> bytes:  # noqa: ARG002  there is one
        """See `Tabular.write`."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        written: bytes = sink.getvalue().to_pybytes()
        return written

    def _check_pages(self, body: bytes) -> None:
        """Look at how large the pages of the model's columns say they are, before anything is expanded.

        pyarrow's own view of the metadata ends the process where they are damaged.
        """
        length = int.from_bytes(body[-8:-4], "little")
        footer, _ = _Thrift(body).structure(len(body) - 8 - length)
        groups = footer[_ROW_GROUPS]
        rows = sum(group[_ROWS] for group in groups)
        self.check_rows(rows, len(groups))
        # pyarrow reads a column "age.x" along with "age".
        read = tuple(f"{name}.".encode() for name in self._names)
        size = 0
        for group in groups:
            for column in group[_COLUMNS]:
                chunk = column[_METADATA]
                if b".".join([*chunk[_PATH], b""]).startswith(read):
                    if not 0 <= chunk[_VALUES] == group[_ROWS]:
                        raise ValueError("a column has not one value a row")
                    size += _expanded_size(body, chunk, rows)
                    check_expanded(size)


def _expanded_size(body: bytes, chunk: _Structure, rows: int) -> int:
    """What the pages of a column expand to; raises `ValueError` where a header says what no writer would."""
    at = chunk[_DATA_PAGE]
    if chunk.get(_DICTIONARY_PAGE):
        at = min(at, chunk[_DICTIONARY_PAGE])
    end, size = at + chunk[_TOTAL_SIZE], 0
    if not 0 <= at <= end <= len(body):
        raise ValueError("a column lies outside of the file")
    while at < end:
        header, at = _Thrift(body).structure(at)
        expanded, stored = header[_EXPANDED_SIZE], header[_STORED_SIZE]
        if expanded < 0 or stored < 0:
            raise ValueError("a page has a negative size")
        for field, encoding in _ENCODINGS.items():
            page = header.get(field)
            if page is not None:
                if not 0 <= page[_COUNT] <= (expanded if field == _DICTIONARY else rows):
                    raise ValueError("a page holds more values than there are rows")
                if page[encoding] == _DELTA_BYTE_ARRAY:
                    raise ValueError("its texts are encoded as DELTA_BYTE_ARRAY: expected another encoding")
        size += expanded
        at += stored
    return size


class _Thrift:
    """Just enough of Thrift's compact protocol to read Parquet's metadata.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def structure(self, at: int, depth: int = 0) -> tuple[_Structure, int]:
        """The fields of a structure by number and type, and where it ends; raises `ValueError` or `IndexError`."""
        if at < 0 or depth > _DEEPEST:
            raise ValueError("its metadata are damaged")
        fields: _Structure = {}
        numbers: set[int] = set()
        number = 0
        while head := self._data[at]:
            at += 1
            if head >> 4:
                number += head >> 4
            else:
                number, at = self._integer(at)
            kind = head & 15
            # In a structure, true and false are types of their own.
            value, at = (kind == 1, at) if kind in (1, 2) else self._value(kind, at, depth)
            if number in numbers:
                raise ValueError("its metadata are damaged")
            numbers.add(number)
            fields[number, kind] = value
        return fields, at + 1

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        match kind:
            case 1 | 2 | 3:  # a byte
                return self._data[at], at + 1
            case 4 | 5 | 6:  # of 16, 32, 64 bits
                return self._integer(at)
            case 7:  # a double
                return None, at + 8
            case 8:  # bytes
                length, at = self._unsigned(at)
                return self._data[at : at + length], at + length
            case 9 | 10:  # a list or a set
                return self._list(at, depth)
            case 12:  # a structure
                return self.structure(at, depth + 1)
            case _:
                raise ValueError("its metadata are damaged")

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        head, at = self._data[at], at + 1
        length = head >> 4
        if length == 15:
            length, at = self._unsigned(at)
        values = []
        for _ in range(length):
            value, at = self._value(head & 15, at, depth + 1)
            values.append(value)
        return values, at

    def _integer(self, at: int) -> tuple[int, int]:
        zigzag, at = self._unsigned(at)
        return (zigzag >> 1) ^ -(zigzag & 1), at

    def _unsigned(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self._data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
            if shift > 63:
                raise ValueError("its metadata are damaged")
