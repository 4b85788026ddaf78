"""Load: wrk over HTTP and ghz over gRPC as fast as the server answers, and an open loop at a constant rate."""

import gc
import http.client
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from servers import ROOT, Running, Server

CONNECTIONS = 16

# A bounded queue turns requests away where something else takes the core for a while; more than so many are a fault.
_MOST_REFUSED = 0.001

_PROTO = ROOT / "src" / "canari" / "serving" / "oip" / "open_inference.proto"

_LUA = """
wrk.method = "POST"
wrk.body = io.open("{body}", "rb"):read("*a")
{headers}
function done(summary, latency)
  local e = summary.errors
  local failed = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format("\\nfound %d %d %d %d %d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
"""


@dataclass(frozen=True)
class Request:
    """A POST, the same each time."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def raw(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"POST {self.path} HTTP/1.1", "host: 127.0.0.1", *(f"{k}: {v}" for k, v in self.headers.items())]
        return "\r\n".join([*lines, f"content-length: {len(self.body)}", "", ""]).encode() + self.body


class Measured(NamedTuple):
    """Requests a second, the latencies' median and 99th percentile in ms, and the server's CPU in µs a request."""

    rate: float
    p50: float
    p99: float
    cpu: float


def post(server: Server, request: Request) -> tuple[int, Mapping[str, str], bytes]:
    """One request; answers status, headers (names in lower case) and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def wrk(running: Running, request: Request, seconds: float, connections: int = CONNECTIONS) -> Measured:
    """One run of wrk, on one thread; raises `RuntimeError` where answers are no successes, but for a few."""
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "request.lua")
        body.write_bytes(request.body)
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())
        script.write_text(_LUA.format(body=body, headers=headers))
        url = f"http://127.0.0.1:{running.server.port}{request.path}"
        before = running.cpu_seconds()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu = running.cpu_seconds() - before
    requests, duration, p50, p99, failed = map(int, said.rpartition("found ")[2].split())
    if failed > _MOST_REFUSED * requests or not requests:
        raise RuntimeError(f"{running.server.name}: {failed} of {requests} requests failed:\n{said}")
    if failed:
        print(f"{running.server.name}: {failed} of {requests} requests failed", file=sys.stderr)
    return Measured(requests / duration * 1e6, p50 / 1e3, p99 / 1e3, cpu / requests * 1e6)


def ghz_program() -> str | None:
    """ghz, as `make peers` installs it or of the search path."""
    return shutil.which(ROOT / ".venv-peers-go" / "bin" / "ghz") or shutil.which("ghz")


def ghz(running: Running, message: bytes, seconds: float, connections: int = CONNECTIONS, total: int = 0) -> Measured:
    """One run of ghz with a serialized ModelInferRequest, for a time or a `total`, one call at a time on each connection."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder, "message")
        body.write_bytes(message)
        command = [
            *(str(ghz_program()), "--insecure", "--proto", str(_PROTO), "--call", "inference.GRPCInferenceService.ModelInfer"),
            *("--binary-file", str(body), "-c", str(connections), "--connections", str(connections), "--cpus", "1"),
            *(("-n", str(total)) if total else ("-z", f"{seconds}s", "--duration-stop", "wait")),
            *("-O", "json", f"127.0.0.1:{running.server.grpc_port}"),
        ]
        before = running.cpu_seconds()
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        cpu = running.cpu_seconds() - before
    if ran.returncode:
        raise RuntimeError(f"ghz: {ran.stderr[-500:]}")
    found = json.loads(ran.stdout)
    if found["statusCodeDistribution"].get("OK", 0) < (1 - _MOST_REFUSED) * found["count"]:
        raise RuntimeError(f"{running.server.name}: not every call was answered: {found['statusCodeDistribution']}")
    percentiles = {entry["percentage"]: entry["latency"] / 1e6 for entry in found["latencyDistribution"]}
    return Measured(found["rps"], percentiles[50], percentiles[99], cpu / found["count"] * 1e6)


class OpenLoop(NamedTuple):
    """One element a request, in the order in which they were due; seconds."""

    due: npt.NDArray[np.float64]  # since the start
    latency: npt.NDArray[np.float64]  # from when it was due, not from when it could be sent
    status: npt.NDArray[np.int64]  # 0 where the connection broke
    retry_after: int  # answers that had this header

    def check(self, name: str) -> None:
        """Raise `RuntimeError` where answers are no successes, but for a few."""
        failed = int((self.status != 200).sum())
        if failed > _MOST_REFUSED * len(self.status):
            raise RuntimeError(f"{name}: {failed} of {len(self.status)} requests failed")
        if failed:
            print(f"{name}: {failed} of {len(self.status)} requests failed", file=sys.stderr)


def open_loop(server: Server, request: Request, phases: list[tuple[float, float]], connections: int) -> OpenLoop:
    """Send at constant rates, whether or not the server keeps up: `phases` are (requests a second, seconds), one after another.

    A request that finds every connection busy waits for one, and its latency counts from the time at which it was due. It
    spins on one core, which is what keeps the rate; generators that wait on timers are late by more than the server takes.
    """
    starts = np.cumsum([0.0] + [seconds for _, seconds in phases])
    due = np.concatenate([s + np.arange(round(rate * t)) / rate for s, (rate, t) in zip(starts, phases, strict=False)]).tolist()
    latency, status = np.zeros(len(due)), np.zeros(len(due), np.int64)
    retry_after = 0
    raw = request.raw()
    poll = select.epoll()
    busy: dict[int, tuple[socket.socket, int, bytes]] = {}
    idle = deque(_connect(server, poll) for _ in range(connections))
    sent = answered = 0
    gc.disable()
    start = perf_counter()
    try:
        while answered < len(due):
            while sent < len(due) and idle and start + due[sent] <= perf_counter():
                connection = idle.popleft()
                busy[connection.fileno()] = (connection, sent, b"")
                connection.send(raw)
                sent += 1
            for number, _ in poll.poll(0):
                if number not in busy:
                    continue  # an idle connection that the server closes; sending on it will say so
                connection, index, data = busy[number]
                try:
                    came = connection.recv(65536)
                except ConnectionError:
                    came = b""
                data += came
                head, found, body = data.partition(b"\r\n\r\n")
                head = head.lower()
                if came and not (found and len(body) >= int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])):
                    busy[number] = (connection, index, data)
                    continue
                latency[index] = perf_counter() - start - due[index]
                status[index] = int(data[9:12]) if came else 0
                retry_after += b"\r\nretry-after:" in head
                answered += 1
                del busy[number]
                if not came or b"\r\nconnection: close" in head:
                    connection.close()
                    connection = _connect(server, poll)
                idle.append(connection)
    finally:
        gc.enable()
        for connection in [*idle, *(c for c, _, _ in busy.values())]:
            connection.close()
        poll.close()
    return OpenLoop(np.array(due), latency, status, retry_after)


def _connect(server: Server, poll: select.epoll) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll.register(connection, select.EPOLLIN)
    return connection


def tools_missing(*tools: str) -> list[str]:
    """Those of the programs that are not installed."""
    return [tool for tool in tools if not (ghz_program() if tool == "ghz" else shutil.which(tool, path=os.environ["PATH"]))]
