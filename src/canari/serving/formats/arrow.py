"""Apache Arrow's IPC stream and file: record batches in, record batches out.

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from collections.abc import Iterator
from struct import unpack_from

import pyarrow as pa

from canari.serving.formats.tabular import Tabular, check_expanded

STREAM = b"application/vnd.apache.arrow.stream"
FILE = b"application/vnd.apache.arrow.file"

_MAGIC = b"ARROW1\0\0"
_NOT_COMPRESSED = -1


class Arrow(Tabular):
    """`application/vnd.apache.arrow.stream` and `.file`. A file is read as the stream that it contains."""

    content_types: tuple[bytes, ...] = (STREAM, FILE)
    name = "an Arrow IPC stream or file"

    def read(self, body: bytes) -> pa.Table:
        """See `Tabular.read`."""
        stream = pa.py_buffer(body)
        if body.startswith(_MAGIC):
            stream = stream.slice(len(_MAGIC))
        schema = pa.ipc.read_schema(stream)
        positions = self.check_schema(schema)
        _check_messages(stream)
        options = pa.ipc.IpcReadOptions(included_fields=sorted(positions), use_threads=False)
        batches, rows = [], 0
        with pa.ipc.open_stream(stream, options=options) as reader:
            for batch in reader:
                if batch.num_rows:
                    batches.append(batch)
                    rows += batch.num_rows
                    self.check_rows(rows, len(batches))
            self.check_rows(rows, len(batches))
            return pa.Table.from_batches(batches, reader.schema)

    def write(self, table: pa.Table, content_type: bytes) -> bytes:
        """See `Tabular.write`."""
        sink = pa.BufferOutputStream()
        with (pa.ipc.new_file if content_type == FILE else pa.ipc.new_stream)(sink, table.schema) as writer:
            writer.write_table(table)
        written: bytes = sink.getvalue().to_pybytes()
        return written


def _check_messages(stream: pa.Buffer) -> None:
    """Look at how long the buffers of the record batches say they are, before anything is expanded.

    A compressed buffer begins with its length as int64, or with -1 where it is not compressed after all.
    """
    size = 0
    for message in pa.ipc.MessageReader.open_stream(stream):
        if message.type not in ("record batch", "dictionary"):
            continue
        for offset, length in _compressed_buffers(message.metadata.to_pybytes(), is_dictionary=message.type == "dictionary"):
            if length:
                (expanded,) = unpack_from("<q", message.body, offset)
                if expanded < _NOT_COMPRESSED:
                    raise ValueError("a buffer has a negative length")
                size += length if expanded == _NOT_COMPRESSED else expanded
                check_expanded(size)


# The places of fields in the tables of Message.fbs.
_MESSAGE_HEADER = 2
_DICTIONARY_BATCH_DATA = 1
_RECORD_BATCH_BUFFERS = 2
_RECORD_BATCH_COMPRESSION = 3


def _compressed_buffers(message: bytes, *, is_dictionary: bool) -> Iterator[tuple[int, int]]:
    """Offset and length in the message's body of each buffer, where they are compressed."""
    batch = _table(message, _indirect(message, 0), _MESSAGE_HEADER)
    if is_dictionary:
        batch = _table(message, batch, _DICTIONARY_BATCH_DATA)
    if _field(message, batch, _RECORD_BATCH_COMPRESSION) is None:
        return
    at = _table(message, batch, _RECORD_BATCH_BUFFERS)
    (count,) = unpack_from("<I", message, at)
    for index in range(count):
        yield unpack_from("<qq", message, at + 4 + 16 * index)


def _indirect(message: bytes, at: int) -> int:
    return at + int(unpack_from("<I", message, at)[0])


def _field(message: bytes, table: int, number: int) -> int | None:
    """Where a FlatBuffers table has a field; None where it has none."""
    vtable = table - unpack_from("<i", message, table)[0]
    if 4 + 2 * number >= unpack_from("<H", message, vtable)[0]:
        return None
    (offset,) = unpack_from("<H", message, vtable + 4 + 2 * number)
    return table + offset if offset else None


def _table(message: bytes, table: int, number: int) -> int:
    """Where the table, or the vector, is that a field refers to."""
    at = _field(message, table, number)
    if at is None:
        raise ValueError("a message has no record batch")
    return _indirect(message, at)
