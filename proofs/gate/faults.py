"""Faults put into the candidate's requests of a trace, each with all the rest of it as it was recorded."""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from proofs.gate.traces import Trace

Latencies = npt.NDArray[np.float64]


def slower_above(q: float, factor: float) -> Callable[[Trace, np.random.Generator], Trace]:
    """All of the candidate's latencies from its q-quantile on take `factor` times as long."""

    def apply(trace: Trace, _random: np.random.Generator) -> Trace:
        latency = trace.latency_ms.copy()
        slow = trace.candidate & (latency >= np.quantile(latency[trace.candidate], q))
        latency[slow] *= factor
        return msgspec.structs.replace(trace, latency_ms=latency)

    return apply


def slower_at_random(share: float, factor: float) -> Callable[[Trace, np.random.Generator], Trace]:
    """Each of the candidate's requests takes `factor` times as long with the probability `share`."""

    def apply(trace: Trace, random: np.random.Generator) -> Trace:
        slow = trace.candidate & (random.random(len(trace)) < share)
        return msgspec.structs.replace(trace, latency_ms=np.where(slow, factor * trace.latency_ms, trace.latency_ms))

    return apply


def errors(share: float) -> Callable[[Trace, np.random.Generator], Trace]:
    """Each of the candidate's requests is answered with 503 with the probability `share`, as fast as it was."""

    def apply(trace: Trace, random: np.random.Generator) -> Trace:
        wrong = trace.candidate & (random.random(len(trace)) < share)
        return msgspec.structs.replace(trace, failed=trace.failed | wrong, status=np.where(wrong, 503, trace.status))

    return apply


def freezes(frozen: float, period: float) -> Callable[[Trace, np.random.Generator], Trace]:
    """The candidate does nothing for `frozen` seconds of each `period`, from a random moment on.

    Who comes meanwhile waits until the end, and then for those who came before, each of whom keeps the server for its service
    time: the hundredth part of the candidate's requests is answered as fast or faster, so that it is a time without queueing.
    """

    def apply(trace: Trace, random: np.random.Generator) -> Trace:
        mine = np.flatnonzero(trace.candidate)
        service = float(np.quantile(trace.latency_ms[mine], 0.01)) / 1e3
        first = random.uniform(-period, 0)
        latency = trace.latency_ms.copy()
        latency[mine] += 1e3 * waits(trace.due[mine], service, first, frozen, period)
        return msgspec.structs.replace(trace, latency_ms=latency)

    return apply


def waits(due: Latencies, service: float, first: float, frozen: float, period: float) -> Latencies:
    """How long each request that is due at `due` [n] waits, in seconds, for freezes and for the queue behind them.

    The queue is Lindley's (Proc. Cambridge Phil. Soc. 48, 1952), but only for what waits for a freeze: what requests wait for one
    another at other times is in their recorded latencies already.
    """
    free = -np.inf  # when the queue behind the last freeze has been answered
    waited = np.zeros(len(due))
    for i, moment in enumerate(due):
        since = (moment - first) % period
        start = max(free, moment + frozen - since if since < frozen else moment)
        if start > moment:
            waited[i] = start - moment
            free = start + service
    return waited


FAULTS: dict[str, Callable[[Trace, np.random.Generator], Trace]] = {
    "20 % slower at p95": slower_above(0.90, 1.2),
    "50 % slower at p99 only": slower_above(0.98, 1.5),
    "1 % errors": errors(0.01),
    "freezes 1 s each 20 s": freezes(1.0, 20.0),
    "1 request in 200 at 10 times": slower_at_random(1 / 200, 10.0),
    "10 times slower": slower_above(0.0, 10.0),
    "all errors": errors(1.0),
}
MEANING = {
    "20 % slower at p95": "every latency from the candidate's p90 on times 1.2",
    "50 % slower at p99 only": "every latency from its p98 on times 1.5",
    "1 % errors": "1 request in 100 at random is answered with 503",
    "freezes 1 s each 20 s": "arrivals in the freeze wait for its end, then are answered in order",
    "1 request in 200 at 10 times": "1 request in 200 at random takes 10 times as long",
    "10 times slower": "every latency times 10",
    "all errors": "every answer is 503, as fast as it was",
}
