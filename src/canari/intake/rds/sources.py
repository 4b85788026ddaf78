"""The primitives of R's serialization - integers, doubles, complex numbers, bytes - in its binary and its ASCII form."""

import re
import struct
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.rds.values import NA_INTEGER, NA_REAL


def damaged(position: int, expected: str, found: str) -> IntakeError:
    """The error of a file that does not hold what R would have written."""
    return IntakeError(f"the file is damaged: at byte {position} of its decompressed data expected {expected}, found {found}")


class BinarySource:
    """Big-endian (XDR, what saveRDS writes) or little-endian binary data."""

    def __init__(self, data: bytes | bytearray, position: int, *, big_endian: bool) -> None:
        self.position = position
        self._data = data
        self._order = ">" if big_endian else "<"
        self._integer = struct.Struct(self._order + "i")

    def _take(self, n: int, what: str) -> int:
        start = self.position
        if n < 0:
            raise damaged(start, what, f"a negative length ({n})")
        if start + n > len(self._data):
            raise damaged(start, what, f"the end of the data after {len(self._data) - start} bytes")
        self.position = start + n
        return start

    def integer(self) -> int:
        """One 32-bit integer."""
        start = self.position
        try:
            (value,) = self._integer.unpack_from(self._data, start)
        except struct.error:
            raise damaged(start, "an integer", f"the end of the data after {len(self._data) - start} bytes") from None
        self.position = start + 4
        return int(value)

    def _array(self, code: str, size: int, n: int, what: str) -> npt.NDArray[Any]:
        start = self._take(n * size, f"{n} {what}")
        stored = np.dtype(self._order + code)
        return np.frombuffer(self._data, stored, count=n, offset=start).astype(stored.newbyteorder("="))

    def integers(self, n: int) -> npt.NDArray[np.int32]:
        """`n` 32-bit integers."""
        return self._array("i4", 4, n, "integers")

    def doubles(self, n: int) -> npt.NDArray[np.float64]:
        """`n` doubles."""
        return self._array("f8", 8, n, "doubles")

    def complexes(self, n: int) -> npt.NDArray[np.complex128]:
        """`n` complex numbers."""
        return self._array("c16", 16, n, "complex numbers")

    def raw(self, n: int) -> bytes:
        """The `n` bytes of a raw vector."""
        start = self._take(n, f"{n} bytes")
        return bytes(self._data[start : start + n])

    def text(self, n: int) -> bytes:
        """The `n` bytes of a string, in whatever encoding."""
        return self.raw(n)

    def require(self, n: int, size: int = 4) -> None:
        """Check that `n` more values of at least `size` bytes can follow, before anything is allocated for them."""
        self.position = self._take(n * size, f"{n} values")

    def end(self) -> None:
        """Check that nothing follows."""
        if rest := len(self._data) - self.position:
            raise damaged(self.position, "the end of the file", f"{rest} more bytes")


_TOKEN = re.compile(rb"\s*(\S+)")
_INTEGER = re.compile(rb"-?\d{1,10}")
_DOUBLE = re.compile(rb"-?(\d+\.?\d*([eE][-+]?\d{1,4})?|0[xX][0-9a-fA-F]+(\.[0-9a-fA-F]*)?([pP][-+]?\d{1,5})?)")
_DOUBLES = {b"NA": NA_REAL, b"NaN": np.nan, b"Inf": np.inf, b"-Inf": -np.inf}
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"v": b"\v", b"b": b"\b", b"r": b"\r", b"f": b"\f", b"a": b"\a"}


def _unescaped(word: bytes) -> bytes:
    """A string without its escapes; in one buffer, for there may be millions."""
    text = bytearray()
    start = 0
    for match in _ESCAPE.finditer(word):
        code = match[1]
        text += word[start : match.start()]
        text += bytes([int(code, 8) & 255]) if code[0] in b"01234567" else _ESCAPED.get(code, code)
        start = match.end()
    return bytes(text + word[start:])


