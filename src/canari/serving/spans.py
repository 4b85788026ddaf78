"""Requests as OpenTelemetry spans, by the semantic conventions of HTTP and RPC servers, sent to a collector.

A request's spans are made after its answer was sent, from times noted meanwhile: the caller does not wait for them. The provider
is our own and not OpenTelemetry's global one, which BentoML sets up in its own way.
"""

import logging
from http import HTTPMethod
from threading import Thread
from time import monotonic, time_ns
from typing import Self, TypeAlias

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from canari import __version__
from canari.serving.http import Headers
from canari.signature import Signature

log = logging.getLogger("canari.serving")

Attributes: TypeAlias = dict[str, str | int]

# The statuses of gRPC that are errors of the server's, by the semantic conventions.
_RPC_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

_WARN_SECONDS = 60.0


class Span:
    """One request, from the moment when it was started. What it is called is known when it has ended."""

    __slots__ = ("_attributes", "_headers", "_name", "_started", "_tracer", "sampled", "trace_id")

    def __init__(self, tracer: "Tracer", name: str, attributes: Attributes, headers: Headers) -> None:
        self._started = time_ns()
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._headers = headers
        self.trace_id: str | None = None  # 32 hexadecimal digits
        self.sampled = False  # whether the collector gets it

    def end(
        self, status: int | str, *, request_id: bytes, rows: int = 0, waited: float | None = None, predicted: float | None = None
    ) -> None:
        """Make the spans of a request that is answered: its own and, where their seconds are given, the queue's and the model's.

        `status` is HTTP's number or gRPC's name.
        """
        ended = time_ns()
        begin = self._tracer.begin
        span = begin(self._name, self._tracer.parent(self._headers), SpanKind.SERVER, self._attributes, start_time=self._started)
        about = span.get_span_context()
        self.trace_id, self.sampled = f"{about.trace_id:032x}", about.trace_flags.sampled
        if not span.is_recording():
            return
        span.set_attributes(
            {"canari.request_id": request_id.decode("latin-1"), "canari.rows": rows, **_status_attributes(status)}
        )
        if _is_error(status):
            span.set_status(Status(StatusCode.ERROR))
        if waited is not None:
            inside = trace.set_span_in_context(span, Context())
            turn = self._started + int(waited * 1e9)
            begin("queue", inside, start_time=self._started).end(turn)
            if predicted is not None:
                begin("predict", inside, start_time=turn).end(turn + int(predicted * 1e9))
        span.end(ended)


class Tracer:
    """Makes the spans of one model's requests; a thread of its own sends them, a batch at a time."""

    def __init__(self, exporter: SpanExporter, signature: Signature, bento: str | None) -> None:
        # The process ends when its server has drained, see `close`, not when OpenTelemetry thinks so.
        self._provider = TracerProvider(resource=_resource(signature, bento), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.begin = self._provider.get_tracer("canari.serving", __version__).start_span
        self._propagator = propagate.get_global_textmap()
        self._fields = [(field, field.encode()) for field in self._propagator.fields]

    @classmethod
    def sending(cls, protocol: str, signature: Signature, bento: str | None) -> Self:
        """A tracer that sends by OTLP over `protocol`, "http/protobuf" or "grpc"; the OTEL_ variables say where, and all else.

        Raises ValueError where one of them has a value that it cannot have.
        """
        for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logger = logging.getLogger(name)
            logger.addHandler(_complaints)
            logger.propagate = False
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter  # noqa: PLC0415

            return cls(GrpcExporter(), signature, bento)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter  # noqa: PLC0415

        return cls(HttpExporter(), signature, bento)

    def start(self, method: str, route: str | None, headers: Headers) -> Span:
        """Begin with an HTTP request; `route` is its path's template, None where it has none."""
        known = method in HTTPMethod.__members__
        attributes: Attributes = {"http.request.method": method if known else "_OTHER", "url.scheme": "http"}
        name = method if known else "HTTP"
        if route is not None:
            attributes["http.route"] = route
            name = f"{name} {route}"
        return Span(self, name, attributes, headers)

    def start_rpc(self, method: str, metadata: Headers) -> Span:
        """Begin with a gRPC call of `method`, "package.Service/Method"; its metadata are like headers."""
        return Span(self, method, {"rpc.system.name": "grpc", "rpc.method": method}, metadata)

    def parent(self, headers: Headers) -> Context:
        """What the caller says of the trace that a request belongs to."""
        carrier = {field: headers[raw].decode("latin-1") for field, raw in self._fields if raw in headers}
        return self._propagator.extract(carrier, Context()) if carrier else Context()

    def close(self, timeout: float = 5.0) -> None:
        """Send what is left, if the collector takes it within `timeout` seconds."""
        closing = Thread(target=self._provider.shutdown, name="canari-traces-close", daemon=True)
        closing.start()
        closing.join(timeout)


class _Complaints(logging.Handler):
    """Passes OpenTelemetry's warnings on, each in one line and not again for a minute: a collector that is away fills no log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now = monotonic()
        if now >= self._next.get(str(record.msg), now):
            self._next[str(record.msg)] = now + _WARN_SECONDS
            log.warning("traces: %s", " ".join(record.getMessage().split())[:300])


_complaints = _Complaints()


def _resource(signature: Signature, bento: str | None) -> Resource:
    """Who sends the spans: the model, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES call it otherwise."""
    ours = {"canari.model": signature.name, "canari.version": signature.version, **({"canari.bento": bento} if bento else {})}
    defaults = {"service.name": signature.name, "service.version": signature.version}
    given = OTELResourceDetector().detect().attributes
    return Resource.create({**ours, **{name: value for name, value in defaults.items() if name not in given}})


def _status_attributes(status: int | str) -> Attributes:
    name = "http.response.status_code" if isinstance(status, int) else "rpc.response.status_code"
    return {name: status, "error.type": str(status)} if _is_error(status) else {name: status}


def _is_error(status: int | str) -> bool:
    return status >= 500 if isinstance(status, int) else status in _RPC_ERRORS
