"""What others would have said of the same requests: Kayenta's judge, a plain threshold on p95, and closed-loop Locust.

Each gets what it would have had: Kayenta two time series for each metric, as a Prometheus would answer its queries; the threshold
the candidate's requests alone; Locust's one user only those answers that it waited for.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from proofs.gate.traces import Trace

Series = npt.NDArray[np.float64]

STEP = 5.0  # seconds: 60 samples of each metric in 300 s; Spinnaker's documentation asks for 50 at least
CONFIDENCE, TOLERANCE = 0.98, 0.25  # as NetflixACAJudge sets them
MARGINAL, PASS = 75.0, 95.0  # the scores that Spinnaker's documentation gives to start with


def kayenta(gates: Sequence[Trace], step: float = STEP) -> bool:
    """Whether Spinnaker fails a release with one run of NetflixACAJudge for each gate.

    A run fails it with a score below the marginal threshold, the last one already with a score below that to pass.
    """
    scores = [score(gate, step) for gate in gates]
    return min(scores) < MARGINAL or scores[-1] < PASS


def score(trace: Trace, step: float = STEP) -> float:
    """The share of metrics that pass in percent: p50, p95, p99 and error rate of each step, of which only an increase is bad.

    Metrics without data do not count; where half of them have none, the score is 0.
    """
    high = []
    for metric in METRICS.values():
        experiment, control = (series(trace, arm, metric, step) for arm in (True, False))
        if len(experiment) and len(control):
            high.append(is_high(experiment, control))
    return 100.0 * (1 - sum(high) / len(high)) if len(high) > len(METRICS) / 2 else 0.0


def series(trace: Trace, candidate: bool, metric: Callable[[Trace], float], step: float) -> Series:
    """A metric of one server in each step of time, by when requests were answered; steps without a value are left out."""
    mine = trace.where(trace.candidate == candidate)
    at = np.floor((mine.due + mine.latency_ms / 1e3) / step)
    values: Series = np.array([metric(mine.where(at == i)) for i in range(math.ceil(trace.seconds / step))])
    return values[np.isfinite(values)]


def is_high(experiment: Series, control: Series, confidence: float = CONFIDENCE, tolerance: float = TOLERANCE) -> bool:
    """Whether Kayenta's MannWhitneyClassifier calls a metric "High": the shift's whole interval is above the tolerance's band.

    The band is a quarter of the estimated shift itself; the effect size (the ratio of the means) must be 1 at least. Series that
    are the same in both pass.
    """
    if np.array_equal(np.sort(experiment), np.sort(control)) or len(np.unique(np.concatenate([experiment, control]))) == 1:
        return False
    if len(np.unique(experiment)) == len(np.unique(control)) == 1:
        return bool(experiment[0] > control[0])  # Kayenta adds noise of 1e-5 of the value, so that it can rank them
    low, estimate, _ = shift(experiment, control, confidence)
    means = float(np.mean(experiment)), float(np.mean(control))
    large = means[0] / means[1] >= 1 if all(means) else True
    return bool(low > tolerance * abs(estimate) and large)


def shift(x: Series, y: Series, confidence: float) -> tuple[float, float, float]:
    """By how much x is shifted against y: the lower end, the Hodges-Lehmann estimate and the upper end.

    From the normal approximation of Mann and Whitney's U with corrections for ties and continuity, as in R's `wilcox.test(x, y,
    conf.int = TRUE, exact = FALSE)`, which Kayenta's own follows.
    """
    least, most = float(x.min() - y.max()), float(x.max() - y.min())

    def excess(by: float, z: float) -> float:
        n, m = len(x), len(y)
        ranks = stats.rankdata(np.concatenate([x - by, y]))
        d = ranks[:n].sum() - n * (n + 1) / 2 - n * m / 2
        _, ties = np.unique(ranks, return_counts=True)
        sigma = math.sqrt(n * m / 12 * (n + m + 1 - (ties**3 - ties).sum() / ((n + m) * (n + m - 1))))
        return float((d - 0.5 * np.sign(d)) / sigma - z) if sigma else -z

    def root(z: float) -> float:
        if excess(least, z) <= 0:
            return least
        return most if excess(most, z) >= 0 else float(optimize.brentq(excess, least, most, args=(z,), xtol=1e-4))

    z = float(stats.norm.ppf((1 + confidence) / 2))
    return root(z), root(0.0), root(-z)


def _quantile(q: float) -> Callable[[Trace], float]:
    return lambda trace: float(np.quantile(trace.latency_ms[~trace.failed], q)) if (~trace.failed).any() else math.nan


METRICS: dict[str, Callable[[Trace], float]] = {
    "p50": _quantile(0.50),
    "p95": _quantile(0.95),
    "p99": _quantile(0.99),
    "error rate": lambda trace: float(trace.failed.mean()) if len(trace) else math.nan,
}


class Threshold:
    """A plain threshold: p95 at most a tenth above what it has been, and errors at most half a percent."""

    def __init__(self, history: Sequence[Trace]) -> None:
        latencies = [trace.latency_ms[~trace.failed] for trace in history]
        self.limit_ms = SLOWER * float(np.quantile(np.concatenate(latencies), 0.95))

    def fails(self, gate: Trace) -> bool:
        """Whether the candidate's requests of one gate break it; the baseline's are not looked at."""
        mine = gate.where(gate.candidate)
        good = mine.latency_ms[~mine.failed]
        return not len(good) or float(np.quantile(good, 0.95)) > self.limit_ms or float(mine.failed.mean()) > ERRORS


SLOWER = 1.1
ERRORS = 0.005


def closed_loop(trace: Trace) -> Trace:
    """What one user of each server sees who waits for every answer, as Locust's with `constant_throughput`.

    Of the recorded requests, those that became due while the user waited for an answer are never sent.
    """
    sent = np.zeros(len(trace), np.bool_)
    for server in (False, True):
        free = -math.inf
        for i in np.flatnonzero(trace.candidate == server):
            if trace.due[i] >= free:
                sent[i] = True
                free = trace.due[i] + trace.latency_ms[i] / 1e3
    return trace.where(sent)
