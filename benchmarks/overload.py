"""Twice the rate that the server can sustain: what accepted requests wait, what becomes of the others, and how soon it is over.

    python benchmarks/overload.py [--seconds 60] [--rounds 1]

Needs wrk, and R with randomForest. A forest of 500 trees with 20 rows a request, so that one core can send twice what one can
answer; 256 connections, an open loop: half of the greatest rate, then twice the greatest rate, then half of it again.
"""

import statistics

import numpy as np
import numpy.typing as npt
from forest import FOREST, fitted
from load import open_loop, wrk
from report import heading, options, table
from rows import many, records
from servers import canari, running

_CONNECTIONS = 256
_SLICE = 0.1  # seconds


def main() -> None:
    """Find the greatest rate, load in three phases, print."""
    chosen = options(__doc__, ("wrk", "Rscript"), seconds=60.0, rounds=1)
    heading("Overload: twice the greatest rate", chosen)
    request = records(many(20))
    normal_seconds = max(5.0, chosen.seconds / 4)
    with fitted() as environment, running(canari(FOREST, environment=environment)) as one:
        # So few connections that none waits long enough to be refused, and enough to keep the server busy.
        greatest = statistics.median(wrk(one, request, 3, connections=4).rate for _ in range(3))
        print(f"Greatest rate {greatest:,.0f} a second.\n")
        phases = [(greatest / 2, normal_seconds), (greatest * 2, chosen.seconds), (greatest / 2, normal_seconds)]
        for _ in range(chosen.rounds):
            answers = open_loop(one.server, request, phases, _CONNECTIONS)
            ends = np.cumsum([seconds for _, seconds in phases])
            phase = np.searchsorted(ends, answers.due, side="right")
            names = ["before", "overload", "after"]
            table(
                ["phase", "a second", "answered 200", "p50 ms", "p99 ms", "answered 503", "p50 ms", "p99 ms", "anything else"],
                [
                    [names[i], f"{rate:,.0f}", *figures(answers.status[phase == i], answers.latency[phase == i])]
                    for i, (rate, _) in enumerate(phases)
                ],
            )
            normal = p99(answers.latency[phase == 0])
            accepted = p99(answers.latency[(phase == 1) & (answers.status == 200)])
            print(f"Accepted requests' p99 is {accepted / normal:.1f} times the normal one. ", end="")
            refused = int((answers.status == 503).sum())
            print(f"{answers.retry_after:,} of {refused:,} answers 503 had Retry-After. ", end="")
            after = phase == 2
            late = recovery(answers.due[after] - ends[1], answers.latency[after], answers.status[after], 2 * normal)
            print(f"After the overload it took {late:.1f} s until a {_SLICE:g} s slice had no 503 and", end=" ")
            print("its slowest tenth began under twice the normal p99.\n", flush=True)


def figures(status: npt.NDArray[np.int64], latency: npt.NDArray[np.float64]) -> list[str]:
    """Shares and latencies of what was accepted, what was refused, and the share of the rest."""
    cells = []
    for wanted in (200, 503):
        of = latency[status == wanted] * 1e3
        cells += [f"{len(of) / len(status):.1%}", *(f"{np.percentile(of, q):.1f}" if len(of) else "-" for q in (50, 99))]
    return [*cells, f"{1 - np.isin(status, (200, 503)).mean():.1%}"]


def p99(latency: npt.NDArray[np.float64]) -> float:
    """In seconds."""
    return float(np.percentile(latency, 99)) if len(latency) else float("nan")


def recovery(
    due: npt.NDArray[np.float64], latency: npt.NDArray[np.float64], status: npt.NDArray[np.int64], limit: float
) -> float:
    """Seconds until the first slice from which on a caller sees nothing of the overload."""
    for number in range(int(due[-1] / _SLICE)):
        of = (due >= number * _SLICE) & (due < (number + 1) * _SLICE)
        if of.any() and (status[of] == 200).all() and np.percentile(latency[of], 90) < limit:
            return number * _SLICE
    return float("nan")


if __name__ == "__main__":
    main()
