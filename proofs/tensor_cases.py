"""Inference requests that are wrong: the tensors of the Open Inference Protocol, however they are sent."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from canari.serving.tensors import RAW_TYPES
from canari.signature import Input, Signature
from proofs.mutations import MARKER_NUMBER, bare, twice, wrong_value

_DATATYPES = {"number": ("FP64", "FP32"), "integer": ("INT64", "INT32"), "boolean": ("BOOL",), "category": ("BYTES",)}
_NEVER = {
    "number": ("BYTES", "BOOL", "BF16"),
    "integer": ("BYTES", "BOOL", "BF16"),
    "boolean": ("BYTES", "FP64", "INT8"),
    "category": ("FP64", "INT64", "BOOL"),
}


def infer_request(rng: Random, signature: Signature, row: dict[str, Any]) -> dict[str, Any]:
    """A valid request for one row, one tensor a column."""
    return {"inputs": [_tensor(rng, column, row[column.name]) for column in signature.inputs]}


def wrong_infer_request(rng: Random, signature: Signature, row: dict[str, Any], marker: str) -> tuple[str, dict[str, Any]]:
    """What was done, and a request with data in its JSON that must be refused."""
    request = infer_request(rng, signature, row)
    tensors = request["inputs"]
    index = rng.randrange(len(tensors))
    tensor, column = tensors[index], signature.inputs[index]

    def describe(what: str, **changes: Any) -> str:
        tensor.update(changes)
        return what

    def leave_out() -> str:
        del tensor[rng.choice(("name", "shape", "datatype", "data"))]
        return "a tensor's key is missing"

    def drop() -> str:
        del tensors[index]
        return "a tensor is missing"

    def repeat() -> str:
        tensors.append(dict(tensor))
        return "a tensor comes twice"

    def ask(**changes: Any) -> str:
        request.update(changes)
        return f"a wrong {next(iter(changes))}"

    wrongs: list[Callable[[], str]] = [
        leave_out,
        drop,
        repeat,
        lambda: describe("an unknown tensor", name=marker),
        lambda: describe("a name that is no text", name=rng.choice([MARKER_NUMBER, None, [marker]])),
        lambda: describe("a wrong datatype", datatype=rng.choice([*_NEVER[column.kind], marker, "fp64", "", "STRING", 64, None])),
        lambda: describe("a wrong shape", shape=wrong_shape(rng, marker)),
        lambda: describe("too many elements", data=tensor["data"] * rng.randrange(2, 5)),
        lambda: describe("no elements", data=rng.choice([[], None, {}, marker])),
        lambda: describe("nested data", data=[[tensor["data"]]]),
        lambda: describe("a wrong element", data=[wrong_value(rng, column, marker)]),
        lambda: describe("another shape than the others", shape=[2, 1], data=tensor["data"] * 2),
        lambda: describe("raw bytes that did not come", parameters={"binary_data_size": rng.choice([8, 2**63, -1, marker])}),
        lambda: describe("shared memory", parameters={"shared_memory_region": marker}, data=None),
        lambda: describe("wrong parameters", parameters=rng.choice([[marker], marker, {marker: [marker]}])),
        lambda: describe("a key twice", **{twice("name"): rng.choice([column.name, marker])}),
        lambda: ask(inputs=rng.choice([[], None, marker, {"name": marker}, [marker], bare(marker)])),
        lambda: ask(outputs=rng.choice([[{"name": marker}], [marker], marker, [{"name": signature.outputs[0].name}] * 2])),
        lambda: ask(outputs=[{"name": signature.outputs[0].name, "parameters": {"classification": 3}}]),
        lambda: ask(id=rng.choice([MARKER_NUMBER, [marker], {}])),
        lambda: ask(parameters=rng.choice([[marker], {"binary_data_output": marker}, {marker: None}])),
        lambda: ask(**{twice("inputs"): tensors}),
    ]
    return rng.choice(wrongs)(), request


def wrong_shape(rng: Random, marker: str) -> Any:
    """A shape that no tensor of one row has."""
    wrong: list[Any] = [
        [],
        [0],
        [0, 1],
        [-1],
        [-1, 1],
        [1, 2],
        [3],
        [1, 1, 1],
        [2**62, 4],
        [2**70],
        ["1"],
        [marker],
        None,
        1,
        [1.5],
        [True],
    ]
    return rng.choice(wrong)


def raw_element(column: Input, datatype: str, value: Any) -> bytes:
    """One element as it lies in a raw buffer."""
    if column.kind == "category":
        text = str(value or "").encode()
        return len(text).to_bytes(4, "little") + text
    array: bytes = np.array([np.nan if value is None else value]).astype(RAW_TYPES[datatype]).tobytes()
    return array


def _tensor(rng: Random, column: Input, value: Any) -> dict[str, Any]:
    datatype = rng.choice(_DATATYPES[column.kind])
    return {"name": column.name, "shape": rng.choice(([1], [1, 1])), "datatype": datatype, "data": [value]}
