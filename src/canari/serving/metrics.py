"""What the server counts, for Prometheus. Every label has few values: a caller cannot make new ones.

The counters are plain numbers, because prometheus_client's own take a lock at each change: 2 µs a request. They are changed on
the event loop's thread only; read they are on any.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from time import time

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from canari.signature import Signature

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()

_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # seconds
_LE = (*map(floatToGoString, _BOUNDS), "+Inf")

_MODEL = ["model", "version"]
_LANES = ("inline", "threads")
_REASONS = ("overload", "deadline", "draining")


class _Series:
    """One histogram: how many lie in each bucket (not cumulated), their sum, since when; the rows predicted meanwhile."""

    __slots__ = ("counts", "created", "exemplars", "rows", "sum")

    def __init__(self) -> None:
        self.counts = [0] * len(_LE)
        self.sum = 0.0
        self.rows = 0
        self.created = time()
        self.exemplars: dict[int, Exemplar] = {}  # by bucket


class Metrics(Collector):
    """The counters of one served model, in a registry of their own."""

    def __init__(self, signature: Signature, bento: str | None = None) -> None:
        self._requests: dict[tuple[str, str, int | str, bool], _Series] = {}  # by what `observe` is told
        self._durations: dict[tuple[str, str, str, str], _Series] = {}  # the same ones, by labels
        self._waits = {lane: _Series() for lane in _LANES}
        self._refused = dict.fromkeys(_REASONS, 0)
        self._queued: Callable[[], Mapping[str, int]] = lambda: dict.fromkeys(_LANES, 0)
        self._in_flight: Callable[[], int] = lambda: 0
        self._lines_dropped: Callable[[], int] = lambda: 0
        self._model = (signature.name, signature.version)
        self._about = (*self._model, bento or "", signature.source.model_class, str(signature.proved).lower())
        self._created = time()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def watch(
        self, *, queued: Callable[[], Mapping[str, int]], in_flight: Callable[[], int], lines_dropped: Callable[[], int]
    ) -> None:
        """Ask at each scrape: how many requests wait, by lane, how many are not answered yet, how many log lines were lost."""
        self._queued, self._in_flight, self._lines_dropped = queued, in_flight, lines_dropped

    def observe(
        self,
        protocol: str,
        route: str,
        status: int | str,
        seconds: float,
        synthetic: bool = False,
        rows: int = 0,
        trace_id: str | None = None,
    ) -> None:
        """Count one answered request, and the rows that it predicted.

        `status` is HTTP's number or gRPC's name; `trace_id` is that of a trace which was recorded, to be found as an exemplar.
        """
        series = self._requests.get((protocol, route, status, synthetic))
        if series is None:
            series = self._first(protocol, route, status, synthetic)
        bucket = bisect_left(_BOUNDS, seconds)
        series.counts[bucket] += 1
        series.sum += seconds
        series.rows += rows
        if trace_id is not None:
            series.exemplars[bucket] = Exemplar({"trace_id": trace_id}, seconds, time())

    def waited(self, lane: str, seconds: float) -> None:
        """Count a request that left the queue's lane ("inline" or "threads") for the model."""
        series = self._waits[lane]
        series.counts[bisect_left(_BOUNDS, seconds)] += 1
        series.sum += seconds

    def refused(self, reason: str) -> None:
        """Count a request that was turned away: "overload", "deadline" or "draining"."""
        self._refused[reason] += 1

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)

    def exposition(self, accept: str) -> tuple[bytes, bytes]:
        """All of them in the format that an Accept header asks for, text or OpenMetrics, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except ValueError:  # a version that is none
            return self.text(), CONTENT_TYPE
        return encode(self._registry), content_type.encode()

    def _first(self, protocol: str, route: str, status: int | str, synthetic: bool) -> _Series:
        status_class = f"{status // 100}xx" if isinstance(status, int) else status
        labels = (protocol, route, status_class, str(synthetic).lower())
        series = self._requests[protocol, route, status, synthetic] = self._durations.setdefault(labels, _Series())
        return series

    def collect(self) -> Iterator[Metric]:
        """What there is now, as prometheus_client's registry asks for it."""
        durations = HistogramMetricFamily(
            "canari_request_duration_seconds",
            "From a request's arrival to its answer. `status` is 2xx, 4xx, 5xx or a gRPC status; `synthetic` is a load test's.",
            labels=["protocol", "route", "status", "synthetic", *_MODEL],
        )
        predicted: dict[tuple[str, str], tuple[int, float]] = {}
        for (protocol, route, status, synthetic), series in list(self._durations.items()):
            _add(durations, (protocol, route, status, synthetic, *self._model), series)
            before, since = predicted.get((protocol, synthetic), (0, series.created))
            predicted[protocol, synthetic] = before + series.rows, min(since, series.created)
        yield durations

        rows = CounterMetricFamily("canari_rows", "Rows predicted.", labels=["protocol", "synthetic", *_MODEL])
        for key, (number, created) in predicted.items():
            rows.add_metric((*key, *self._model), number, created=created)
        yield rows

        waits = HistogramMetricFamily(
            "canari_queue_seconds", "How long requests waited for the model, by lane of the queue.", labels=["lane", *_MODEL]
        )
        for lane, series in self._waits.items():
            _add(waits, (lane, *self._model), series)
        yield waits

        queued = GaugeMetricFamily("canari_queue_length", "Requests that wait for the model now.", labels=["lane", *_MODEL])
        for lane, length in self._queued().items():
            queued.add_metric((lane, *self._model), length)
        yield queued

        in_flight = GaugeMetricFamily("canari_requests_in_flight", "Requests that are not answered yet.", labels=_MODEL)
        in_flight.add_metric(self._model, self._in_flight())
        yield in_flight

        refused = CounterMetricFamily("canari_refused", "Requests turned away, by reason.", labels=["reason", *_MODEL])
        for reason, times in self._refused.items():
            refused.add_metric((reason, *self._model), times, created=self._created)
        yield refused

        dropped = CounterMetricFamily(
            "canari_log_lines_dropped", "Lines of the access log that nobody read in time.", labels=_MODEL
        )
        dropped.add_metric(self._model, self._lines_dropped(), created=self._created)
        yield dropped

        served = GaugeMetricFamily("canari_model", "The model that is served.", labels=[*_MODEL, "bento", "class", "proved"])
        served.add_metric(self._about, 1)
        yield served


def _add(family: HistogramMetricFamily, labels: Sequence[str], series: _Series) -> None:
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for bucket, counted in enumerate(accumulate(series.counts)):
        exemplar = series.exemplars.get(bucket)
        buckets.append((_LE[bucket], counted) if exemplar is None else (_LE[bucket], counted, exemplar))
    family.add_metric(labels, buckets, series.sum)
    family.add_sample(f"{family.name}_created", dict(family.samples[-1].labels), series.created)