class AsciiSource:
    """What `saveRDS(ascii = TRUE)` writes: primitives as words between white space."""

    def __init__(self, data: bytes | bytearray, position: int) -> None:
        self.position = position
        self._data = data

    def _word(self, what: str) -> bytes:
        match = _TOKEN.match(self._data, self.position)
        if match is None:
            raise damaged(self.position, what, "the end of the data")
        self.position = match.end()
        return match[1]

    def _wrong(self, word: bytes, what: str) -> IntakeError:
        return damaged(self.position - len(word), what, ascii(word[:20].decode("latin-1")))

    def integer(self) -> int:
        """One 32-bit integer."""
        word = self._word("an integer")
        if word == b"NA":
            return NA_INTEGER
        value = int(word) if _INTEGER.fullmatch(word) else 2**31
        if not NA_INTEGER <= value < 2**31:
            raise self._wrong(word, "an integer")
        return value

    def _double(self) -> float:
        word = self._word("a double")
        if (special := _DOUBLES.get(word)) is not None:
            return special
        if len(word) > 64 or not _DOUBLE.fullmatch(word):
            raise self._wrong(word, "a double")
        text = word.decode("ascii")
        try:
            return float.fromhex(text) if "x" in text.lower() else float(text)
        except OverflowError:
            raise self._wrong(word, "a double") from None

    def integers(self, n: int) -> npt.NDArray[np.int32]:
        """`n` 32-bit integers."""
        self.require(n)
        return np.fromiter((self.integer() for _ in range(n)), np.int32, count=n)

    def doubles(self, n: int) -> npt.NDArray[np.float64]:
        """`n` doubles."""
        self.require(n)
        return np.fromiter((self._double() for _ in range(n)), np.float64, count=n)

    def complexes(self, n: int) -> npt.NDArray[np.complex128]:
        """`n` complex numbers."""
        return self.doubles(2 * n).view(np.complex128)

    def raw(self, n: int) -> bytes:
        """The `n` bytes of a raw vector."""
        self.require(n)
        return bytes(self._byte() for _ in range(n))

    def _byte(self) -> int:
        word = self._word("a byte")
        if not re.fullmatch(rb"[0-9a-fA-F]{2}", word):
            raise self._wrong(word, "a byte")
        return int(word, 16)

    def text(self, n: int) -> bytes:
        """The `n` bytes of a string, in whatever encoding."""
        if n == 0:
            return b""
        self.require(n // 2)
        word = self._word(f"a string of {n} bytes")
        text = _unescaped(word) if n <= len(word) <= 4 * n else word  # an escape is of 4 bytes at most
        if len(text) != n:
            raise self._wrong(word, f"a string of {n} bytes")
        return text

    def require(self, n: int, size: int = 1) -> None:  # noqa: ARG002  # every value takes a digit and a space at least
        """Check that `n` more values can follow, before anything is allocated for them."""
        if n < 0:
            raise damaged(self.position, "a length", f"a negative one ({n})")
        if 2 * n > len(self._data) - self.position + 1:
            raise damaged(self.position, f"{n} values", f"only {len(self._data) - self.position} bytes")

    def end(self) -> None:
        """Check that nothing follows."""
        if _TOKEN.match(self._data, self.position):
            raise damaged(self.position, "the end of the file", f"{len(self._data) - self.position} more bytes")


Source: TypeAlias = BinarySource | AsciiSource  # every method raises `IntakeError` where the data do not hold what it reads


def open_source(data: bytes | bytearray) -> tuple[Source, bool]:
    """The source for `data`, chosen by its first bytes, and whether it is a workspace (.RData) rather than one object.

    Raises `IntakeError` where it is neither.
    """
    workspace = data[:3] in (b"RDX", b"RDA", b"RDB")
    if workspace and data[3:5] not in (b"2\n", b"3\n"):
        raise IntakeError(
            f"this is an R workspace (.RData) that begins with {bytes(data[:5])!a}: those of versions 2 and 3 can be read, which "
            "begin with 'RDX2\\n' or 'RDX3\\n'"
        )
    start = 5 if workspace else 0
    match bytes(data[start : start + 2]):
        case b"X\n":
            return BinarySource(data, start + 2, big_endian=True), workspace
        case b"B\n":  # the writer's own byte order: the version that follows is a small number in one of the two
            return BinarySource(data, start + 2, big_endian=data[start + 2 : start + 4] == b"\0\0"), workspace
        case b"A\n":
            return AsciiSource(data, start + 2), workspace
    raise IntakeError(
        f"this is not an .rds or .RData file: its data begin with {bytes(data[:7]).decode('latin-1')!a}, "
        "where R's serialization has 'X\\n', 'B\\n' or 'A\\n'"
    )
