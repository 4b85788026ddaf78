"""Undoing the compression of an `.rds` file, with a bound on what comes out."""

import bz2
import lzma
import zlib
from typing import Protocol

from canari.errors import IntakeError

_STEP = 1 << 18  # bytes fed, and at most produced, at a time
_XZ_MEMORY = 256 << 20  # R's strongest setting needs 65 MiB


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


def _decompressor(data: bytes) -> tuple[str, _Decompressor] | None:
    if data.startswith(b"\x1f\x8b"):
        return "gzip", _Gzip()
    if data.startswith(b"BZh"):
        return "bzip2", bz2.BZ2Decompressor()
    if data.startswith(b"\xfd7zXZ\x00"):
        return "xz", lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        raise IntakeError('the file is compressed with zstd, which is not supported: write it with saveRDS(compress = "gzip")')
    return None


def decompress(data: bytes, limit: int) -> bytes:
    """Return the content of a gzip, bzip2 or xz file, or `data` itself where it is none of these.

    Raises `IntakeError` where the file is damaged, cut off or followed by other bytes, or holds more than `limit` bytes.
    """
    found = _decompressor(data)
    if found is None:
        return data
    name, stream = found
    content = bytearray()
    fed = 0
    while not stream.eof:
        step = data[fed : fed + _STEP] if stream.needs_input else b""
        fed += len(step)
        try:
            part = stream.decompress(step, _STEP)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise IntakeError(f"the file is damaged: its {name} compression fails before byte {fed} ({error})") from None
        if not part and fed == len(data) and not stream.eof:
            raise IntakeError(f"the file is cut off: its {name} compression does not end within its {len(data)} bytes")
        content += part
        if len(content) > limit:
            raise IntakeError(f"the {len(data)} bytes of the file decompress to more than {limit}, so it was not read further")
    if trailing := len(data) - fed + len(stream.unused_data):
        raise IntakeError(f"the file has {trailing} bytes after the end of its {name} compression")
    return bytes(content)
