"""One row of a GLM through each of canari's doors: what a request costs beside /predict, and gRPC beside an empty method.

    python benchmarks/protocols.py [--seconds 5] [--rounds 5]

Needs wrk and ghz. Bodies are those of Triton's own client. The cost is the server's CPU time, and by the clock the reciprocal
of the rate at 16 connections, one request at a time on each.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial

from load import Measured, ghz, post, wrk
from report import heading, options, ratio, table
from rows import ROW, grpc_raw, grpc_typed, oip_binary, oip_json, oip_matrix, records
from servers import GLM, PEERS, Server, canari, free_port, hello, running

_HTTP = {
    "/predict": records([ROW]),
    "OIP REST, JSON": oip_json([ROW]),
    "OIP REST, binary": oip_binary([ROW]),
    "OIP REST, binary, one [1, 7] tensor": oip_matrix([ROW]),
}
_GRPC = {"OIP gRPC, raw contents": grpc_raw([ROW]), "OIP gRPC, typed contents": grpc_typed([ROW])}
_EMPTY_HTTP, _EMPTY_GRPC = "empty uvicorn", "empty grpc.aio method"


def main() -> None:
    """Start, measure in turn, print."""
    chosen = options(__doc__, ("wrk", "ghz"), seconds=5.0, rounds=5)
    heading("One row through each door, 16 connections", chosen)
    port = free_port()
    empty_grpc = Server("empty grpc.aio", port, [sys.executable, PEERS / "empty_grpc.py", str(port)], ready=None, grpc_port=port)
    with running(hello()) as empty, running(empty_grpc) as empty_unary, running(canari(GLM)) as one:
        measure: dict[str, Callable[[float], Measured]] = {_EMPTY_HTTP: partial(wrk, empty, _HTTP["/predict"])}
        absent = []
        for name, request in _HTTP.items():
            status, _, body = post(one.server, request)
            if status == 200:
                measure[name] = partial(wrk, one, request)
            else:
                absent.append(f"{name} is not measured: {status} {body.decode(errors='replace')[:200]}")
        measure[_EMPTY_GRPC] = partial(ghz, empty_unary, _GRPC["OIP gRPC, raw contents"])
        measure |= {name: partial(ghz, one, message) for name, message in _GRPC.items()}
        for run in measure.values():
            run(1)
        found: dict[str, list[Measured]] = {name: [] for name in measure}
        for _ in range(chosen.rounds):
            for name, run in measure.items():
                found[name].append(run(chosen.seconds))
    report(found)
    for line in absent:
        print(f"{line}\n")


def report(found: dict[str, list[Measured]]) -> None:
    """One line a door."""
    lines = []
    for name, rounds in found.items():
        rate, p50, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        empty = found[_EMPTY_GRPC if name in (*_GRPC, _EMPTY_GRPC) else _EMPTY_HTTP]
        predict = found["/predict"]
        lines.append(
            [
                *(name, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:,.0f}"),
                ratio([m.cpu for m in rounds], [m.cpu for m in predict]),
                ratio([1 / m.rate for m in rounds], [1 / m.rate for m in predict]),
                "" if rounds is empty else ratio([m.rate for m in rounds], [m.rate for m in empty], ".0%"),
            ]
        )
    head = ["door", "requests/s", "p50 ms", "p99 ms", "CPU µs a request"]
    table([*head, "CPU, times /predict's", "by the clock, times /predict's", "of the empty server's rate"], lines)


if __name__ == "__main__":
    main()
