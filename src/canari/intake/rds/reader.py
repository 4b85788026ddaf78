"""R's serialization, as saveRDS and save write it, as plain values.

The format is that of R's own src/main/serialize.c ("R Internals", section 1.8), versions 2 and 3. Nothing in a file is
evaluated.

A file may be hostile. Nested objects are read with an explicit stack, so that depth is bounded by `_MAX_DEPTH` and not by
the interpreter's; everything that takes memory or time is counted first, and must fit a budget that grows with the file.
"""

import codecs
import math
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.rds.decompress import decompress
from canari.intake.rds.sources import Source, damaged, open_source
from canari.intake.rds.values import NA_INTEGER, Environment, Promise, RObject

_MAX_DEPTH = 5000  # R's own limit on nested expressions
_RATIO = 250  # bytes of memory a byte of the file may take ...
_FLOOR = 64 << 20  # ... besides these
# What the parts of an object are counted as: bytes that they take at most, and enough for the time that they take.
_OBJECT = 400  # without its elements
_CELL = 200  # of a pairlist, which may become a dictionary
_ELEMENT = 32  # of a list or character vector, without what it refers to
_STRING = 80
_SHORT = 64  # bytes of a string that is kept for when it comes again

# Type codes: those up to 25 are R's types, those from 238 on exist in files only.
_SYMBOL, _PAIRLIST, _CLOSURE, _ENVIRONMENT, _PROMISE, _CALL = 1, 2, 3, 4, 5, 6
_SPECIAL, _BUILTIN, _CHAR, _LOGICAL, _INTEGER, _DOUBLE, _COMPLEX = 7, 8, 9, 10, 13, 14, 15
_CHARACTER, _DOTS, _LIST, _EXPRESSION, _BYTECODE, _POINTER, _WEAKREF, _RAW, _S4 = 16, 17, 19, 20, 21, 22, 23, 24, 25
_ALTREP, _ATTRIBUTE_PAIRLIST, _ATTRIBUTE_CALL, _BYTECODE_REFERENCE, _BYTECODE_DEFINITION = 238, 239, 240, 243, 244
_PERSISTENT, _PACKAGE, _NAMESPACE, _NULL, _REFERENCE = 247, 248, 249, 254, 255
_UNBOUND = 252
_CONSTANTS = {
    241: ("environment", "base"),
    242: ("environment", "R_EmptyEnv"),
    250: ("environment", "namespace:base"),
    251: ("symbol", ""),  # an argument without a default
    _UNBOUND: ("symbol", "R_UnboundValue"),
    253: ("environment", "R_GlobalEnv"),
}
_HAS_ATTRIBUTES, _HAS_TAG = 0x200, 0x400
_BYTES, _LATIN1, _UTF8 = 0x2000, 0x4000, 0x8000  # a string's encoding

