"""Requests per second of one-row predictions: canari, an empty server in the same uvicorn, and plumber with the same model in R.

    python benchmarks/serving.py [--model diabetes:1 --rds models/diabetes/diabetes-1.rds] [--seconds 5] [--rounds 3]

All three run at the same time and are measured in turn, so that the ratios hold on a machine whose speed varies. Needs wrk,
and R with plumber, for whose server `--rds` is the file that the model was imported from.
"""

import argparse
import asyncio
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvicorn
import uvloop

from canari import store
from canari.serving.openapi import example_row
from canari.serving.server import uvicorn_settings

CONNECTIONS = 16

PLUMBER = """
library(plumber)
arguments <- commandArgs(trailingOnly = TRUE)
model <- readRDS(arguments[1])$model
answer <- function(req) list(predictions = predict(model, req$body, type = "response"))
server <- pr_post(pr(), "/predict", answer, serializer = serializer_unboxed_json(digits = 17))
server <- pr_get(server, "/readyz", function() "ready")
pr_run(server, port = as.integer(arguments[2]), docs = FALSE, quiet = TRUE)
"""


class Rate(NamedTuple):
    """What wrk measured: requests a second, and latencies as wrk prints them."""

    requests: float
    median: str
    p99: str


async def hello(
    scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answer anything with five bytes, without looking at it."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def main() -> None:
    """Measure and print the table, in Markdown."""
    options = arguments()
    if options.hello:
        server = uvicorn.Server(uvicorn.Config(hello, port=options.hello, **uvicorn_settings()))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve())
        return
    for tool in ("wrk", "Rscript"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed")
    body = json.dumps([example_row(store.get(options.model).signature)])
    rates: dict[str, list[Rate]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "plumber.R").write_text(PLUMBER)
        (folder / "request.lua").write_text(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {json.dumps(body)}\n'
        )
        ports = {name: free_port() for name in ("hello-world", "canari", "plumber")}
        commands = {
            "hello-world": [sys.executable, __file__, "--hello", str(ports["hello-world"])],
            "canari": [
                *(sys.executable, "-m", "canari", "serve", options.model),
                *("--http-port", str(ports["canari"]), "--grpc-port", "0"),
            ],
            "plumber": ["Rscript", str(folder / "plumber.R"), str(options.rds), str(ports["plumber"])],
        }
        for name, command in commands.items():
            stack.enter_context(running(name, command, ports[name]))
        check_equal(ports, body)
        for measured in range(options.rounds + 1):
            for name, port in ports.items():
                rate = wrk(port, folder / "request.lua", options.seconds if measured else 1)
                if measured:  # the first round only warms up
                    rates.setdefault(name, []).append(rate)
    print(table(rates, options))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="diabetes:1", metavar="NAME:VERSION")
    parser.add_argument("--rds", type=Path, default=Path(__file__).parents[1] / "models" / "diabetes" / "diabetes-1.rds")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hello", type=int, metavar="PORT", help=argparse.SUPPRESS)  # this file is the empty server, too
    return parser.parse_args()


@contextmanager
def running(name: str, command: list[str], port: int) -> Iterator[None]:
    """The server from its first answer on; ended at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} did not start: {' '.join(command)}")
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def check_equal(ports: dict[str, int], body: str) -> None:
    """Both must answer the same number, or they do not do the same work."""
    answers = []
    for name in ("canari", "plumber"):
        url = f"http://127.0.0.1:{ports[name]}/predict"
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"}).json()["predictions"]
        found = answer[0] if isinstance(answer, list) else answer
        answers.append(float(next(iter(found.values())) if isinstance(found, dict) else found))
    if abs(answers[0] - answers[1]) > 1e-9 * max(1.0, abs(answers[1])):
        sys.exit(f"canari answers {answers[0]}, plumber {answers[1]}")


def wrk(port: int, script: Path, seconds: int) -> Rate:
    """One run of wrk; every answer must be a success."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/predict",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"not every request was answered:\n{said}")
    requests, median, p99 = (re.search(p, said) for p in (r"Requests/sec:\s+([\d.]+)", r"50%\s+(\S+)", r"99%\s+(\S+)"))
    if not (requests and median and p99):
        sys.exit(f"wrk said something else than expected:\n{said}")
    return Rate(float(requests[1]), median[1], p99[1])


def table(rates: dict[str, list[Rate]], options: argparse.Namespace) -> str:
    """The rounds' medians, side by side, and the ratios to the empty server and to plumber."""
    middle = {name: sorted(found)[len(found) // 2] for name, found in rates.items()}
    spread = {name: max(r.requests for r in found) / min(r.requests for r in found) - 1 for name, found in rates.items()}
    command = f"python benchmarks/serving.py --model {options.model} --seconds {options.seconds} --rounds {options.rounds}"
    lines = [
        f"`{command}`: one row, {CONNECTIONS} connections, median of {options.rounds} rounds.",
        "",
        "| server | requests/s | of hello-world | times plumber | p50 | p99 | spread of rounds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rate in middle.items():
        of_hello = statistics.median(
            mine.requests / empty.requests for mine, empty in zip(rates[name], rates["hello-world"], strict=True)
        )
        times = statistics.median(mine.requests / r.requests for mine, r in zip(rates[name], rates["plumber"], strict=True))
        lines.append(
            f"| {name} | {rate.requests:,.0f} | {of_hello:.0%} | {times:,.1f} | {rate.median} | {rate.p99} | {spread[name]:.0%} |"
        )
    return "\n".join(lines)


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    main()
