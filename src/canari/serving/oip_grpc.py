"""The Open Inference Protocol v2 over gRPC, beside gRPC's standard health service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from canari import __version__
from canari.errors import CanariError, InputError
from canari.serving import tensors
from canari.serving.app import INLINE_BYTES, SYNTHETIC, App, log_failure
from canari.serving.http import MAX_BODY
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.tensors import OutputTensor, Tensor

SERVICE = "inference.GRPCInferenceService"

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_Method: TypeAlias = Callable[[Any], Awaitable[tuple[Any, int]]]

# The field of InferTensorContents that holds each datatype.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class GrpcServer:
    """A gRPC server: made and bound to its port first, given a model to serve later."""

    def __init__(self, address: str) -> None:
        """Take the port of `address` (HOST:PORT, port 0 for a free one); raises `CanariError` where it is in use."""
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_BODY)]
        self._server = grpc.aio.server(options=options)
        self._health = health.aio.HealthServicer()
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise CanariError(f"gRPC cannot listen on {address}: {error}") from None

    async def start(self, app: App) -> None:
        """Serve the application's model."""
        self._server.add_generic_rpc_handlers((_Service(app).handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def drain(self) -> None:
        """Tell the health service's callers that the server is going away; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls and give those under way `grace` seconds."""
        await self._server.stop(grace)


class _NotFoundError(Exception):
    """A model or version that is not served here."""


class _Service:
    """The protocol's six methods for one model."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._signature = app.runtime.signature
        self._labels = {output.name: tensors.labels(output) for output in self._signature.outputs}
        self._trailer = (
            ("x-canari-model", self._signature.name),
            ("x-canari-version", self._signature.version),
            *(() if self._signature.proved else (("x-canari-unproved", "true"),)),
        )

    def handler(self) -> grpc.GenericRpcHandler:
        methods: dict[str, tuple[_Method, Any]] = {
            "ServerLive": (self._server_live, pb.ServerLiveRequest),
            "ServerReady": (self._server_ready, pb.ServerReadyRequest),
            "ModelReady": (self._model_ready, pb.ModelReadyRequest),
            "ServerMetadata": (self._server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": (self._model_metadata, pb.ModelMetadataRequest),
            "ModelInfer": (self._model_infer, pb.ModelInferRequest),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._answering(name, method),
                    request_deserializer=request.FromString,
                    response_serializer=lambda message: message.SerializeToString(),
                )
                for name, (method, request) in methods.items()
            },
        )

    def _answering(self, name: str, method: _Method) -> Callable[[Any, _Context], Awaitable[Any]]:
        """The method with what all have in common: the model's name beside the answer, statuses, counters."""
        route = f"/{SERVICE}/{name}"

        async def answer(request: Any, context: _Context) -> Any:
            started = perf_counter()
            context.set_trailing_metadata(self._trailer)
            status, details, rows, response = grpc.StatusCode.OK, "", 0, None
            try:
                response, rows = await method(request)
            except InputError as error:
                status, details = grpc.StatusCode.INVALID_ARGUMENT, str(error)
            except _NotFoundError as error:
                status, details = grpc.StatusCode.NOT_FOUND, str(error)
            except Exception as error:  # noqa: BLE001  the caller gets an answer whatever happens
                log_failure(error)
                status, details = grpc.StatusCode.INTERNAL, "the server failed to answer; its log says where"
            synthetic = any(key == SYNTHETIC.decode() for key, _ in context.invocation_metadata() or ())
            self._app.metrics.observe("grpc", route, status.name, perf_counter() - started, synthetic=synthetic, rows=rows)
            if status is not grpc.StatusCode.OK:
                await context.abort(status, details, self._trailer)
            return response

        return answer

    async def _server_live(self, _request: pb.ServerLiveRequest) -> tuple[pb.ServerLiveResponse, int]:
        return pb.ServerLiveResponse(live=True), 0

    async def _server_ready(self, _request: pb.ServerReadyRequest) -> tuple[pb.ServerReadyResponse, int]:
        return pb.ServerReadyResponse(ready=self._app.ready), 0

    async def _model_ready(self, request: pb.ModelReadyRequest) -> tuple[pb.ModelReadyResponse, int]:
        self._check_model(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._app.ready), 0

    async def _server_metadata(self, _request: pb.ServerMetadataRequest) -> tuple[pb.ServerMetadataResponse, int]:
        return pb.ServerMetadataResponse(name="canari", version=__version__), 0

    async def _model_metadata(self, request: pb.ModelMetadataRequest) -> tuple[pb.ModelMetadataResponse, int]:
        self._check_model(request.name, request.version)
        signature = self._signature
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return (
            pb.ModelMetadataResponse(
                name=signature.name,
                versions=[signature.version],
                platform=tensors.platform(signature),
                inputs=[tensor(name=c.name, datatype=c.datatype, shape=[-1, 1]) for c in signature.inputs],
                outputs=[tensor(name=o.name, datatype=o.datatype, shape=[-1, o.width]) for o in signature.outputs],
            ),
            0,
        )

    async def _model_infer(self, request: pb.ModelInferRequest) -> tuple[pb.ModelInferResponse, int]:
        self._check_model(request.model_name, request.model_version)
        if request.ByteSize() <= INLINE_BYTES:
            return self._infer(request)
        return await asyncio.get_running_loop().run_in_executor(self._app.pool, self._infer, request)

    def _infer(self, request: pb.ModelInferRequest) -> tuple[pb.ModelInferResponse, int]:
        feeds = tensors.feeds(self._signature, _tensors(request))
        wanted = tensors.wanted_outputs(self._signature, [output.name for output in request.outputs])
        predictions = self._app.runtime.predict(feeds)
        outputs = [OutputTensor(output, predictions[output.name]) for output in wanted]
        response = pb.ModelInferResponse(model_name=self._signature.name, model_version=self._signature.version, id=request.id)
        for tensor in outputs:
            output = tensor.output
            described = response.outputs.add(name=output.name, datatype=output.datatype, shape=tensor.shape)
            if text := self._labels[output.name]:
                described.parameters["labels"].string_param = text
            # A request in raw contents is answered in raw contents, as Triton's clients expect.
            if request.raw_input_contents:
                response.raw_output_contents.append(tensor.raw())
            elif output.kind == "class":
                described.contents.bytes_contents.extend(tensors.encoded(tensor.array))
            else:
                described.contents.fp64_contents.extend(tensor.array.ravel().tolist())
        return response, outputs[0].shape[0]

    def _check_model(self, name: str, version: str) -> None:
        served = self._signature
        if name != served.name or version not in ("", served.version):
            asked = f"{name[:60]}:{version[:60]}" if version else name[:60]
            raise _NotFoundError(f"no model {asked!r} here: this server serves {served.tag!r}")


def _tensors(request: pb.ModelInferRequest) -> list[Tensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"expected one element of raw_input_contents an input, came {len(raw)} for {len(request.inputs)} inputs")
    found = []
    for index, tensor in enumerate(request.inputs):
        if raw and tensor.HasField("contents"):
            raise InputError(
                f"tensor {tensor.name[:60]!r} has contents, and the request has raw_input_contents: expected one of them"
            )
        if raw:
            data: Sequence[Any] = tensors.from_raw(tensor.name, tensor.datatype, raw[index])
        elif tensor.datatype in _CONTENTS:
            data = list(getattr(tensor.contents, _CONTENTS[tensor.datatype]))
        else:
            raise InputError(f"tensor {tensor.name[:60]!r}: datatype {tensor.datatype[:20]!r} has no typed contents")
        found.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data))
    return found
