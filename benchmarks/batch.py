"""Ten thousand rows of a GLM in one request, in every form: what reading, predicting and writing take, and onnxruntime alone.

    python benchmarks/batch.py [--rounds 30] [--rows 10000]

The parts are timed inside this process, by a runtime that notes when it is asked and when it has answered. The whole is timed by
a client of `canari serve`, one request at a time on one connection.
"""

import statistics
from http.client import HTTPConnection
from time import perf_counter
from typing import NamedTuple

from load import Request
from report import heading, options, ratio, table
from rows import FORMATS, bare, feeds, many
from servers import GLM, canari, running

from canari import store
from canari.model import Feeds, Predictions
from canari.runtime.onnx import OnnxRuntime
from canari.serving.app import App
from canari.serving.http import Request as HttpRequest


class Parts(NamedTuple):
    """Milliseconds of one request: its three parts in the process, the whole for a client, and the bare graph's beside it."""

    read: float
    predict: float
    write: float
    whole: float
    bare: float


class NotingRuntime(OnnxRuntime):
    """Notes when it is asked and when it has answered."""

    asked = answered = 0.0

    def predict(self, feeds: Feeds) -> Predictions:
        """Predict as it does."""
        self.asked = perf_counter()
        predictions = super().predict(feeds)
        self.answered = perf_counter()
        return predictions


def main() -> None:
    """Time each form in turn, print."""
    chosen = options(__doc__, (), rounds=30, rows=10_000)
    heading(f"{chosen.rows:,} rows in one request", chosen)
    model, rows = store.get(GLM), many(chosen.rows)
    runtime = NotingRuntime(model.signature, model.onnx)
    app, session, arrays = App(runtime), bare(model.onnx), feeds(rows)
    requests = {name: write(rows) for name, write in FORMATS.items()}
    found: dict[str, list[Parts]] = {}
    absent = {}
    with running(canari(GLM)) as one:
        connection = HTTPConnection("127.0.0.1", one.server.port, timeout=60)
        for measured in range(-2, chosen.rounds):  # two more, to warm up
            for name, request in requests.items():
                if name in absent:
                    continue
                started = perf_counter()
                connection.request("POST", request.path, request.body, dict(request.headers))
                answer = connection.getresponse()
                said = answer.read()
                whole = perf_counter() - started
                if answer.status != 200:
                    absent[name] = f"{answer.status} {said.decode(errors='replace')[:200]}"
                    continue
                parts = inside(app, runtime, request)
                started = perf_counter()
                session.run(None, arrays)
                alone = perf_counter() - started
                if measured >= 0:
                    found.setdefault(name, []).append(Parts(*(seconds * 1e3 for seconds in (*parts, whole, alone))))
        connection.close()
    lines = []
    for name, rounds in found.items():
        medians = Parts(*(statistics.median(column) for column in zip(*rounds, strict=True)))
        times = ratio([r.predict + r.write for r in rounds], [r.bare for r in rounds])
        size = len(requests[name].body) / 1e3
        lines.append([name, f"{size:,.0f}", *(f"{part:.2f}" for part in medians), times])
    head = ["form", "kB", "read ms", "predict ms", "write ms", "whole, for a client ms", "bare onnxruntime ms"]
    table([*head, "predict and write, times bare"], lines)
    for name, why in absent.items():
        print(f"{name} is not measured: {why}\n")


def inside(app: App, runtime: NotingRuntime, request: Request) -> tuple[float, float, float]:
    """Seconds of reading, predicting and writing, from the body in to the body out."""
    headers = {name.encode(): value.encode() for name, value in request.headers.items()}
    route = app.route(request.path)
    if route is None:
        raise RuntimeError(f"no route answers {request.path}")
    started = perf_counter()
    answer = app.answer(route, HttpRequest("POST", request.path, headers, request.body))
    ended = perf_counter()
    if answer.status != 200:
        raise RuntimeError(f"{request.path}: {answer.body[:200]!r}")
    return runtime.asked - started, runtime.answered - runtime.asked, ended - runtime.answered


if __name__ == "__main__":
    main()
