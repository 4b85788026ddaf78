"""Two answers to one request: the same, or in which fields do they differ?

They are compared as a caller reads them, field by field: an output that one of them lacks is a difference, whatever the model
means by it. Which model and version answered, and the request's `id`, are no part of it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from canari.gate import answers
from canari.model import Value

Fields: TypeAlias = Mapping[str, Sequence[Value]]  # by field, one value a row
Kind: TypeAlias = Literal["number", "class", "missing", "rows", "field"]

_INFINITE = {"Inf": math.inf, "-Inf": -math.inf}  # as POST /predict writes them
_LARGEST_INTEGER = 2**64
_MAX_ROWS = 10_000  # as many as a server of canari takes in one request
_RAW_TYPES = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"} | {
    f"{sign}INT{bits}": f"<{letter}{bits // 8}" for sign, letter in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)
}


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers a and b are the same where |a - b| <= absolute + relative * |a|."""

    absolute: float = 1e-6
    relative: float = 1e-6


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one row that differs. It holds no predicted value: that would be somebody's."""

    field: str
    row: int  # from 1; 0 where the whole field or the number of rows differs
    kind: Kind  # a number, a class, missing in one of the two; another number of rows; a field that only one of the two has
    by: float | None  # candidate minus stable, where both are finite numbers

    @property
    def size(self) -> float:
        """How large, for sorting: what is no difference of numbers is larger than any."""
        return math.inf if self.by is None else abs(self.by)


class FieldResult(msgspec.Struct, frozen=True, kw_only=True):
    """One field of both answers."""

    field: str
    rows: int  # that both have
    different: int  # rows beyond the tolerance
    shifts: tuple[float, ...]  # candidate minus stable, of the rows where both are finite numbers
    worst: Difference | None  # None where nothing differs


def predict_fields(body: bytes) -> Fields:
    """The fields of an answer of `POST /predict`; raises ValueError where it is none."""
    fields: dict[str, list[Value]] = {}
    records = answers.predictions(body)
    _check_count(len(records))
    for row, record in enumerate(records):
        for name, value in record.items():
            parts = {f"{name} of {label}": v for label, v in value.items()} if isinstance(value, dict) else {name: value}
            for field, part in parts.items():
                if field not in fields:
                    fields[field] = [None] * len(records)  # a field that some records lack is missing there
                fields[field][row] = _scalar(part)
    return fields


class _OutputTensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _InferAnswer(msgspec.Struct):
    outputs: list[_OutputTensor]


def infer_fields(body: bytes, json_length: str | None = None) -> Fields:
    """The fields of an inference answer of the Open Inference Protocol; raises ValueError where it is none.

    `json_length` is its header Inference-Header-Content-Length: what follows in the body are tensors as raw bytes.
    """
    length = len(body) if json_length is None else int(json_length)
    try:
        outputs = msgspec.json.decode(body[:length], type=_InferAnswer).outputs
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the answer is no inference: {error}") from None
    raw = body[length:]
    fields: dict[str, list[Value]] = {}
    for tensor in outputs:
        _check_count(max(tensor.shape, default=0))
        values = tensor.data
        if values is None:
            size = tensor.parameters.get("binary_data_size")
            if type(size) is not int or not 0 <= size <= len(raw):
                raise ValueError(f"the answer's tensor {tensor.name!r} has no data")
            values, raw = _from_raw(tensor.datatype, raw[:size]), raw[size:]
        columns = math.prod(tensor.shape[1:])
        if not tensor.shape or len(values) != tensor.shape[0] * columns:
            raise ValueError(f"the answer's tensor {tensor.name!r} does not have the elements of its shape")
        for column, label in enumerate(_labels(tensor, columns)):
            name = tensor.name if columns == 1 else f"{tensor.name} of {label}"
            fields[name] = [_scalar(value) for value in values[column::columns]]
    return fields


def compare(stable: Fields, candidate: Fields, tolerance: Tolerance) -> list[FieldResult]:
    """Compare field by field; those of the candidate that stable lacks come last."""
    return [_compare(field, stable.get(field), candidate.get(field), tolerance) for field in dict.fromkeys([*stable, *candidate])]


def _compare(field: str, stable: Sequence[Value] | None, candidate: Sequence[Value] | None, tolerance: Tolerance) -> FieldResult:
    if stable is None or candidate is None or len(stable) != len(candidate):
        kind: Kind = "field" if stable is None or candidate is None else "rows"
        whole = Difference(field=field, row=0, kind=kind, by=None)
        return FieldResult(field=field, rows=0, different=1, shifts=(), worst=whole)
    found, shifts = [], []
    for row, (ours, theirs) in enumerate(zip(stable, candidate, strict=True), start=1):
        shift = _shift(ours, theirs)
        if shift is not None:
            shifts.append(shift)
            if abs(shift) > tolerance.absolute + tolerance.relative * abs(float(ours or 0.0)):
                found.append(Difference(field=field, row=row, kind="number", by=shift))
        elif ours != theirs:
            found.append(Difference(field=field, row=row, kind=_kind(ours, theirs), by=None))
    worst = max(found, key=lambda one: one.size, default=None)
    return FieldResult(field=field, rows=len(stable), different=len(found), shifts=tuple(shifts), worst=worst)


def _shift(stable: Value, candidate: Value) -> float | None:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (stable, candidate)):
        return None
    shift = float(candidate or 0.0) - float(stable or 0.0)
    return shift if math.isfinite(shift) else None


def _kind(stable: Value, candidate: Value) -> Kind:
    if stable is None or candidate is None:
        return "missing"
    return "class" if isinstance(stable, str | bool) or isinstance(candidate, str | bool) else "number"


def _check_count(rows: int) -> None:
    if rows > _MAX_ROWS:
        raise ValueError(f"the answer has {rows} rows, more than any request may have")


def _scalar(value: Any) -> Value:
    """A value of an answer, infinities as numbers and NaN as missing; raises ValueError for a list or an object."""
    if isinstance(value, str):
        return _INFINITE.get(value, value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _LARGEST_INTEGER):
        return value
    raise ValueError("the answer holds a list, an object or an endless integer where a value belongs")


def _labels(tensor: _OutputTensor, columns: int) -> list[str]:
    """What its columns are called: its labels where it gives one for each, else their numbers."""
    try:
        labels = json.loads(tensor.parameters.get("labels", "[]"))
    except (TypeError, ValueError):
        labels = []
    return labels if isinstance(labels, list) and len(labels) == columns else [str(i) for i in range(1, columns + 1)]


def _from_raw(datatype: str, raw: bytes) -> list[Any]:
    if datatype == "BYTES":
        texts, at = [], 0
        while at < len(raw):
            end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
            texts.append(raw[at + 4 : end].decode())
            at = end
        return texts
    if datatype not in _RAW_TYPES:
        raise ValueError(f"the answer has a tensor of the datatype {datatype[:20]!r}")
    return list(np.frombuffer(raw, _RAW_TYPES[datatype]).tolist())
