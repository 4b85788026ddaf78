"""The Open Inference Protocol's gRPC messages: what they ask for, and the answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from canari import __version__
from canari.errors import InputError
from canari.serving import tensors
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.oip_wire import described_output
from canari.serving.tensors import OutputTensor, Tensor
from canari.signature import Signature

# The field of InferTensorContents that holds each datatype.
_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def response_head(signature: Signature, bento: str | None) -> pb.ModelInferResponse:
    """What every response has; `bento` is the tag of the bento that the model is served out of."""
    head = pb.ModelInferResponse(model_name=signature.name, model_version=signature.version)
    if bento is not None:
        head.parameters["bento"].string_param = bento
    return head


def read(request: pb.ModelInferRequest) -> list[Tensor]:
    """A request's tensors; raises `InputError` where they are not as the protocol has them."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"expected one element of raw_input_contents an input, came {len(raw)} for {len(request.inputs)} inputs")
    found = []
    for index, tensor in enumerate(request.inputs):
        if not raw:
            data: Any = _typed(tensor)
        elif tensor.HasField("contents"):
            raise InputError(
                f"tensor {tensor.name[:60]!r} has contents, and the request has raw_input_contents: expected one of them"
            )
        else:
            data = tensors.from_raw(tensor.name, tensor.datatype, raw[index])
        found.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data))
    return found


def write(head: pb.ModelInferResponse, request: pb.ModelInferRequest, outputs: Iterable[OutputTensor]) -> bytes:
    """The response to a request: its outputs, in raw contents where the request came in raw contents."""
    response = pb.ModelInferResponse()
    response.CopyFrom(head)
    response.id = request.id
    for tensor in outputs:
        described = response.outputs.add()
        described.CopyFrom(described_output(tensor.output, len(tensor.array)))
        # Triton's clients read a response in raw contents only.
        if request.raw_input_contents:
            response.raw_output_contents.append(tensor.raw())
        elif tensor.output.kind == "class":
            described.contents.bytes_contents.extend(tensors.encoded(tensor.array))
        else:
            described.contents.fp64_contents.extend(tensor.array.ravel().tolist())
    return response.SerializeToString()


def server_metadata() -> pb.ServerMetadataResponse:
    """What serves."""
    return pb.ServerMetadataResponse(name="canari", version=__version__)


def model_metadata(signature: Signature, bento: str | None) -> pb.ModelMetadataResponse:
    """What is served; an output's labels, for which its own description has no field, are among the properties."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    properties = {"proved": str(signature.proved).lower()}
    properties |= {f"{output.name}.labels": text for output in signature.outputs if (text := tensors.labels(output))}
    if bento is not None:
        properties["bento"] = bento
    return pb.ModelMetadataResponse(
        name=signature.name,
        versions=[signature.version],
        platform=tensors.platform(signature),
        inputs=[tensor(name=c.name, datatype=c.datatype, shape=[-1, 1]) for c in signature.inputs],
        outputs=[tensor(name=o.name, datatype=o.datatype, shape=[-1, o.width]) for o in signature.outputs],
        properties=properties,
    )


def _typed(tensor: pb.ModelInferRequest.InferInputTensor) -> list[Any]:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InputError(f"tensor {tensor.name[:60]!r}: datatype {tensor.datatype[:20]!r} has no typed contents")
    for filled, _ in tensor.contents.ListFields():
        if filled.name != field:
            raise InputError(
                f"tensor {tensor.name[:60]!r}: expected the elements of {tensor.datatype} in {field}, came {filled.name}"
            )
    return list(getattr(tensor.contents, field))