Reading: TypeAlias = Generator["Reading", Any, Any]  # yields what must be read first, returns what it has read


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What a file holds: the one object of an `.rds`, or the objects of an `.RData` by their names; the other is None."""

    root: RObject | None
    objects: dict[str, RObject] | None
    r_version: str  # of the R that wrote it, such as "4.2.2"


def read_content(data: bytes, *, limit: int = 2 << 30) -> Content:
    """Read an `.rds` or `.RData` file, compressed with gzip, bzip2, xz or not at all.

    Besides `data` itself, reading takes at most 64 MiB and 250 times the file's size of memory, and never more than `limit`
    bytes; the decompressed data may have half of that. The time is bounded with it: what takes time is counted as memory.
    Raises `IntakeError`, and nothing else, for anything that R would not have written.
    """
    budget = min(limit, _FLOOR + _RATIO * len(data))
    try:
        content = decompress(data, budget // 2)
        source, workspace = open_source(content)
        reader = _Reader(source, budget if content is data else budget - len(content))
        root = reader.read()
    except MemoryError:
        raise IntakeError(f"there is not enough memory to read the {len(data)} bytes of the file") from None
    r_version = f"{reader.writer >> 16}.{reader.writer >> 8 & 255}.{reader.writer & 255}"
    return Content(root=None if workspace else root, objects=_objects(root) if workspace else None, r_version=r_version)


def _objects(root: RObject) -> dict[str, RObject]:
    """The content of a workspace: a pairlist of names and values."""
    if root.is_null:
        return {}
    if root.type != "pairlist" or any(tag is None for tag, _ in root.value):
        raise IntakeError("the file is damaged: it begins as an R workspace (.RData), but does not hold objects with names")
    return dict(root.value)


def read(data: bytes, *, limit: int = 2 << 30) -> RObject:
    """Read the one object of an `.rds` file; as `read_content`, which also reads the several ones of an `.RData`."""
    root = read_content(data, limit=limit).root
    if root is None:
        raise IntakeError("this is an R workspace (.RData), which holds objects with names: write one object with saveRDS()")
    return root


@dataclass(slots=True)
class _Definition:
    """A part of a compiled expression that is used again: its elements from one on, and the memory that each use takes."""

    type: str
    pairs: list[tuple[str | None, RObject]] | None = None  # None until it has been read whole
    start: int = 0
    attributes: dict[str, RObject] | None = None
    cost: int = 0


class _Reader:
    def __init__(self, source: Source, budget: int) -> None:
        self._source = source
        self._budget = budget
        self._spent = 0
        self._references: list[RObject] = []
        self._null = RObject("NULL")
        self._constants = {
            code: RObject(kind, Environment(name) if kind == "environment" else name) for code, (kind, name) in _CONSTANTS.items()
        }
        self._native_encoding = "utf-8"
        self._strings_so_far: dict[tuple[int, bytes], str] = {}

    def read(self) -> RObject:
        """The file's one object."""
        self._header()
        stack: list[Reading] = [self._object(self._source.integer())]
        result = None
        while stack:
            try:
                first = stack[-1].send(result)
            except StopIteration as done:
                stack.pop()
                result = done.value
                continue
            if len(stack) == _MAX_DEPTH:
                raise IntakeError(
                    f"objects are nested more than {_MAX_DEPTH} deep at byte {self._source.position} of the decompressed data"
                )
            stack.append(first)
            result = None
        self._source.end()
        assert isinstance(result, RObject)  # noqa: S101  # what `_object` returns
        return result

    def _header(self) -> None:
        version = self._source.integer()
        self.writer = self._source.integer()  # the version of R that wrote it, a byte a part
        self._source.integer()  # the oldest that can read it
        if version not in (2, 3):
            raise IntakeError(f"the file is written in version {version} of R's serialization; versions 2 and 3 can be read")
        if version == 3:
            self._native_encoding = self._encoding(self._source.text(self._source.integer()))

    def _encoding(self, name: bytes) -> str:
        """Python's name for what R calls the writer's encoding: one of texts, that takes no more time than there is text."""
        try:
            found = codecs.lookup(name.decode("ascii")).name if _ENCODING.fullmatch(name) else ""
        except LookupError:
            found = ""
        if not _KNOWN_ENCODING.fullmatch(found):
            raise self._wrong("the name of a text encoding", repr(name[:40].decode("ascii", "replace")))
        return found

    def _wrong(self, expected: str, found: str) -> IntakeError:
        return damaged(self._source.position, expected, found)

    def _spend(self, size: int) -> None:
        self._spent += size
        if self._spent > self._budget:
            raise IntakeError(
                f"the file's content would take more than {self._budget} bytes of memory, so it was not read beyond "
                f"byte {self._source.position} of the decompressed data"
            )

    def _new(self, kind: str, value: Any = None, attributes: dict[str, RObject] | None = None) -> RObject:
        self._spend(_OBJECT)
        return RObject(kind, value, {} if attributes is None else attributes)

    def _length(self) -> int:
        n = self._source.integer()
        if n == -1:  # a long vector: two halves follow
            high, low = self._source.integer(), self._source.integer()
            n = (high << 32) + (low & 0xFFFFFFFF)
        if n < 0:
            raise self._wrong("a length", str(n))
        return n

    def _object(self, flags: int) -> Reading:
        """Any object whose flags have been read."""
        code = flags & 255
        plain = self._plain(code, flags)
        if plain is not None:
            if code in _PLAIN_WITH_ATTRIBUTES and flags & _HAS_ATTRIBUTES:
                plain.attributes = yield self._attributes()
            return plain
        if code in (_PAIRLIST, _CALL, _DOTS):
            return (yield self._pairs(flags))
        if code in (_CLOSURE, _PROMISE):
            return (yield self._closure_or_promise(flags))
        if code in (_LIST, _EXPRESSION):
            found = self._new("list" if code == _LIST else "expression", (yield self._elements()))
        elif code == _ENVIRONMENT:
            return (yield self._environment())
        elif code == _BYTECODE:
            found = yield self._bytecode()
        elif code == _POINTER:
            found = self._remember(self._new("externalptr"))
            for _ in ("protected", "tag"):
                yield self._object(self._source.integer())
        elif code == _ALTREP:
            return (yield self._altrep())
        else:
            raise self._wrong("an R object", f"the type code {code}")
        if flags & _HAS_ATTRIBUTES:
            found.attributes = yield self._attributes()
        return found

    def _plain(self, code: int, flags: int) -> RObject | None:
        """An object that contains no others, without its attributes; None where it is of another type."""
        source = self._source
        if code == _NULL:
            return self._null
        if code == _REFERENCE:
            index = flags >> 8 or source.integer()
            if not 1 <= index <= len(self._references):
                raise self._wrong(f"a reference to one of the {len(self._references)} objects so far", str(index))
            return self._references[index - 1]
        if code == _CHARACTER:
            return self._new("character", self._strings())
        if code == _SYMBOL:
            name = self._string(source.integer())
            return self._remember(self._new("symbol", "NA" if name is None else name))
        if code in (_LOGICAL, _INTEGER):
            return self._new("logical" if code == _LOGICAL else "integer", source.integers(self._counted(4)))
        if code == _DOUBLE:
            return self._new("double", source.doubles(self._counted(8)))
        if code == _COMPLEX:
            return self._new("complex", source.complexes(self._counted(16)))
        if code == _RAW:
            return self._new("raw", source.raw(self._counted(1)))
        if code in _CONSTANTS:
            return self._constants[code]
        if code in (_PACKAGE, _NAMESPACE):
            if source.integer() != 0:
                raise self._wrong("the name of a package", "a vector with names")
            name = next(iter(self._strings()), None)
            return self._remember(self._new("environment", Environment(f"namespace:{name}" if code == _NAMESPACE else name)))
        if code in (_BUILTIN, _SPECIAL):
            name = source.text(source.integer()).decode("utf-8", "backslashreplace")
            return self._new("builtin" if code == _BUILTIN else "special", name)
        if code == _WEAKREF:
            return self._remember(self._new("weakref"))
        if code == _S4:
            return self._new("S4")
        if code == _PERSISTENT:
            raise IntakeError("the file was saved with a refhook: it refers to objects that are not in it")
        return None

    def _counted(self, size: int) -> int:
        n = self._length()
        self._source.require(n, size)
        self._spend(n * size)
        return n

    def _remember(self, found: RObject) -> RObject:
        self._references.append(found)
        return found

    def _strings(self) -> list[str | None]:
        n = self._length()
        self._source.require(n)
        self._spend(_ELEMENT * n)
        return [self._string(self._source.integer()) for _ in range(n)]

    def _string(self, flags: int) -> str | None:
        if flags & 255 != _CHAR:
            raise self._wrong("a string", f"the type code {flags & 255}")
        n = self._source.integer()
        if n == -1:
            return None
        if n < 0:
            raise self._wrong("the length of a string", str(n))
        content = self._source.text(n)
        encoding = flags & (_BYTES | _LATIN1 | _UTF8)
        known = self._strings_so_far.get((encoding, content)) if n <= _SHORT else None
        if known is not None:
            return known
        text = self._text(content, encoding)
        if n <= _SHORT:
            self._spend(_CELL)
            self._strings_so_far[encoding, content] = text
        return text

    def _text(self, content: bytes, encoding: int) -> str:
        if content.isascii():
            self._spend(_STRING + len(content))
            return content.decode("ascii")
        self._spend(_STRING + 4 * len(content))
        if encoding & _BYTES:
            return content.decode("ascii", "backslashreplace")  # as R prints such a string
        codec = "utf-8" if encoding & _UTF8 else "latin-1" if encoding & _LATIN1 else self._native_encoding
        try:
            return content.decode(codec)
        except ValueError:
            raise self._wrong(f"text in {codec}", f"{content[:40].decode('latin-1')!a} before it") from None

    def _elements(self) -> Reading:
        n = self._length()
        self._source.require(n)
        self._spend(_ELEMENT * n)
        elements: list[RObject] = []
        for _ in range(n):
            elements.append((yield from self._nested()))
        return elements

    def _nested(self) -> Reading:
        """One object; only those that contain others cost a place on the stack."""
        flags = self._source.integer()
        if not flags & _HAS_ATTRIBUTES or flags & 255 not in _PLAIN_WITH_ATTRIBUTES:
            plain = self._plain(flags & 255, flags)
            if plain is not None:
                return plain
        return (yield self._object(flags))

    def _attributes(self) -> Reading:
        found = yield self._object(self._source.integer())
        return self._as_attributes(found)

    def _as_attributes(self, found: RObject) -> dict[str, RObject]:
        if found.is_null:
            return {}
        if found.type != "pairlist":
            raise self._wrong("attributes", found.type)
        return {tag: value for tag, value in reversed(found.value) if tag is not None}

    def _tag(self) -> str | None:
        flags = self._source.integer()
        found = self._plain(flags & 255, flags)
        if found is None or found.type not in ("symbol", "NULL"):
            raise self._wrong("a name", f"the type code {flags & 255}" if found is None else found.type)
        return None if found.is_null else str(found.value)

    def _pairs(self, flags: int) -> Reading:
        """A pairlist or a call: cell by cell along its chain, so that length is not depth."""
        kind = "language" if flags & 255 == _CALL else "pairlist"
        pairs: list[tuple[str | None, RObject]] = []
        attributes: dict[str, RObject] | None = None
        while flags & 255 in (_PAIRLIST, _CALL, _DOTS):
            self._spend(_CELL)
            own = (yield self._attributes()) if flags & _HAS_ATTRIBUTES else {}
            attributes = own if attributes is None else attributes
            tag = self._tag() if flags & _HAS_TAG else None
            pairs.append((tag, (yield from self._nested())))
            flags = self._source.integer()
        if flags & 255 != _NULL:  # a chain may end in another object, as the state of an ALTREP vector does
            pairs.append((None, (yield self._object(flags))))
        return self._new(kind, pairs, attributes)

    def _closure_or_promise(self, flags: int) -> Reading:
        attributes = (yield self._attributes()) if flags & _HAS_ATTRIBUTES else {}
        environment = (yield from self._nested()) if flags & _HAS_TAG else self._null
        formals_or_value = yield from self._nested()
        body = yield from self._nested()
        if flags & 255 == _CLOSURE:
            return self._new("closure", (environment, formals_or_value, body), attributes)
        unforced = formals_or_value is self._constants[_UNBOUND]
        promise = Promise(body, None if unforced else formals_or_value, None if environment.is_null else environment)
        return self._new("promise", promise, attributes)

    def _environment(self) -> Reading:
        content = Environment()
        found = self._remember(self._new("environment", content))
        self._source.integer()  # whether it is locked
        enclosure = yield self._object(self._source.integer())
        frame = yield self._object(self._source.integer())
        table = yield self._object(self._source.integer())
        if enclosure.type not in ("environment", "NULL"):  # NULL before R 2.4, for the base environment
            raise self._wrong("an enclosing environment", enclosure.type)
        content.enclosure = None if enclosure.is_null else enclosure
        buckets = table.value if table.type == "list" else []
        for bucket in (frame, *buckets):
            if bucket.type == "pairlist":
                content.variables.update((tag, value) for tag, value in bucket.value if tag is not None)
            elif not bucket.is_null:
                raise self._wrong("the variables of an environment", bucket.type)
        found.attributes = yield self._attributes()
        return found

    def _bytecode(self) -> Reading:
        """Compiled code, as the expression that it was compiled from."""
        self._source.integer()  # the number of definitions
        return (yield self._bytecode_body({}))

    def _bytecode_body(self, definitions: dict[int, _Definition]) -> Reading:
        yield self._object(self._source.integer())  # the instructions
        n = self._source.integer()
        self._source.require(n)
        expression = self._null
        for i in range(n):  # the constants, of which the first is the expression
            code = self._source.integer()
            self._spend(_ELEMENT)
            constant = yield (self._bytecode_body(definitions) if code == _BYTECODE else self._bytecode_pairs(code, definitions))
            if i == 0:
                expression = constant
        return expression

    def _bytecode_pairs(self, code: int, definitions: dict[int, _Definition]) -> Reading:
        """A constant of compiled code: a pairlist or call that may be defined in one place and used again in others."""
        pairs: list[tuple[str | None, RObject]] = []
        attributes: dict[str, RObject] | None = None
        kind: str | None = None
        open_definitions: list[_Definition] = []
        spent = self._spent
        while code in _BYTECODE_CELLS:
            definition: _Definition | None = None
            if code == _BYTECODE_DEFINITION:
                number, code = self._source.integer(), self._source.integer()
                if code not in _BYTECODE_CELLS or code == _BYTECODE_DEFINITION:
                    raise self._wrong("a call or pairlist in compiled code", f"the type code {code}")
                definition = definitions[number] = _Definition("")
                open_definitions.append(definition)
            cell_kind = "language" if code in (_CALL, _ATTRIBUTE_CALL) else "pairlist"
            own = (yield self._attributes()) if code in (_ATTRIBUTE_CALL, _ATTRIBUTE_PAIRLIST) else {}
            if definition is not None:
                definition.type, definition.start, definition.attributes = cell_kind, len(pairs), own
            if kind is None:
                kind, attributes = cell_kind, own
            self._spend(_CELL)
            tag = self._tag()
            pairs.append((tag, (yield self._bytecode_pairs(self._source.integer(), definitions))))
            code = self._source.integer()
        if code == _BYTECODE_REFERENCE:
            rest = self._used_again(definitions)
            if kind is None:
                return rest
            pairs.extend(rest.value)
        else:  # the code only says that it is something else
            rest = yield from self._nested()
            if kind is None:
                return rest
            if not rest.is_null:
                pairs.append((None, rest))
        for definition in open_definitions:
            definition.pairs, definition.cost = pairs, self._spent - spent
        return self._new(kind, pairs, attributes)

    def _used_again(self, definitions: dict[int, _Definition]) -> RObject:
        number = self._source.integer()
        definition = definitions.get(number)
        if definition is None or definition.pairs is None:
            raise self._wrong("a part of compiled code that has been defined", f"number {number}")
        # Counted as if it were copied, so that parts that use parts cannot grow without bound for those who walk them.
        self._spend(definition.cost + _CELL * len(definition.pairs))
        return self._new(definition.type, definition.pairs[definition.start :], definition.attributes)

    def _altrep(self) -> Reading:
        """A vector in one of R's compact forms."""
        info = yield self._object(self._source.integer())
        state = yield self._object(self._source.integer())
        attributes = self._as_attributes((yield self._object(self._source.integer())))
        name = (
            next((value.value for _, value in info.value or [] if value.type == "symbol"), None)
            if info.type == "pairlist"
            else None
        )
        parts = [part for _, part in _parts(state)]
        if name in ("compact_intseq", "compact_realseq") and state.type == "double" and len(state.value) == 3:
            integers = name == "compact_intseq"
            value = self._sequence(*state.value.tolist(), largest=2**31 - 1 if integers else math.inf)
            found = self._new("integer", value.astype(np.int32)) if integers else self._new("double", value)
        elif name == "deferred_string" and parts and parts[0].type in ("integer", "double"):
            scipen = parts[1].value if len(parts) > 1 and parts[1].type == "integer" else np.zeros(1)
            fixed = min(max(int(scipen[0]) if len(scipen) else 0, 0), _LONGEST_FIXED)
            self._spend(len(parts[0].value) * (_ELEMENT + _STRING + 24 + fixed))
            found = self._new("character", _as_strings(parts[0], int(scipen[0]) if len(scipen) else 0))
        elif name is not None and name.startswith("wrap_") and parts and parts[0].type in _WRAPPED:
            found = self._new(parts[0].type, parts[0].value, parts[0].attributes)
        elif name is not None:
            raise IntakeError(f"the file holds a vector in a compact form ({name[:60]!r}) that its own package must read")
        else:
            raise self._wrong("a compact vector", info.type)
        found.attributes = attributes or found.attributes
        return found

    def _sequence(self, n: float, first: float, step: float, *, largest: float) -> npt.NDArray[np.float64]:
        last = first + step * (n - 1)
        if not (0 <= n < 2**53 and n == int(n) and math.isfinite(first + last) and max(abs(first), abs(last)) <= largest):
            raise self._wrong("a sequence", f"{n} numbers from {first} by {step}")
        self._spend(24 * int(n))
        return first + step * np.arange(int(n), dtype=np.float64)


