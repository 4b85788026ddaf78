"""Files that R did not write: each is a value or one clear sentence, within bounds of memory and time."""

import bz2
import gzip
import lzma
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canari.errors import IntakeError
from canari.intake.rds import NA_INTEGER, Environment, RObject, read

FIXTURES = Path(__file__).parent / "fixtures"
FORMS = ("vectors_none_3.rds", "vectors_ascii_3.rds", "vectors_gzip_3.rds", "vectors_xz_2.rds", "others_ascii.rds")
REAL = {name: (FIXTURES / name).read_bytes() for name in FORMS}
REAL["others"] = gzip.decompress((FIXTURES / "others.rds").read_bytes())

HEADER = b"X\n" + struct.pack(">3i", 2, 0x040202, 0x020300)
NULL = struct.pack(">i", 254)
HAS_ATTRIBUTES, HAS_TAG = 0x200, 0x400


def integers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def text(content: bytes, flags: int = 9) -> bytes:
    return integers(flags, len(content)) + content


def symbol(name: bytes) -> bytes:
    return integers(1) + text(name)


STARTS = (b"", b"X\n", HEADER, b"A\n2\n262402\n131840\n", b"B\n\2\0\0\0", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0")


def read_or_refuse(data: bytes) -> None:
    message = None
    try:
        found = read(data)
    except IntakeError as error:
        message = str(error)
    if message is None:
        assert isinstance(found, RObject)
    else:
        assert re.fullmatch(r"[^\n]{10,600}", message)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(STARTS),
)
def test_random_bytes(data: bytes, start: bytes) -> None:
    read_or_refuse(start + data)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(REAL)),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(REAL[name])
    for position, byte in changes:
        data[position % len(data)] = byte
    read_or_refuse(bytes(data))


@pytest.mark.parametrize(("name", "step"), [("vectors_none_3.rds", 5), ("others", 37)])
def test_flipped_bits_all_over_the_file(name: str, step: int) -> None:
    data = REAL[name]
    for bit in range(0, 8 * len(data), step):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        read_or_refuse(bytes(flipped))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(REAL)), st.integers(0, 1 << 16), st.integers(0, 1 << 16), st.integers(0, 1 << 16))
def test_a_piece_moved_elsewhere(name: str, start: int, length: int, target: int) -> None:
    data = REAL[name]
    start, target = start % len(data), target % len(data)
    piece = data[start : start + length % 64]
    read_or_refuse(data[:target] + piece + data[target:])


