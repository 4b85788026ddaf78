"""Servers to measure: how each is started, when it is ready, what it costs the machine."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from canari.rehearsal.processes import free_ports

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
RDS = ROOT / "models" / "diabetes" / "diabetes-1.rds"
GLM = "diabetes:1"  # imported from RDS

_START_SECONDS = 90
_STOP_SECONDS = 40


@dataclass(frozen=True)
class Server:
    """A command that serves on `port` of this machine.

    It is ready when its path `ready` answers 200 or, where that is None, as soon as the port takes connections.
    """

    name: str
    port: int
    command: Sequence[str | Path]
    ready: str | None = "/readyz"
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    grpc_port: int = 0


@dataclass(frozen=True)
class Running:
    """A started server."""

    server: Server
    process: psutil.Process
    seconds_to_ready: float

    def cpu_seconds(self) -> float:
        """What the process and its children have used so far, of user and system time."""
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(t.user + t.system for t in times))

    def memory(self) -> tuple[float, float]:
        """RSS and PSS in MB (10^6 bytes), of the process and its children."""
        found = [process.memory_full_info() for process in self._processes()]
        return sum(m.rss for m in found) / 1e6, sum(m.pss for m in found) / 1e6

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def canari(tag: str, name: str = "canari", bento: bool = False, environment: Mapping[str, str] | None = None) -> Server:
    """`canari serve` of a model's tag or, where `bento`, of a bento's."""
    port, grpc_port = free_port(), free_port()
    what = ["--bento", tag] if bento else [tag]
    command = [sys.executable, "-m", "canari", "serve", *what, "--http-port", str(port), "--grpc-port", str(grpc_port)]
    return Server(name, port, command, environment=environment or {}, grpc_port=grpc_port)


def hello() -> Server:
    """The empty server on the server that canari runs on, with the same settings."""
    port = free_port()
    return Server("hello-world", port, [sys.executable, PEERS / "hello.py", str(port)])


def plumber() -> Server:
    """The GLM in R."""
    port = free_port()
    return Server("plumber", port, ["Rscript", PEERS / "plumber.R", RDS, str(port)])


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start the server and wait until it is ready; at the end it is ended with all that it started.

    Raises `RuntimeError` with the end of what it printed where it does not become ready.
    """
    started = time.perf_counter()
    log = tempfile.TemporaryFile()  # noqa: SIM115  a pipe would fill up
    process = subprocess.Popen(
        [str(word) for word in server.command],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | dict(server.environment),
        cwd=server.folder,
        start_new_session=True,
    )
    try:
        while not _is_ready(server):
            if process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                _end(process)
                log.seek(0)
                raise RuntimeError(f"{server.name} did not become ready: {log.read().decode(errors='replace')[-800:]}")
            time.sleep(0.002)
        yield Running(server, psutil.Process(process.pid), time.perf_counter() - started)
    finally:
        _end(process)
        log.close()


def free_port() -> int:
    """A port that is free at this moment."""
    (port,) = free_ports(1)
    return port


def _is_ready(server: Server) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.connect()
        if server.ready is None:
            return True
        connection.request("GET", server.ready)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # whatever is left of its children
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
