"""From a process's start to its first 200 on the readiness path.

    python benchmarks/start.py [--rounds 10]

Needs R with plumber. The files have been read before, so that the system holds them in memory; the ways to serve take turns.
"""

import statistics
import sys

from report import heading, options, table
from servers import GLM, Server, canari, free_port, plumber, running

from canari.serving.bento import build


def main() -> None:
    """Start each of them so many times, print."""
    chosen = options(__doc__, ("Rscript",), rounds=10)
    heading("From the process's start to ready", chosen)
    bento = build(GLM)
    found: dict[str, list[tuple[float, float]]] = {}
    for measured in range(chosen.rounds + 1):
        for server in (
            canari(GLM, "canari serve NAME:VERSION"),
            canari(bento, "canari serve --bento", bento=True),
            bentoml(bento),
            plumber(),
        ):
            with running(server) as one:
                if measured:  # the first one of each fills the system's caches
                    found.setdefault(server.name, []).append((one.seconds_to_ready, one.cpu_seconds()))
    lines = []
    for name, starts in found.items():
        seconds, cpu = zip(*starts, strict=True)
        lines.append(
            [name, *(f"{s:.2f}" for s in (statistics.median(seconds), min(seconds), max(seconds), statistics.median(cpu)))]
        )
    table(["server", "median s", "quickest s", "slowest s", "CPU s"], lines)


def bentoml(bento: str) -> Server:
    """The same bento under BentoML's own server."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", bento, "--port", str(port)]
    return Server("bentoml serve, the same bento", port, command)


if __name__ == "__main__":
    main()
