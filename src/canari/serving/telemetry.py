"""What is told of each request, over HTTP and gRPC: it is counted, traced where there is a collector, perhaps logged."""

from time import perf_counter
from typing import TYPE_CHECKING

from canari.serving import tracing
from canari.serving.access_log import AccessLog, Entry
from canari.serving.http import Headers
from canari.serving.metrics import Metrics
from canari.serving.settings import Settings
from canari.signature import Signature

if TYPE_CHECKING:
    from canari.serving.spans import Span

# A load test marks its requests with this header, or metadata; they are counted apart.
SYNTHETIC = b"x-canari-synthetic"


class Telemetry:
    """The metrics, the access log and the tracer of one served model. Used on the event loop's thread."""

    def __init__(self, signature: Signature, settings: Settings, bento: str | None) -> None:
        self.metrics = Metrics(signature, bento)
        self._access_log = AccessLog(settings.access_log, signature, bento) if settings.access_log else None
        self._tracer = tracing.from_environment(signature, bento)

    @property
    def lines_dropped(self) -> int:
        """How many lines of the access log were lost."""
        return 0 if self._access_log is None else self._access_log.dropped

    def http_span(self, method: str, route: str | None, headers: Headers) -> "Span | None":
        """The span of a request that begins; `route` is None where there is none."""
        return None if self._tracer is None else self._tracer.start(method, route, headers)

    def grpc_span(self, method: str, metadata: Headers) -> "Span | None":
        """The span of a call that begins; `method` is "package.Service/Method"."""
        return None if self._tracer is None else self._tracer.start_rpc(method, metadata)

    def answered(
        self,
        protocol: str,
        method: str,
        route: str,
        status: int | str,
        request_id: bytes,
        headers: Headers,
        span: "Span | None",
        *,
        arrived: float,
        waited: float,
        predicted: float | None,
        rows: int,
        request_bytes: int,
        response_bytes: int,
    ) -> None:
        """Tell of a request that was answered.

        `status` is HTTP's number or gRPC's name, `headers` also the metadata of a call, `arrived` by perf_counter, `waited` the
        seconds in the queue, `predicted` those with the model where they were taken.
        """
        duration = perf_counter() - arrived
        synthetic = SYNTHETIC in headers
        trace_id = None
        if span is not None:
            span.end(status, request_id=request_id, rows=rows, waited=waited, predicted=predicted)
            trace_id = span.trace_id
            self.metrics.observe(
                protocol, route, status, duration, synthetic=synthetic, rows=rows, trace_id=trace_id if span.sampled else None
            )
        else:
            self.metrics.observe(protocol, route, status, duration, synthetic=synthetic, rows=rows)
        log = self._access_log
        if log is not None and log.wants(status):
            trace_id = trace_id or tracing.trace_id(headers.get(b"traceparent"))
            log.write(
                Entry(
                    *(request_id, trace_id, protocol, method, route, status, duration, waited, rows),
                    *(request_bytes, response_bytes, synthetic),
                )
            )

    def close(self) -> None:
        """Write and send what is left."""
        if self._access_log is not None:
            self._access_log.close()
        if self._tracer is not None:
            self._tracer.close()
