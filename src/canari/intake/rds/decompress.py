"""Undoing the compression of a file of R, with a bound on what comes out."""

import bz2
import lzma
import zlib
from typing import Protocol

from canari.errors import IntakeError

_STEP = 1 << 18  # bytes fed, and at most produced, at a time
_XZ_MEMORY = 80 << 20  # xz's strongest setting, and R's, needs 65 MiB
_MOST_STREAMS = 10_000  # pbzip2 makes one of each 900 kB


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor in the manner of the other two: it keeps the input that it has not used yet."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _decompressor(start: bytes) -> tuple[str, _Decompressor] | None:
    """What undoes the compression that begins with these bytes, if it is one."""
    if start.startswith(b"\x1f\x8b"):
        return "gzip", _Gzip()
    if start.startswith(b"BZh"):
        return "bzip2", bz2.BZ2Decompressor()
    if start.startswith(b"\xfd7zXZ\x00"):
        return "xz", lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        raise IntakeError('the file is compressed with zstd, which is not supported: write it with saveRDS(compress = "gzip")')
    return None


def decompress(data: bytes, limit: int) -> bytes | bytearray:
    """Return the content of a gzip, bzip2 or xz file, or `data` itself where it is none of these.

    A file of several such streams is read as R reads it, one after the other. Beside the content this takes at most as much
    memory as the content. Raises `IntakeError` where the file is damaged, cut off or followed by other bytes, or holds more
    than `limit` bytes.
    """
    found = _decompressor(data[:6])
    if found is None:
        return data
    content = bytearray()
    start = streams = 0
    while found is not None:
        name, stream = found
        streams += 1
        if streams > _MOST_STREAMS:
            raise IntakeError(f"the file is made of more than {_MOST_STREAMS} {name} streams, so it was not read further")
        start = _append(content, data, start, name, stream, limit)
        if start == len(data):
            return content
        found = _decompressor(data[start : start + 6])
    raise IntakeError(f"the file has {len(data) - start} bytes after the end of its {name} compression")


def _append(content: bytearray, data: bytes, start: int, name: str, stream: _Decompressor, limit: int) -> int:
    """Add what one stream holds, and return where in `data` it ends."""
    fed = start
    while not stream.eof:
        step = data[fed : fed + _STEP] if stream.needs_input else b""
        fed += len(step)
        try:
            part = stream.decompress(step, _STEP)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise IntakeError(f"the file is damaged: its {name} compression fails before byte {fed} ({error})") from None
        if not part and fed == len(data) and not stream.eof:
            raise IntakeError(f"the file is cut off: its {name} compression does not end within its {len(data)} bytes")
        if len(content) + len(part) > limit:
            raise IntakeError(f"the {len(data)} bytes of the file decompress to more than {limit}, so it was not read further")
        content += part
    return fed - len(stream.unused_data)