_PLAIN_WITH_ATTRIBUTES = frozenset((_CHARACTER, _LOGICAL, _INTEGER, _DOUBLE, _COMPLEX, _RAW, _BUILTIN, _SPECIAL, _WEAKREF, _S4))
_WRAPPED = ("logical", "integer", "double", "complex", "raw", "character", "list")
_LONGEST_FIXED = 400  # characters of a double without an exponent
# Encodings that R's writers have by their locale; of Python's others some take time by the square of the text.
_ENCODING = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:()-]{0,39}")
_KNOWN_ENCODING = re.compile(
    r"ascii|utf-8|iso8859-\d{1,2}|cp\d{3,4}|koi8-[rtu]|mac-\w+|gbk|gb2312|gb18030|big5(hkscs)?|johab|tis-620|ptcp154|"
    r"euc_(jp|jis_2004|jisx0213|kr)|shift_jis(_2004|x0213)?"
)
_BYTECODE_CELLS = frozenset((_PAIRLIST, _CALL, _ATTRIBUTE_PAIRLIST, _ATTRIBUTE_CALL, _BYTECODE_DEFINITION))


def _parts(state: RObject) -> Iterator[tuple[str | None, RObject]]:
    if state.type == "pairlist":
        yield from state.value
    elif state.type == "list":
        yield from ((None, part) for part in state.value)


def _as_strings(numbers: RObject, scipen: int) -> list[str | None]:
    """What `as.character` makes of integers or doubles."""
    if numbers.type == "integer":
        return [None if value == NA_INTEGER else str(value) for value in numbers.value.tolist()]
    return [
        None if missing else _number_as_string(value, scipen)
        for value, missing in zip(numbers.value.tolist(), numbers.missing().tolist(), strict=True)
    ]


def _number_as_string(value: float, scipen: int) -> str:
    """A double with at most 15 significant digits, in whichever of fixed and scientific notation is shorter (R's rule)."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value:.14e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    scientific = f"{mantissa}e{int(exponent):+03d}"
    decimals = max(0, len(mantissa.lstrip("-").replace(".", "")) - 1 - int(exponent))
    fixed = f"{value:.{decimals}f}"
    return fixed if len(fixed) <= len(scientific) + scipen else scientific
