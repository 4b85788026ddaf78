"""The Open Inference Protocol v2 over gRPC, beside gRPC's standard health service and server reflection."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from canari.errors import CanariError, InputError
from canari.serving import oip_messages, tensors
from canari.serving.app import App, log_failure
from canari.serving.http import Headers, HttpError
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.oip_wire import WireRows
from canari.serving.request_id import request_id
from canari.serving.settings import Settings
from canari.serving.tensors import OutputTensor

SERVICE = "inference.GRPCInferenceService"

_SERVICES = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"

_Code = grpc.StatusCode
_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_Request = TypeVar("_Request", bound=Message)


class _Result(NamedTuple):
    """A response's bytes, the rows in it, and for how many seconds its request waited."""

    response: bytes
    rows: int = 0
    waited: float = 0.0


_NOTHING = _Result(b"")

# A request's bytes, when it came and until when its caller waits, by perf_counter.
_Method: TypeAlias = Callable[[bytes, float, float | None], Awaitable[_Result]]


class GrpcServer:
    """A gRPC server: made and bound to its port first, given a model to serve later."""

    def __init__(self, address: str, settings: Settings) -> None:
        """Take the port of `address` (HOST:PORT, port 0 for a free one); raises `CanariError` where it is in use."""
        self._server = grpc.aio.server(options=_options(settings))
        self._health = health.aio.HealthServicer()
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise CanariError(f"gRPC cannot listen on {address}: {error}") from None

    async def start(self, app: App) -> None:
        """Serve the application's model."""
        pool = _described_services()
        self._server.add_generic_rpc_handlers((_Service(app).handler(), _reflection_v1(pool)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(_SERVICES, self._server, pool)
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def drain(self) -> None:
        """Tell the health service's callers that the server is going away; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls and give those under way `grace` seconds."""
        await self._server.stop(grace)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_body),
        # More calls of one connection wait at the caller's.
        ("grpc.max_concurrent_streams", 1024),
        # Calls that wait in the network: some beyond the first number are refused, all beyond the second.
        ("grpc.server.max_pending_requests", 512),
        ("grpc.server.max_pending_requests_hard_limit", 1024),
        # A Kubernetes Service chooses a pod for a connection, not for a call: callers find new pods only when they connect again.
        # They are asked to, and what they have under way is answered.
        ("grpc.max_connection_age_ms", 300_000),
        ("grpc.max_connection_age_grace_ms", round(settings.answer_timeout * 1000)),
        # Callers that are gone without a word are found out; those that ping more often than this are sent away.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


class _NotFoundError(Exception):
    """A model or version that is not served here."""


class _Service:
    """The protocol's six methods for one model."""

    def __init__(self, app: App) -> None:
        signature = app.runtime.signature
        self._app = app
        self._signature = signature
        self._head = oip_messages.response_head(signature, app.bento)
        self._rows = WireRows(signature, self._head)
        self._trailer = tuple((name.decode(), value.decode()) for name, value in app.headers)

    def handler(self) -> grpc.GenericRpcHandler:
        """What gRPC calls. Messages are read and written here, not by gRPC, which would log what it cannot read."""
        methods: dict[str, _Method] = {
            "ServerLive": _at_once(pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
            "ServerReady": _at_once(pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=self._app.ready)),
            "ModelReady": _at_once(pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": _at_once(pb.ServerMetadataRequest, lambda _: oip_messages.server_metadata()),
            "ModelMetadata": _at_once(pb.ModelMetadataRequest, self._model_metadata),
            "ModelInfer": self._model_infer,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {name: grpc.unary_unary_rpc_method_handler(self._answering(name, method)) for name, method in methods.items()},
        )

    def _answering(self, name: str, method: _Method) -> Callable[[bytes, _Context], Awaitable[bytes]]:
        """The method with what all have in common: who answers, the request's id, statuses, counters."""
        method_name = f"{SERVICE}/{name}"
        route = f"/{method_name}"

        async def answer(data: bytes, context: _Context) -> bytes:
            started = perf_counter()
            metadata = _headers(context)
            identifier = request_id(metadata.get(b"x-request-id"))
            trailer = (*self._trailer, ("x-request-id", identifier.decode()))
            context.set_trailing_metadata(trailer)
            span = self._app.telemetry.grpc_span(method_name, metadata)
            remaining = context.time_remaining()
            refusal, result = _ANSWERED, _NOTHING
            try:
                result = await method(data, started, None if remaining is None else started + remaining)
            except asyncio.CancelledError:
                refusal = _Refusal(_Code.DEADLINE_EXCEEDED if context.time_remaining() == 0 else _Code.CANCELLED)
                raise
            except Exception as error:  # noqa: BLE001  the caller gets an answer whatever happens
                refusal = _refusal(error)
            finally:
                self._app.telemetry.answered(
                    *("grpc", name, route, refusal.code.name, identifier, metadata, span),
                    arrived=started,
                    waited=result.waited,
                    predicted=None,
                    rows=result.rows,
                    request_bytes=len(data),
                    response_bytes=len(result.response),
                )
            if refusal is not _ANSWERED:
                await context.abort(refusal.code, refusal.details, trailer + refusal.trailer)
            return result.response

        return answer

    def _model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        self._check_model(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._app.ready)

    def _model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        self._check_model(request.name, request.version)
        return oip_messages.model_metadata(self._signature, self._app.bento)

    async def _model_infer(self, data: bytes, started: float, deadline: float | None) -> _Result:
        small = len(data) <= self._app.SMALL_BYTES
        (response, rows), waited = await self._app.queue.run(
            partial(self._infer, data), small=small, arrived=started, deadline=deadline
        )
        return _Result(response, rows, waited)

    def _infer(self, data: bytes) -> tuple[bytes, int]:
        runtime = self._app.runtime
        row = self._rows.read(data)
        if row is not None:
            return self._rows.write(row, runtime.predict_row(row.values)), 1
        request = _read(pb.ModelInferRequest, data)
        self._check_model(request.model_name, request.model_version)
        feeds = tensors.feeds(self._signature, oip_messages.read(request), self._app.settings.max_rows)
        wanted = tensors.wanted_outputs(self._signature, [output.name for output in request.outputs])
        predictions = runtime.predict(feeds)
        outputs = [OutputTensor(output, predictions[output.name]) for output in wanted]
        return oip_messages.write(self._head, request, outputs), outputs[0].shape[0]

    def _check_model(self, name: str, version: str) -> None:
        served = self._signature
        if name != served.name or version not in ("", served.version):
            asked = f"{name[:60]}:{version[:60]}" if version else name[:60]
            raise _NotFoundError(f"no model {asked!r} here: this server serves {served.tag!r}")


class _Refusal(NamedTuple):
    """How a call ends that is not answered."""

    code: grpc.StatusCode
    details: str = ""
    trailer: tuple[tuple[str, str], ...] = ()


_ANSWERED = _Refusal(_Code.OK)


def _refusal(error: Exception) -> _Refusal:
    match error:
        case InputError():
            return _Refusal(_Code.INVALID_ARGUMENT, str(error))
        case _NotFoundError():
            return _Refusal(_Code.NOT_FOUND, str(error))
        case HttpError(status=503):
            seconds = dict(error.headers).get(b"retry-after", b"1")
            return _Refusal(_Code.UNAVAILABLE, str(error), (("grpc-retry-pushback-ms", f"{int(seconds) * 1000}"),))
        case HttpError(status=504):
            return _Refusal(_Code.DEADLINE_EXCEEDED, str(error))
    log_failure(error)
    return _Refusal(_Code.INTERNAL, "the server failed to answer; its log says where")


def _headers(context: _Context) -> Headers:
    """A call's metadata as HTTP's headers are."""
    return {
        key.encode(): value.encode("latin-1", "replace") if isinstance(value, str) else value
        for key, value in context.invocation_metadata() or ()
    }


def _at_once(message: type[_Request], method: Callable[[_Request], Message]) -> _Method:
    """A method that is answered without the model."""

    async def answer(data: bytes, _started: float, _deadline: float | None) -> _Result:
        return _Result(method(_read(message, data)).SerializeToString())

    return answer


def _read(message: type[_Request], data: bytes) -> _Request:
    try:
        return message.FromString(data)
    except DecodeError:
        raise InputError(f"the message is no {message.DESCRIPTOR.full_name} that can be read") from None


def _described_services() -> DescriptorPool:
    """What reflection tells of: the protocol's messages are in a pool of their own, the other services' in Python's."""
    pool = DescriptorPool()
    for file in (pb.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    return pool


def _reflection_v1(pool: DescriptorPool) -> grpc.GenericRpcHandler:
    """Reflection under the name of its first stable version, whose messages are those of v1alpha."""
    servicer = reflection.aio.ReflectionServicer(_SERVICES, pool)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": method})
