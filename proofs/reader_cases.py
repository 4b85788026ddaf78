"""How files of R go wrong: real ones, changed where the reader finds lengths, types, values, texts and whole objects."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Mapping
from random import Random
from typing import Any

from canari.intake.rds.decompress import decompress
from canari.intake.rds.reader import _Reader
from canari.intake.rds.sources import AsciiSource, BinarySource, open_source

_LARGEST = 64 << 20  # bytes of the content of a file that is changed
_INTEGERS = (-(2**31), -2, -1, 0, 1, 2, 3, 5, 255, 65536, 2**30, 2**31 - 1)
_FLAGS = (0x200, 0x400, 0x100, 0x1000, 0x4000, 0x8000, 0x2000)
_TYPES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 238, 239, 240, 243, 244, 247)
_CONSTANTS = (241, 242, 248, 249, 250, 251, 252, 253, 254, 255, 0x1FF, 0x2FF)
_DOUBLES = (0.0, -0.0, -1.0, 0.5, 1.0, 2.0, 3.0, 1e10, 2.0**31, 2.0**53, 1e308, -1e308, 5e-324, float("inf"), float("-inf"))
_NANS = (0x7FF00000000007A2, 0x7FF8000000000000, 0xFFF8000000000000)  # R's NA, and those that are computed


def _integers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def _symbol(name: bytes) -> bytes:
    return _integers(1, 0x40009, len(name)) + name


def _sequence(n: float) -> bytes:
    info = _integers(2) + _symbol(b"compact_intseq") + _integers(2) + _symbol(b"base") + _integers(2, 13, 1, 13, 254)
    return _integers(238) + info + _integers(14, 3) + struct.pack(">3d", n, 1.0, 1.0) + _integers(254)


# Objects that are put where others were.
_STRANGERS = (
    _integers(254),
    _integers(13, 0),
    _integers(14, 0),
    _integers(16, 0),
    _integers(19, 0),
    _integers(24, 0),
    _integers(10, 1, -(2**31)),
    _integers(13, 1, -(2**31)),
    _integers(13, 1, 2**31 - 1),
    _integers(16, 1, 9, -1),
    _integers(16, 1, 0x40009, 0),
    _integers(14, 1) + struct.pack(">d", 1e300),
    _integers(14, 1) + struct.pack(">Q", _NANS[0]),
    _integers(19, 1) * 3000 + _integers(254),
    _integers(6) * 600 + _symbol(b"f") + _integers(254) * 600,
    _integers(2, 254) * 50_000 + _integers(254),
    _integers(253),
    _integers(4, 0, 242, 254, 254, 254),
    _integers(5) + _integers(254) + _symbol(b"x"),
    _sequence(1e5),
    _sequence(2e9),
    _integers(0x20D, 4, 1, 2, 3, 4, 0x402) + _symbol(b"dim") + _integers(13, 2, -2, -2, 254),
    _integers(0x20D, 4, 1, 2, 3, 9, 0x402) + _symbol(b"levels") + _integers(16, 1, 0x40009, 1) + b"a" + _integers(254),
    _symbol(b"x"),
    _integers(25),
    _integers(-1 & 0x7FFFFFFF),
)


class _Recorder(BinarySource):
    """Remembers where what is."""

    def __init__(self, data: bytes | bytearray, position: int) -> None:
        super().__init__(data, position, big_endian=True)
        self.headers: list[int] = []  # of flags and lengths
        self.values: list[tuple[int, int, int]] = []  # of vectors: where, how many, bytes of each
        self.texts: list[tuple[int, int]] = []

    def integer(self) -> int:
        self.headers.append(self.position)
        return super().integer()

    def _array(self, code: str, size: int, n: int, what: str) -> Any:
        if n:
            self.values.append((self.position, n, size))
        return super()._array(code, size, n, what)

    def text(self, n: int) -> bytes:
        if n:
            self.texts.append((self.position, n))
        return super().text(n)


class _Mapper(_Reader):
    """Remembers where each object begins and ends."""

    def __init__(self, source: _Recorder) -> None:
        super().__init__(source, 1 << 40)
        self.objects: list[tuple[int, int]] = []

    def _object(self, flags: int) -> Any:
        start = self._source.position - 4
        found = yield from super()._object(flags)
        self.objects.append((start, self._source.position))
        return found

    def _plain(self, code: int, flags: int) -> Any:
        start = self._source.position - 4
        found = super()._plain(code, flags)
        if found is not None:
            self.objects.append((start, self._source.position))
        return found


class File:
    """A file's content, and where in it what is."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(decompress(data, _LARGEST))
        source, _ = open_source(self.data)
        self.is_binary = not isinstance(source, AsciiSource) and b"X\n" in self.data[:7]
        if self.is_binary:
            recorder = _Recorder(self.data, source.position)
            mapper = _Mapper(recorder)
            mapper.read()
            self.headers, self.values, self.texts, self.objects = (
                recorder.headers,
                recorder.values,
                recorder.texts,
                mapper.objects,
            )