@pytest.mark.parametrize("name", sorted(REAL))
def test_every_truncation_is_refused(name: str) -> None:
    data = REAL[name].rstrip(b"\n")
    for end in range(0, len(data), 1 + len(data) // 200):
        with pytest.raises(IntakeError):
            read(data[:end])


@pytest.mark.parametrize("name", sorted(REAL))
def test_trailing_bytes_are_refused(name: str) -> None:
    with pytest.raises(IntakeError, match=r"more bytes|bytes after the end|fails"):
        read(REAL[name] + b"more")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_not_unpacked(compress: object) -> None:
    assert callable(compress)
    bomb = compress(HEADER + bytes(120 << 20))
    tracemalloc.start()
    with pytest.raises(IntakeError, match="decompress to more than"):
        read(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * ((64 << 20) + 250 * len(bomb))


def test_the_limit_is_the_callers() -> None:
    data = gzip.compress(HEADER + integers(14, 100) + bytes(800))
    assert len(read(data).value) == 100
    with pytest.raises(IntakeError, match="decompress to more than 500"):
        read(data, limit=1000)


def altrep(name: bytes, state: bytes) -> bytes:
    info = integers(2) + symbol(name) + integers(2) + symbol(b"base") + integers(2, 13, 1, 13) + NULL
    return HEADER + integers(238) + info + state + NULL


@pytest.mark.parametrize("n", [2e9, 1e300, float("inf"), float("nan"), -1.0, 2.5])
def test_an_endless_sequence_is_refused(n: float) -> None:
    with pytest.raises(IntakeError, match=r"memory|sequence"):
        read(altrep(b"compact_intseq", integers(14, 3) + struct.pack(">3d", n, 1.0, 1.0)))


@pytest.mark.parametrize(("first", "step"), [(1e300, 1.0), (2.0**31, 1.0), (float("nan"), 1.0)])
def test_a_sequence_of_no_integers_is_refused(first: float, step: float) -> None:
    with pytest.raises(IntakeError, match="sequence"):
        read(altrep(b"compact_intseq", integers(14, 3) + struct.pack(">3d", 3.0, first, step)))


def test_a_compact_form_of_another_package_is_named() -> None:
    with pytest.raises(IntakeError, match="vroom_chr"):
        read(altrep(b"vroom_chr", NULL))


def test_many_sequences_share_one_budget() -> None:
    sequence = altrep(b"compact_realseq", integers(14, 3) + struct.pack(">3d", 1e6, 1.0, 1.0))[len(HEADER) :]
    n = 50
    with pytest.raises(IntakeError, match="memory"):
        read(HEADER + integers(19, n) + sequence * n)


@pytest.mark.parametrize(
    "nested",
    [
        integers(19, 1) * 100_000 + NULL,  # lists in lists
        integers(2) * 100_000 + NULL,  # pairlists in the first place of pairlists
        integers(6) * 100_000 + NULL,  # calls of calls
        (integers(10 | HAS_ATTRIBUTES, 0) + integers(2 | HAS_TAG) + symbol(b"a")) * 100_000,  # attributes of attributes
        integers(4, 0) * 100_000,  # environments in environments
        integers(5 | HAS_TAG) * 100_000,  # promises
        integers(238) * 100_000,  # compact vectors described by compact vectors
        integers(21, 0) * 100_000,  # compiled code in compiled code
    ],
)
def test_deep_nesting_is_refused(nested: bytes) -> None:
    with pytest.raises(IntakeError, match="nested more than 5000 deep"):
        read(HEADER + nested)


def test_what_r_can_nest_is_read() -> None:
    """A formula with a thousand terms is a call in a call in a call."""
    n = 2000
    plus = integers(6) + symbol(b"+")
    again = integers(6, (1 << 8) | 255)
    ends = (integers(2, (1 << 8) | 255) + NULL) * n
    found = read(HEADER + plus + integers(2) + (again + integers(2)) * (n - 1) + NULL + ends)
    depth = 0
    while not found.is_null:
        depth += 1
        found = found.value[1][1]
    assert depth == n


def test_a_long_pairlist_is_not_deep() -> None:
    found = read(HEADER + (integers(2) + NULL) * 100_000 + NULL)
    assert len(found.value) == 100_000


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (integers(14, -5), "expected a length, found -5"),
        (integers(14, -1, -1, 5), "expected a length"),
        (integers(14, -1, 0x7FFFFFFF, 0), "found the end of the data"),
        (integers(13, 1000), "expected 1000 .*found the end of the data"),
        (integers(16, 1) + text(b"\xff\xfe"), "expected text in utf-8"),
        (integers(16, 1, 9, -7), "length of a string"),
        (integers(16, 1, 14, 0), "expected a string"),
        ((7 << 8 | 255).to_bytes(4, "big"), "reference to one of the 0 objects"),
        (integers(255, -3), "reference"),
        (integers(77), "type code 77"),
        (integers(11, 0), "type code 11"),
        (integers(247, 0, 1) + text(b"key"), "refhook"),
        (integers(2 | HAS_TAG, 13, 0) + NULL + NULL, "expected a name"),
        (integers(13 | HAS_ATTRIBUTES, 0, 13, 0), "expected attributes"),
        (integers(8, -4), "negative length"),
        (integers(21, 1, 13, 0, 1, 243, 0), "part of compiled code that has been defined"),
        (integers(21, 1, 13, 0, 1, 244, 0, 6) + NULL + integers(243, 0), "part of compiled code that has been defined"),
    ],
)
def test_what_is_wrong_is_said(item: bytes, message: str) -> None:
    with pytest.raises(IntakeError, match=message) as caught:
        read(HEADER + item)
    assert "at byte" in str(caught.value) or "refhook" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an .rds or"),
        (b"PK\3\4 a zip file", "not an .rds or"),
        (b"\x80\x04\x95 a pickle", "not an .rds or"),
        (b"\x28\xb5\x2f\xfd zstd", "zstd"),
        (b"RDX1\nX\n", "R workspace .*versions 2 and 3"),
        (b"RDX3\nQ\n", "not an .rds or .RData file"),
        (b"RDX3\n" + HEADER + integers(13, 0), "does not hold objects with names"),
        (gzip.compress(b"RDA2\nA\n2\n1\n1\n2\n254\n254\n", mtime=0), "does not hold objects with names"),
        (b"X\n" + integers(7, 0, 0), "version 7"),
        (b"X\n" + integers(3, 0, 0, 5) + b"bogus" + NULL, "text encoding"),
        (b"X\n" + integers(3, 0, 0, 8) + b"punycode" + NULL, "text encoding"),  # takes time by the square of the text
        (b"X\n" + integers(3, 0, 0, 4) + b"idna" + NULL, "text encoding"),
        (b"A\n2\n1\n1\n13\n1\n99999999999\n", "expected an integer"),
        (b"A\n2\n1\n1\n14\n1\n1_0\n", "expected a double"),
        (b"A\n2\n1\n1\n24\n1\nzz\n", "expected a byte"),
        (b"A\n2\n1\n1\n16\n1\n9\n3\nab\n", "expected a string of 3 bytes"),
        (b"A\n2\n1\n1\n16\n1\n9\n2\n\\9\n", "expected a string of 2 bytes"),  # no octal number
    ],
)
def test_files_of_another_kind(data: bytes, message: str) -> None:
    with pytest.raises(IntakeError, match=message):
        read(data)


