"""What the server counts, for Prometheus. Every label has few values: a caller cannot make new ones."""

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from canari.signature import Signature

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST.encode()

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The counters of one served model, in a registry of their own."""

    def __init__(self, signature: Signature) -> None:
        self._registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        self._model = (signature.name, signature.version)
        self._durations = Histogram(
            "canari_request_duration_seconds",
            "From a request's arrival to its answer. `status` is 2xx, 4xx, 5xx or a gRPC status; `synthetic` is a load test's.",
            ["protocol", "route", "status", "synthetic", "model", "version"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._rows = Counter(
            "canari_rows",
            "Rows predicted.",
            ["protocol", "synthetic", "model", "version"],
            registry=self._registry,
        )
        info = Gauge(
            "canari_model", "The model that is served.", ["model", "version", "class", "proved"], registry=self._registry
        )
        info.labels(*self._model, signature.source.model_class, str(signature.proved).lower()).set(1)
        self._of_request: dict[tuple[str, str, str, bool], Histogram] = {}
        self._of_rows: dict[tuple[str, bool], Counter] = {}

    def observe(self, protocol: str, route: str, status: str, seconds: float, *, synthetic: bool, rows: int = 0) -> None:
        """Count one answered request, and the rows that it predicted."""
        key = (protocol, route, status, synthetic)
        duration = self._of_request.get(key)
        if duration is None:
            labels = (protocol, route, status, str(synthetic).lower(), *self._model)
            duration = self._of_request[key] = self._durations.labels(*labels)
        duration.observe(seconds)
        if rows:
            counter = self._of_rows.get((protocol, synthetic))
            if counter is None:
                counter = self._of_rows[protocol, synthetic] = self._rows.labels(protocol, str(synthetic).lower(), *self._model)
            counter.inc(rows)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return prometheus_client.generate_latest(self._registry)
