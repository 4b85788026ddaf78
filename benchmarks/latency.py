"""Latency of one row of a GLM at half of canari's greatest rate, beside an empty server's at the same rate.

    python benchmarks/latency.py [--seconds 10] [--rounds 5]

Needs wrk. The rate is constant whatever the servers do (an open loop), and latencies count from when a request was due.
"""

import statistics

import numpy as np
from load import CONNECTIONS, open_loop, wrk
from report import heading, options, ratio, table
from rows import ROW, records
from servers import GLM, canari, hello, running

_PERCENTILES = (50, 99, 99.9)


def main() -> None:
    """Find the greatest rate, measure in turn, print."""
    chosen = options(__doc__, ("wrk",), seconds=10.0, rounds=5)
    heading("Latency at half of the greatest rate, 16 connections", chosen)
    request = records([ROW])
    with running(hello()) as empty, running(canari(GLM)) as one:
        wrk(one, request, 1)
        greatest = statistics.median(wrk(one, request, chosen.seconds / 3).rate for _ in range(3))
        found: dict[str, list[list[float]]] = {"hello-world": [], "canari": []}
        for _ in range(chosen.rounds):
            for name, server in (("hello-world", empty.server), ("canari", one.server)):
                answers = open_loop(server, request, [(greatest / 2, chosen.seconds)], CONNECTIONS)
                answers.check(name)
                found[name].append((np.percentile(answers.latency, _PERCENTILES) * 1e3).tolist())
    print(f"Greatest rate {greatest:,.0f} a second, so {greatest / 2:,.0f} a second here.\n")
    lines = []
    for name, rounds in found.items():
        columns = list(zip(*rounds, strict=True))
        lines.append([name, *(f"{statistics.median(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in columns)])
    both = zip(*found["canari"], strict=True), zip(*found["hello-world"], strict=True)
    lines.append(["canari, times hello-world", *(ratio(ours, empty) for ours, empty in zip(*both, strict=True))])
    table(["server", *(f"p{p:g} ms" for p in _PERCENTILES)], lines)


if __name__ == "__main__":
    main()