def test_parts_of_compiled_code_do_not_multiply() -> None:
    """Each definition uses the one before twice: 2^60 nodes for whoever walked them."""
    code = integers(21, 61, 13, 0, 1)

    def doubled(level: int) -> bytes:
        if level == 0:
            return integers(244, 0, 6) + NULL + integers(0) + symbol(b"f") + integers(0) + NULL
        inner = doubled(level - 1)
        rest = integers(6) + NULL + integers(243, level - 1, 0) + NULL
        return integers(244, level, 6) + NULL + inner + rest

    with pytest.raises(IntakeError, match="memory"):
        read(HEADER + code + doubled(60))


def test_objects_are_counted_not_only_bytes() -> None:
    """A tiny object takes much more memory than its bytes in the file."""
    limit = 8 << 20
    data = HEADER + integers(19, 100_000) + integers(13, 0) * 100_000
    assert len(data) < limit // 8
    tracemalloc.start()
    with pytest.raises(IntakeError, match="memory"):
        read(data, limit=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit


def memory_over(data: bytes, folder: Path) -> int:
    """Bytes of memory that reading takes in a process of its own, besides Python, its libraries and `data`; it may not crash."""
    (folder / "file").write_bytes(data)
    program = """
import resource, sys
from pathlib import Path
from canari.errors import IntakeError
from canari.intake.rds import read

resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = Path(sys.argv[1]).read_bytes()
before = peak()
try:
    read(data)
except IntakeError:
    pass
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder / "file")], check=True, capture_output=True, text=True)
    return int(done.stdout) << 10


def attribute_bomb(n: int) -> bytes:
    return b"".join((integers(13 | HAS_ATTRIBUTES, 0, 2 | HAS_TAG), symbol(b"a"), integers(13, 0), NULL)) * n


ESCAPED = b"A\n2\n262402\n131840\n16\n1\n9\n%d\n" % (20 << 20) + b"\\n" * (20 << 20)
BOMBS = {
    "zeros": HEADER + integers(14, 3 << 20) + bytes(24 << 20),
    "empty vectors": HEADER + integers(19, 3 << 20) + integers(13, 0) * (3 << 20),
    "nulls": HEADER + integers(19, 8 << 20) + NULL * (8 << 20),
    "pairlist": HEADER + (integers(2) + NULL) * (4 << 20) + NULL,
    "missing strings": HEADER + integers(16, 4 << 20) + integers(9, -1) * (4 << 20),
    "strings": HEADER + integers(16, 1 << 21) + b"".join(text(b"%07x" % i) for i in range(1 << 21)),
    "a wide string": HEADER + integers(16, 1) + text("\U0001f600".encode() + b"a" * (30 << 20), 0x8009),
    "attributes": HEADER + integers(19, 1 << 19) + attribute_bomb(1 << 19),
    "environments": HEADER + integers(19, 1 << 20) + (integers(4, 0) + NULL * 4) * (1 << 20),
    "escapes": ESCAPED,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_is_bounded_by_the_file(bomb: str, tmp_path: Path) -> None:
    """What `read_content` promises, of small files that hold much; in the form that compresses best and fast."""
    data = lzma.compress(BOMBS[bomb], preset=0)
    python = 12 << 20  # what the interpreter itself asks for while it reads
    assert memory_over(data, tmp_path) < (64 << 20) + 250 * len(data) + python


def test_an_xz_file_that_asks_for_a_gigabyte_is_refused() -> None:
    header = lzma.compress(b"X\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    # The size of the dictionary is one byte of the block's header, which a checksum covers.
    block = bytearray(header[12:24])
    assert block[:4] == bytes((2, 0, 0x21, 1))
    block[4] = 36  # 1 GiB
    block[8:12] = zlib.crc32(bytes(block[:8])).to_bytes(4, "little")
    with pytest.raises(IntakeError, match="xz compression"):
        read(header[:12] + bytes(block) + header[24:])


def test_several_compressed_streams_are_one_file() -> None:
    """As pigz and pbzip2 may write them, and R reads them."""
    content = HEADER + integers(13, 3, 4, 5, 6)
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        assert read(compress(content[:17]) + compress(content[17:])).value.tolist() == [4, 5, 6]


def test_the_number_of_streams_is_bounded() -> None:
    with pytest.raises(IntakeError, match="more than 10000 gzip streams"):
        read(gzip.compress(b"") * 20_000)


ODD = [
    RObject("NULL"),
    RObject("integer", np.array([1, -2, NA_INTEGER, 9], np.int32)),
    RObject("double", np.array([2.0, np.nan, np.inf, -1.5, 1e300])),
    RObject("logical", np.array([1], np.int32)),
    RObject("complex", np.array([1j])),
    RObject("character", ["factor", None, "b"]),
    RObject("raw", b"ab"),
    RObject("symbol", "s"),
    RObject("pairlist", [("a", RObject("NULL")), (None, RObject("NULL"))]),
    RObject("list", [RObject("NULL"), RObject("character", [None])]),
    RObject("environment", Environment()),
    RObject("S4"),
]
ACCESSORS = ("names", "classes", "levels", "dim", "dimnames", "variables", "enclosure", "is_null")
METHODS = ("doubles", "strings", "matrix", "missing", "items", "__repr__")


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(ODD),
    st.dictionaries(st.sampled_from(["names", "class", "levels", "dim", "dimnames"]), st.sampled_from(ODD)),
)
def test_an_accessor_of_an_object_that_lies_raises_nothing_else(value: RObject, attributes: dict[str, RObject]) -> None:
    found = RObject(value.type, value.value, attributes)
    for name in ACCESSORS + METHODS:
        with suppress(IntakeError):
            result = getattr(found, name)
            if name in METHODS:
                result = result()
            list(result if isinstance(result, Iterator) else ())
    for look in (found.get, found.require, found.lookup):
        with suppress(IntakeError):
            look("a")


def numbers_with(**attributes: RObject) -> RObject:
    return RObject("integer", np.array([1, 2, 3, 4], np.int32), attributes)


@pytest.mark.parametrize(
    "dim", [[-2.0, -2.0], [2.0, 3.0], [2.5, 1.6], [np.nan], [np.inf], [2.0**32, 2.0**32], [1.0] * 70 + [4.0], []]
)
def test_dimensions_that_lie(dim: list[float]) -> None:
    with pytest.raises(IntakeError, match=r"expected dimensions|expected a matrix"):
        numbers_with(dim=RObject("double", np.array(dim, np.float64))).matrix()


@pytest.mark.parametrize("levels", [["a", "b", "c"], []])
def test_a_factors_code_beyond_its_levels(levels: list[str | None]) -> None:
    factor = numbers_with(**{"class": RObject("character", ["factor"]), "levels": RObject("character", levels)})
    with pytest.raises(IntakeError, match=f"code {1 + len(levels)}, but {len(levels)} levels"):
        factor.strings()


def test_names_of_another_length_than_the_list() -> None:
    one = RObject("integer", np.zeros(1, np.int32))
    short = RObject("list", [one, one], {"names": RObject("character", ["a"])})
    assert [name for name, _ in short.items()] == ["a", ""]
    long = RObject("list", [one], {"names": RObject("character", ["a", "b"])})
    assert [name for name, _ in long.items()] == ["a"]
