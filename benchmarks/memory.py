"""Memory of the process that serves a GLM: after its start, and after each 100,000 requests, half over REST, half over gRPC.

    python benchmarks/memory.py [--rounds 3] [--requests 100000]

Needs ghz.
"""

from load import CONNECTIONS, ghz, open_loop
from report import heading, options, table
from rows import ROW, grpc_raw, oip_binary, records
from servers import GLM, Running, canari, running


def main() -> None:
    """Load and look, in turn."""
    chosen = options(__doc__, ("ghz",), rounds=3, requests=100_000)
    heading("Memory with the GLM", chosen)
    lines = []
    with running(canari(GLM)) as one:
        lines.append(line("after the start", one))
        for number in range(1, chosen.rounds + 1):
            load(one, chosen.requests)
            lines.append(line(f"after {number * chosen.requests:,} requests", one))
    table(["", "RSS MB", "PSS MB"], lines)


def load(one: Running, requests: int) -> None:
    """So many requests, as fast as they are answered."""
    for request in (records([ROW]), oip_binary([ROW])):
        # A rate beyond any server's: each connection sends as soon as it has its answer.
        open_loop(one.server, request, [(1e6, requests / 4 / 1e6)], CONNECTIONS).check(one.server.name)
    ghz(one, grpc_raw([ROW]), 0, total=requests // 2)


def line(when: str, one: Running) -> list[str]:
    """A row of the table."""
    rss, pss = one.memory()
    return [when, f"{rss:.1f}", f"{pss:.1f}"]


if __name__ == "__main__":
    main()