class ReaderCases:
    """Cases by their numbers, made from real files and a seed."""

    def __init__(self, files: Mapping[str, bytes], seed: int) -> None:
        self._files = [(name, data, File(data)) for name, data in sorted(files.items())]
        self._binary = [file for _, _, file in self._files if file.is_binary]
        self._seed = seed

    def __getitem__(self, number: int) -> tuple[str, bytes]:
        """What was done, and the file."""
        rng = Random(f"{self._seed} {number}")
        _, original, file = rng.choice(self._files)
        if rng.random() < 0.04:
            what, data = _any_bytes(rng, original)
            return f"{what}, compressed", data
        what, content = self._changed(rng, file)
        if rng.random() < 0.15:
            content = _any_bytes(rng, content)[1]
        return what, _compressed(rng, content)

    def _changed(self, rng: Random, file: File) -> tuple[str, bytes]:
        if not file.is_binary or rng.random() < 0.1:
            return _any_bytes(rng, file.data)
        data = bytearray(file.data)
        kind = rng.choices(("header", "values", "text", "other", "stranger", "moved"), (3, 7, 2, 5, 6, 3))[0]
        times = rng.choice((1, 1, 1, 2, 5))
        match kind:
            case "header":
                for at in rng.choices(file.headers, k=times):
                    data[at : at + 4] = _header(rng, data[at : at + 4])
                return "types, flags and lengths", bytes(data)
            case "values" if file.values:
                for at, n, size in rng.choices(file.values, k=times):
                    _change_values(rng, data, at, n, size)
                return "values of vectors", bytes(data)
            case "text" if file.texts:
                for at, n in rng.choices(file.texts, k=times):
                    other, m = rng.choice(file.texts)
                    data[at : at + n] = rng.choice((rng.randbytes(n), (file.data[other : other + m] * n)[:n]))
                return "texts", bytes(data)
            case "other":
                donor = rng.choice(self._binary)
                start, end = rng.choice(donor.objects)
                return "an object of another model", _replaced(rng, file, donor.data[start:end])
            case "stranger":
                return "a strange object", _replaced(rng, file, rng.choice(_STRANGERS))
        start, end = rng.choice(file.objects)
        return "an object elsewhere", _replaced(rng, file, file.data[start:end])


def _replaced(rng: Random, file: File, by: bytes) -> bytes:
    start, end = rng.choice(file.objects)
    return file.data[:start] + by + file.data[end:]


def _header(rng: Random, before: bytes | bytearray) -> bytes:
    value = int.from_bytes(before, "big")
    match rng.randrange(4):
        case 0:
            value ^= rng.choice(_FLAGS)
        case 1:
            value = (value & ~255) | rng.choice(_TYPES)
        case 2:
            value = rng.choice(_CONSTANTS)
        case _:
            value = rng.choice((*_INTEGERS, value + 1, value - 1, value * 2))
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def _change_values(rng: Random, data: bytearray, start: int, n: int, size: int) -> None:
    """Change one value, or all to one."""
    if size == 4:
        new = _integers(rng.choice((*_INTEGERS, n, n + 1)))
    else:
        new = rng.choice((struct.pack(">d", rng.choice((*_DOUBLES, float(n)))), struct.pack(">Q", rng.choice(_NANS))))
    new *= size // len(new)
    if rng.random() < 0.3:
        data[start : start + n * size] = new * n
    else:
        at = start + size * rng.randrange(n)
        data[at : at + size] = new


def _any_bytes(rng: Random, before: bytes) -> tuple[str, bytes]:
    data = bytearray(before)
    at = rng.randrange(len(data))
    end = min(len(data), at + rng.randrange(1, 64))
    match rng.randrange(6):
        case 0 | 1:
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return "flipped bits", bytes(data)
        case 2:
            del data[at:end]
            return "bytes left out", bytes(data)
        case 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
            return "bytes put in", bytes(data)
        case 4:
            other = rng.randrange(len(data))
            data[other:other] = data[at:end]
            return "bytes twice", bytes(data)
        case _:
            return "cut", bytes(data[:at])


def _compressed(rng: Random, content: bytes) -> bytes:
    match rng.randrange(8):
        case 0:
            return content
        case 1:
            return bz2.compress(content, 1)
        case 2:
            return lzma.compress(content, preset=0)
        case _:
            return gzip.compress(content, 1, mtime=0)
