"""One model version: an ONNX graph in double precision, its signature and the rows that prove it.

In a directory these are `model.onnx`, `signature.json` and `checks.json`. The graph's inputs bear the names of the
signature's inputs: DOUBLE [n, 1] for number, integer and boolean (0 or 1), STRING [n, 1] for category. Its outputs bear the
names of the signature's outputs: DOUBLE [n, k], or STRING [n, 1] for a class.
"""

from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from canari.errors import CanariError
from canari.signature import Signature

Value: TypeAlias = float | int | bool | str | None
Columns: TypeAlias = dict[str, list[Value]]  # rows, one list per column; None is missing
Feeds: TypeAlias = dict[str, npt.NDArray[Any]]  # what the graph takes: float64 or object (str), each [n, 1]
Predictions: TypeAlias = dict[str, npt.NDArray[Any]]  # what it answers: float64 [n, k], or object (str) [n, 1] for a class


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with the source's own predictions on them.

    `predictions` maps the names of an output's CSV columns (`Output.columns`) to values; a number that is missing is None,
    one that is infinite is the string "Inf" or "-Inf". `probe` says of each row whether canari made it.
    """

    rows: Columns
    predictions: Columns
    probe: list[bool]

    def __len__(self) -> int:
        return len(self.probe)

    def given(self) -> Columns:
        """The rows that the person gave, without the probes."""
        return {name: [v for v, probe in zip(column, self.probe, strict=True) if not probe] for name, column in self.rows.items()}


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What canari serves; `checks` is None for a model imported unproved."""

    signature: Signature
    onnx: bytes
    checks: Checks | None = None

    def save(self, directory: Path) -> None:
        """Write the model's files into an existing directory."""
        (directory / "model.onnx").write_bytes(self.onnx)
        (directory / "signature.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.signature)))
        if self.checks is not None:
            (directory / "checks.json").write_bytes(msgspec.json.encode(self.checks))


def load_signature(directory: Path) -> Signature:
    """Read only the signature of the model in `directory`."""
    try:
        return msgspec.json.decode((directory / "signature.json").read_bytes(), type=Signature)
    except (OSError, msgspec.MsgspecError) as error:
        raise CanariError(f"{directory} holds no canari model: {error}") from None


def load_model(directory: Path) -> Model:
    """Read the model in `directory`; raise `CanariError` where its files are missing or damaged."""
    signature = load_signature(directory)
    try:
        checks_file = directory / "checks.json"
        checks = msgspec.json.decode(checks_file.read_bytes(), type=Checks) if checks_file.exists() else None
        return Model(signature=signature, onnx=(directory / "model.onnx").read_bytes(), checks=checks)
    except (OSError, msgspec.MsgspecError) as error:
        raise CanariError(f"{directory} holds no canari model: {error}") from None


def number(value: Value) -> float:
    """A check value as a double: None is NaN, "Inf" and "-Inf" are infinite."""
    return np.nan if value is None else float(value)
