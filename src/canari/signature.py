"""What goes into a model, what comes out of it, where it comes from and how well it was proved."""

import re
from typing import Literal, Self, TypeAlias

import msgspec

from canari.errors import UsageError

InputKind: TypeAlias = Literal["number", "integer", "boolean", "category"]
OutputKind: TypeAlias = Literal["number", "probability", "class"]

# In an ONNX graph a missing number is NaN; a missing category or class is this string, which no level may be.
MISSING = "\x1a"

# Proved means |source - canari| <= TOLERANCE * max(1, |source|) for every value of every check row.
TOLERANCE = 1e-9


class Input(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One column that a caller sends."""

    name: str
    kind: InputKind
    unit: str | None = None
    levels: tuple[str, ...] = ()  # of a category, in the source's order
    missing: bool = False  # whether a missing value is answered (perhaps by a missing prediction) or refused
    range: tuple[float, float] | None = None  # smallest and largest value in the check rows given by the person
    shares: tuple[float, ...] = ()  # of each level, in the same rows

    @property
    def datatype(self) -> str:
        """The Open Inference Protocol's datatype of this column."""
        return {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES"}[self.kind]


class Output(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a model answers: shape [n, 1], or [n, k] for the probabilities of k labels.

    A number has no labels; a class has one label a level; a probability has the labels whose probabilities its columns
    are, which for a two-level response may be the second level's alone.
    """

    name: str
    kind: OutputKind
    labels: tuple[str, ...] = ()

    @property
    def datatype(self) -> str:
        """The Open Inference Protocol's datatype of this output."""
        return "BYTES" if self.kind == "class" else "FP64"

    @property
    def width(self) -> int:
        """The number of columns, k of the shape [n, k]."""
        return max(1, len(self.labels)) if self.kind == "probability" else 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns in a CSV file: its own name, or the labels where there are several."""
        return self.labels if self.width > 1 else (self.name,)


class Source(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model comes from."""

    language: Literal["R", "scikit-learn"]
    version: str  # of R or scikit-learn
    model_class: str  # "glm", "randomForest", "Pipeline(StandardScaler, LogisticRegression)"
    sha256: str  # of the imported file
    created: str | None = None  # ISO 8601, when the file was written
    packages: dict[str, str] = {}  # other packages' versions at that time
    metrics: dict[str, float] = {}  # what the training stored


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the comparison with the source's own predictions found."""

    rows: int
    probes: int  # rows among them that canari made: levels, missing values, the ends of ranges and beyond
    tolerance: float
    worst: float  # largest |source - onnxruntime| / max(1, |source|)
    worst_evaluator: float  # the same against the independent evaluator
    ties: int  # rows whose class the source drew at random among equals


class Signature(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A model's contract with its callers (`signature.json`)."""

    name: str
    version: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    source: Source
    proof: Proof | None = None
    format: int = 1

    @property
    def tag(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"

    @property
    def proved(self) -> bool:
        """Whether the predictions were compared with the source's own."""
        return self.proof is not None

    def breaks(self, released: Self) -> list[str]:
        """Say, one sentence each, what a caller of `released` would notice if this signature replaced it."""
        changes = []
        mine = {column.name: column for column in self.inputs}
        theirs = {column.name: column for column in released.inputs}
        for name, column in theirs.items():
            if name not in mine:
                changes.append(f"input {name!r} is gone")
                continue
            now = mine[name]
            if now.kind != column.kind and (column.kind, now.kind) != ("integer", "number"):  # every integer is a number
                changes.append(f"input {name!r} is {_article(now.kind)}, it was {_article(column.kind)}")
            if lost := [level for level in column.levels if now.levels and level not in now.levels]:
                changes.append(f"input {name!r} no longer takes {', '.join(map(repr, lost))}")
            if column.missing and not now.missing:
                changes.append(f"input {name!r} no longer takes a missing value")
        changes += [f"input {name!r} is new and required" for name in mine if name not in theirs]
        before, after = ({o.name: (o.kind, o.labels) for o in s.outputs} for s in (released, self))
        changes += [f"output {name!r} is gone" for name in before if name not in after]
        changes += [f"output {n!r} has another kind or other labels" for n in before if n in after and before[n] != after[n]]
        return changes


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


# What BentoML's model store takes as a name or a version.
_TAG_PART = re.compile(r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?")


def check_tag_part(what: str, text: str) -> str:
    """Return `text` if it may be a model's name or version; else raise `UsageError`."""
    if not _TAG_PART.fullmatch(text):
        raise UsageError(
            f"{what} {text!r}: expected at most 63 of a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit"
        )
    return text


def parse_tag(text: str) -> tuple[str, str]:
    """Split `NAME:VERSION`; raise `UsageError` where it is not of that form."""
    name, colon, version = text.partition(":")
    if not colon:
        raise UsageError(f"{text!r}: expected NAME:VERSION")
    return check_tag_part("name", name), check_tag_part("version", version)
