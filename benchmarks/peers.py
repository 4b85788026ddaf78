"""One row of a GLM over HTTP: canari beside an empty server, and beside other servers with the same model.

    python benchmarks/peers.py [--seconds 5] [--rounds 5]

All servers run at the same time and are measured in turn, so that the ratios hold on a machine whose speed varies. Needs wrk, R
with plumber, and the peers' environments, which `make peers` installs. A peer that does not start is reported as such.
"""

import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from load import Measured, Request, post, wrk
from report import heading, options, ratio, table
from rows import ROW, records
from servers import GLM, PEERS, RDS, ROOT, Running, Server, canari, free_port, hello, plumber, running

from canari import store


class Contender(NamedTuple):
    """A server, the request that asks it for the row, and where its answer holds the prediction."""

    server: Server
    request: Request
    prediction: Callable[[Any], float] | None


def main() -> None:
    """Start, compare, measure, print."""
    chosen = options(__doc__, ("wrk", "Rscript"), seconds=5.0, rounds=5)
    heading("One row over HTTP, 16 connections", chosen)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started: dict[str, tuple[Running, Contender]] = {}
        absent = []
        for contender in contenders(folder):
            try:
                started[contender.server.name] = (stack.enter_context(running(contender.server)), contender)
            except (RuntimeError, OSError) as error:
                if contender.server.name in ("hello-world", "canari"):
                    raise
                absent.append(f"{contender.server.name} is not measured: {error}")
        check_equal([contender for _, contender in started.values()])
        for one, contender in started.values():
            wrk(one, contender.request, 1)
        found: dict[str, list[Measured]] = {name: [] for name in started}
        for _ in range(chosen.rounds):
            for name, (one, contender) in started.items():
                found[name].append(wrk(one, contender.request, chosen.seconds))
        memory = {name: one.memory() for name, (one, _) in started.items()}
    report(found, memory)
    for line in absent:
        print(f"{line}\n")


def contenders(folder: Path) -> Iterator[Contender]:
    """The servers; `folder` takes the files that they need."""
    yield Contender(hello(), records([ROW]), None)
    yield Contender(canari(GLM), records([ROW]), lambda answer: answer["predictions"][0]["prediction"])
    yield Contender(plumber(), records([ROW]), lambda answer: answer["predictions"])
    environment = {"MODEL_ONNX": str(store.directory(GLM) / "model.onnx"), "BENTOML_HOME": str(folder)}
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "bentoml_service:Plain", "--port", str(port)]
    yield Contender(
        Server("BentoML @bentoml.api", port, command, environment=environment, folder=PEERS),
        Request("/predict", json.dumps({"rows": [ROW]}).encode()),
        lambda answer: answer[0]["prediction"],
    )
    coefficients = subprocess.run(["Rscript", PEERS / "coefficients.R", RDS], capture_output=True, text=True, check=True).stdout
    port, python = free_port(), environment_python("vetiver")
    yield Contender(
        Server("vetiver", port, [python, PEERS / "vetiver_server.py", coefficients, str(port)], ready="/ping"),
        records([ROW]),
        lambda answer: answer["predict"][0],
    )
    yield mlserver(folder, coefficients)


def mlserver(folder: Path, coefficients: str) -> Contender:
    """MLServer's scikit-learn runtime, without parallel workers, the quicker of its ways on two cores; one [1, 7] tensor."""
    python = environment_python("mlserver")
    settings = {"name": "glm", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./glm.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    if python.exists():
        subprocess.run([python, PEERS / "glm.py", coefficients, folder / "glm.joblib"], check=True)
    ports = {f"MLSERVER_{kind}_PORT": str(free_port()) for kind in ("HTTP", "GRPC", "METRICS")}
    server = Server(
        "MLServer scikit-learn",
        int(ports["MLSERVER_HTTP_PORT"]),
        [python.with_name("mlserver"), "start", folder],
        ready="/v2/health/ready",
        environment=ports | {"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false", "PYTHONPATH": str(PEERS)},
        folder=folder,
    )
    tensor = {"name": "x", "shape": [1, len(ROW)], "datatype": "FP64", "data": list(ROW.values())}
    body = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
    request = Request("/v2/models/glm/infer", json.dumps(body).encode())
    return Contender(server, request, lambda answer: answer["outputs"][0]["data"][1])


def environment_python(peer: str) -> Path:
    """The Python that has the peer."""
    return ROOT / f".venv-peers-{peer}" / "bin" / "python"


def check_equal(contenders: list[Contender]) -> None:
    """All must answer the same number, or they do not do the same work."""
    answers = {}
    for contender in contenders:
        if contender.prediction is not None:
            status, _, body = post(contender.server, contender.request)
            if status != 200:
                sys.exit(f"{contender.server.name} answers {status}: {body.decode(errors='replace')[:300]}")
            answers[contender.server.name] = float(contender.prediction(json.loads(body)))
    if not all(math.isclose(answer, answers["canari"], rel_tol=1e-9) for answer in answers.values()):
        sys.exit(f"the servers do not answer the same: {answers}")


def report(found: dict[str, list[Measured]], memory: dict[str, tuple[float, float]]) -> None:
    """One line a server."""
    rates = {name: [m.rate for m in rounds] for name, rounds in found.items()}
    lines = []
    for name, rounds in found.items():
        rate, p50, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        others = [
            ratio(rates[name], rates["hello-world"], ".1%") if name != "hello-world" else "",
            ratio(rates["canari"], rates[name], ".1f") if name not in ("hello-world", "canari") else "",
        ]
        lines.append([name, f"{rate:,.0f}", *others, f"{p50:.2f}", f"{p99:.2f}", f"{cpu:,.0f}", f"{memory[name][0]:,.0f}"])
    head = ["server", "requests/s", "of hello-world", "canari is times", "p50 ms", "p99 ms", "CPU µs a request", "RSS MB"]
    table(head, lines)


if __name__ == "__main__":
    main()
