"""Recording traces: two processes of the same version under the gate's own load."""

import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from canari.errors import CanariError
from canari.gate.plan import Load, LoadPlan
from canari.gate.recording import read, to_table
from canari.gate.rows import GENERATED, generate, records
from canari.rehearsal.processes import stopping_on_signals
from proofs.gate.neighbour import noisy_neighbour
from proofs.gate.traces import Trace, load_trace, of_table
from proofs.results import OUT
from proofs.servers import Served, models

TRACES = OUT / "gate" / "traces"
RATE = 200.0  # requests a second to each
STRETCH = 100.0  # seconds that are recorded of one pair of processes

_WARMUP = 3.0
_TIMEOUT = 10.0
_SPARE = 60.0  # seconds for the generator to start and to end


def record(
    kind: str, minutes: float, *, noisy: bool, folder: Path = TRACES, stretch: float = STRETCH, rate: float = RATE
) -> None:
    """Record traces named after `kind` until there are so many minutes of them; each stretch has fresh servers."""
    with ExitStack() as processes:
        processes.enter_context(stopping_on_signals())
        logs = Path(processes.enter_context(TemporaryDirectory(prefix="canari-proof-")))
        model, *_ = processes.enter_context(models())
        rows = records(generate(model.signature.inputs, GENERATED, seed=0))
        while (recorded := _recorded(kind, folder)) < minutes * 60:
            number = len(list(folder.glob(f"{kind}-*.npz")))
            with Served(model.signature.tag, logs / "a.log") as a, Served(model.signature.tag, logs / "b.log") as b:
                for server in (a, b):
                    server.until_ready()
                plan = LoadPlan(
                    urls={"baseline": a.url, "candidate": b.url},
                    rows=rows,
                    rate=rate,
                    arrivals="poisson",
                    duration_s=stretch + _WARMUP,
                    warmup_s=_WARMUP,
                    timeout_s=_TIMEOUT,
                    seed=time.time_ns() % 2**31,
                    locustfile=None,
                    recording=str(logs / "requests.ndjson"),
                )
                with noisy_neighbour(plan.seed) if noisy else nullcontext():
                    load = send(plan)
            trace = of_table(to_table(read(Path(plan.recording))), load)
            if len(trace) < sum(load.asked.values()):
                raise CanariError(f"only {len(trace)} of {sum(load.asked.values())} requests were recorded")
            trace.save(folder / f"{kind}-{number:03}.npz")
            print(f"{kind}: {(recorded + trace.seconds) / 60:.1f} of {minutes:g} minutes, {describe(trace)}", flush=True)


def send(plan: LoadPlan) -> Load:
    """Send a load as the gate does; raises `CanariError` with what the generator said where it fails."""
    ran = subprocess.run(
        [sys.executable, "-m", "canari.gate.load"],
        input=msgspec.json.encode(plan),
        capture_output=True,
        timeout=plan.duration_s + 2 * plan.timeout_s + _SPARE,
        check=False,
    )
    if ran.returncode:
        raise CanariError(f"the load generator failed: {ran.stderr.decode(errors='replace')[-500:]}")
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=Load)


def traces(kind: str, folder: Path = TRACES) -> list[Trace]:
    """All the traces of a kind; raises `CanariError` where there is none."""
    found = [load_trace(path) for path in sorted(folder.glob(f"{kind}-*.npz"))]
    if not found:
        raise CanariError(f"{folder}: there are no traces of the kind {kind!r}; record them first: python -m proofs.gate record")
    return found


def kinds(folder: Path = TRACES) -> list[str]:
    """The kinds that were recorded."""
    return sorted({path.stem.rpartition("-")[0] for path in folder.glob("*-*.npz")})


def describe(trace: Trace) -> str:
    """Both servers' latencies in a line."""
    quantiles = [np.quantile(trace.latency_ms[trace.candidate == arm], (0.5, 0.95, 0.99)) for arm in (False, True)]
    texts = [" ".join(f"{value:.2f}" for value in values) for values in quantiles]
    return f"p50 p95 p99 {texts[0]} and {texts[1]} ms, {trace.failed.sum()} failed, generator {trace.cpu:.0%} of a core"


def _recorded(kind: str, folder: Path) -> float:
    return sum(load_trace(path).seconds for path in folder.glob(f"{kind}-*.npz"))
