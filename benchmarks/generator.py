"""How many open-loop requests one load generator on one core sends in time, beside Locust's own closed loop and wrk.

    python benchmarks/generator.py [--seconds 5] [--rounds 3]

Needs two cores, and wrk. The server answers at once, from the other core: what is late is late by the generator's own doing.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from load import CONNECTIONS, wrk
from report import heading, options, table
from rows import ROW, records
from servers import Running, Server, free_port, running

from canari.gate.plan import Load, LoadPlan
from canari.gate.recording import read, to_table

_RATES = (500, 1000, 2500, 5000, 7500, 10_000, 12_500)
_WARMUP = 0.5  # seconds

# As many callers as wrk has connections, each asking again as soon as it is answered.
_CLOSED_LOOP = """
from locust import FastHttpUser, task
class Caller(FastHttpUser):
    fixed_count = {connections}
    @task
    def call(self):
        self.client.post("/predict", data={body!r}, headers={{"content-type": "application/json"}})
"""


def open_loop(url: str, rate: float, seconds: float) -> tuple[float, float, float, float]:
    """One gate's load at `rate`, half to each arm: sent a second, p50 and p99 of the delay in ms, share of a core."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "requests.ndjson")
        plan = LoadPlan(
            urls={"baseline": url, "candidate": url},
            rows=[{**ROW, "age": float(age)} for age in range(20, 80)],
            rate=rate / 2,
            arrivals="poisson",
            duration_s=seconds,
            warmup_s=_WARMUP,
            timeout_s=10.0,
            seed=1,
            locustfile=None,
            recording=str(recording),
        )
        command = [sys.executable, "-m", "canari.gate.load"]
        said = subprocess.run(command, input=msgspec.json.encode(plan), capture_output=True, check=True).stdout
        load = msgspec.json.decode(said.splitlines()[-1], type=Load)
        found = to_table(read(recording))
    found = found.where(found.intended >= load.measured_from)
    if found.failed.any():
        raise RuntimeError(f"{found.failed.sum()} of {len(found)} requests failed: {set(found.error) - {''}}")
    p50, p99 = np.percentile(found.delay_ms, (50, 99))
    sent = found.intended + found.delay_ms / 1e3
    return len(found) / max(float(sent.max()) - load.measured_from, seconds - _WARMUP), float(p50), float(p99), load.cpu


def closed_loop(url: str, seconds: float) -> float:
    """Requests a second of Locust's fast user as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        locustfile = Path(folder, "locustfile.py")
        locustfile.write_text(_CLOSED_LOOP.format(body=records([ROW]).body, connections=CONNECTIONS))
        command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--host", url, "--json"]
        command += ["--users", str(CONNECTIONS), "--spawn-rate", "100", "--run-time", f"{max(2, round(seconds))}s"]
        (entry,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    if entry["num_failures"]:
        raise RuntimeError(f"Locust: {entry['num_failures']} of {entry['num_requests']} requests failed")
    return float(entry["num_requests"] / (entry["last_request_timestamp"] - entry["start_time"]))


def pin(server: Running) -> None:
    """Put the server on one core, and all that this process starts from now on, on another."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("expected two cores, came one")
    server.process.cpu_affinity([cores[1]])
    os.sched_setaffinity(0, {cores[0]})


def main() -> None:
    """Measure in turn, print."""
    chosen = options(__doc__, ("wrk",), seconds=5.0, rounds=3)
    heading("One load generator on one core", chosen)
    port = free_port()
    command = [sys.executable, str(Path(__file__).parent / "peers" / "instant.py"), str(port)]
    with running(Server("instant", port, command, ready=None)) as server:
        pin(server)
        url = f"http://127.0.0.1:{port}"
        found: dict[int, list[tuple[float, float, float, float]]] = {rate: [] for rate in _RATES}
        closed, ceiling = [], []
        for _ in range(chosen.rounds):
            for rate, rounds in found.items():
                rounds.append(open_loop(url, rate, chosen.seconds))
            closed.append(closed_loop(url, chosen.seconds))
            ceiling.append(wrk(server, records([ROW]), chosen.seconds).rate)
    lines = [
        [f"canari's open loop, {rate:,} a second"]
        + [f"{statistics.median(column):{form}}" for column, form in zip(zip(*rounds, strict=True), _FORMS, strict=True)]
        for rate, rounds in found.items()
    ]
    lines.append([f"Locust's FastHttpUser, {CONNECTIONS} callers", f"{statistics.median(closed):,.0f}", "", "", "100%"])
    lines.append([f"wrk, {CONNECTIONS} connections", f"{statistics.median(ceiling):,.0f}", "", "", "100%"])
    table(["generator", "sent a second", "delay p50 ms", "delay p99 ms", "of a core"], lines)


_FORMS = (",.0f", ".2f", ".2f", ".0%")

if __name__ == "__main__":
    main()
