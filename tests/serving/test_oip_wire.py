"""What is read from bytes is what protobuf and `to_feeds` read; what is written is what protobuf reads."""

import math
import struct
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import InputError
from canari.model import Model
from canari.runtime.feeds import row_feeds
from canari.serving import oip_messages, tensors
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.oip_wire import WireRows
from tests.conftest import LEVELS, make_classifier, make_toy

TOY, CLASSIFIER = make_toy(), make_classifier()


def rows_of(model: Model) -> WireRows:
    return WireRows(model.signature, oip_messages.response_head(model.signature, "toy_service:abc"))


TOY_ROWS = rows_of(TOY)

FIELDS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
LAYOUTS = {"FP64": "<d", "INT64": "<q", "BOOL": "<?"}


def request(values: tuple[Any, ...], *, raw: bool, identity: str = "", version: str = "") -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="toy", model_version=version, id=identity)
    for column, value in zip(TOY.signature.inputs, values, strict=True):
        element = value.encode() if isinstance(value, str) else value
        tensor = message.inputs.add(name=column.name, datatype=column.datatype, shape=[1, 1])
        if not raw:
            getattr(tensor.contents, FIELDS[column.datatype]).append(element)
        elif column.datatype == "BYTES":
            message.raw_input_contents.append(struct.pack("<I", len(element)) + element)
        else:
            message.raw_input_contents.append(struct.pack(LAYOUTS[column.datatype], element))
    return message


def as_tensors_read_it(data: bytes) -> list[Any] | None:
    """The feeds of a message's one row the long way, flat; None where it is refused."""
    try:
        message = pb.ModelInferRequest.FromString(data)
        feeds = tensors.feeds(TOY.signature, oip_messages.read(message))
    except (InputError, DecodeError):
        return None
    return [feeds[column.name].ravel().tolist() for column in TOY.signature.inputs]


rows = st.tuples(
    st.one_of(st.floats(allow_nan=True), st.sampled_from([0.0, -0.0, 1e308])),
    st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**53, 2**53 + 1, 127, 128])),
    st.booleans(),
    st.one_of(st.sampled_from(LEVELS), st.text(max_size=8), st.text(min_size=130, max_size=140)),
)


@given(rows, st.booleans(), st.text(max_size=140), st.sampled_from(["", "1"]))
def test_what_is_read_is_what_tensors_read(values: tuple[Any, ...], raw: bool, identity: str, version: str) -> None:
    message = request(values, raw=raw, identity=identity, version=version)
    row = TOY_ROWS.read(message.SerializeToString())
    if row is None:
        return
    feeds = row_feeds(TOY.signature.inputs, row.values)
    assert [feeds[c.name].ravel().tolist() for c in TOY.signature.inputs] == as_tensors_read_it(message.SerializeToString())
    answer = pb.ModelInferResponse.FromString(TOY_ROWS.write(row, [0.25]))
    assert (answer.id, row.raw) == (identity, raw)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("age", [0.0, -1.5, 1e300])
@pytest.mark.parametrize("visits", [0, 1, 127, 128, 20_000, 2**31, 2**53])
@pytest.mark.parametrize("exercise", LEVELS)
def test_an_ordinary_row_is_read(raw: bool, age: float, visits: int, exercise: str) -> None:
    values = (age, visits, True, exercise)
    row = TOY_ROWS.read(request(values, raw=raw, identity="r-1", version="1").SerializeToString())
    assert row is not None
    assert tuple(row.values) == values


CHANGES = st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3)


@given(st.booleans(), CHANGES, st.integers(0, 20))
def test_changed_bytes_are_read_as_protobuf_reads_them_or_not(raw: bool, changes: list[tuple[int, int]], cut: int) -> None:
    sent = bytearray(request((30.0, 200, True, "some"), raw=raw).SerializeToString())
    for at, byte in changes:
        sent[at % len(sent)] = byte
    del sent[len(sent) - cut :]
    row = TOY_ROWS.read(bytes(sent))
    if row is not None:
        feeds = row_feeds(TOY.signature.inputs, row.values)
        assert [feeds[c.name].ravel().tolist() for c in TOY.signature.inputs] == as_tensors_read_it(bytes(sent))


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("label", "probabilities"), [("Ümlaut", [0.25, 0.5, 0.25]), (None, [math.nan] * 3), ("setosa", [1.0, 0.0, 5e-324])]
)
def test_what_is_written_is_what_messages_write(raw: bool, label: str | None, probabilities: list[float]) -> None:
    signature = CLASSIFIER.signature
    message = pb.ModelInferRequest(model_name="iris", id="r-1")
    tensor = message.inputs.add(name="x", datatype="FP64", shape=[1, 1])
    if raw:
        message.raw_input_contents.append(struct.pack("<d", 1.0))
    else:
        tensor.contents.fp64_contents.append(1.0)
    wire = rows_of(CLASSIFIER)
    row = wire.read(message.SerializeToString())
    assert row is not None
    arrays = (np.array([[label]], np.object_), np.array([probabilities]))
    outputs = [tensors.OutputTensor(output, array) for output, array in zip(signature.outputs, arrays, strict=True)]
    written = oip_messages.write(oip_messages.response_head(signature, "toy_service:abc"), message, outputs)
    ours, theirs = (
        pb.ModelInferResponse.FromString(data).SerializeToString(deterministic=True)
        for data in (wire.write(row, [label, probabilities]), written)
    )
    assert ours == theirs
