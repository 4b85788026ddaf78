"""The load's process: the gate ends it early, Locust's page shows it, and each arrival has one record."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from canari.gate.arrivals import due_times
from canari.gate.plan import ARMS, Load, LoadPlan, Started
from canari.gate.recording import Tail, read, to_table
from canari.rehearsal.processes import free_ports
from tests.gate.faulty import server

pytestmark = pytest.mark.alone


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def a_plan(tmp_path: Path, url: str, **changes: Any) -> LoadPlan:
    plan = LoadPlan(
        urls={"baseline": url, "candidate": url}, rows=[{"age": 30.5}], rate=100.0, arrivals="poisson", duration_s=2.0,
        warmup_s=0.2, timeout_s=2.0, seed=1, locustfile=None, recording=str(tmp_path / "requests.ndjson"),
    )  # fmt: skip
    return msgspec.structs.replace(plan, **changes)


class Process:
    """A load under way."""

    def __init__(self, process: subprocess.Popen[bytes], plan: LoadPlan) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        process.stdin.write(msgspec.json.encode(plan))
        process.stdin.close()
        self.first = process.stdout.readline()

    def end(self) -> Load:
        """Wait for its account."""
        assert self.process.stdout
        last = self.process.stdout.read()
        assert self.process.wait(60) == 0
        load = msgspec.json.decode(last, type=Load)
        assert msgspec.json.decode(self.first, type=Started).started == load.started
        return load

    def failed(self) -> str:
        """Wait for what it says instead."""
        assert self.process.stdout
        assert self.process.stderr
        assert (self.first, self.process.stdout.read()) == (b"", b"")
        said = self.process.stderr.read().decode()
        assert self.process.wait(60) != 0
        assert "Traceback" not in said
        return said


@contextmanager
def loading(plan: LoadPlan, *words: str) -> Iterator[Process]:
    command = [sys.executable, *(words or ("-m", "canari.gate.load"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield Process(process, plan)
        finally:
            process.kill()


def wait_for_requests(plan: LoadPlan, count: int) -> None:
    tail, seen, deadline = Tail(Path(plan.recording)), 0, time.monotonic() + 60
    while seen < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        seen += len(tail.read())


def assert_one_record_for_each_arrival(plan: LoadPlan, load: Load) -> None:
    table = to_table(read(Path(plan.recording)))
    for arm, planned in due_times(plan).items():
        came = np.sort(table.where(table.arm == arm).intended) - load.started
        due = planned[planned < load.duration_s]
        assert came == pytest.approx(due, abs=1e-3)
        assert load.asked[arm] == (due >= load.warmup_s).sum()


def test_each_arrival_gives_one_record_whatever_the_answers(tmp_path: Path) -> None:
    with server("errors", 0.5) as url, loading(plan := a_plan(tmp_path, url, duration_s=1.0)) as process:
        load = process.end()
    assert load.duration_s == 1.0
    assert_one_record_for_each_arrival(plan, load)
    assert {request.error for request in read(Path(plan.recording))} == {None, "HTTP 503"}


class ClosesIdleConnections(BaseHTTPRequestHandler):
    """As servers do between requests, without a word about it in the last answer."""

    protocol_version = "HTTP/1.1"
    timeout = 0.05
    connections: ClassVar[set[object]] = set()

    def do_POST(self) -> None:
        self.connections.add(self.client_address)
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'[{"risk": 0.5}]'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_a_connection_that_the_server_closed_while_it_was_idle_costs_no_request(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ClosesIdleConnections) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{http.server_address[1]}"
        with loading(plan := a_plan(tmp_path, url, rate=6.0, arrivals="even", warmup_s=0.0)) as process:
            load = process.end()
        http.shutdown()
    assert_one_record_for_each_arrival(plan, load)
    assert {request.error for request in read(Path(plan.recording))} == {None}
    assert len(ClosesIdleConnections.connections) > 5


def test_sigterm_ends_the_arrivals_and_waits_for_those_in_flight(tmp_path: Path) -> None:
    with server("late", 0.6) as url, loading(plan := a_plan(tmp_path, url, duration_s=600.0, rate=50.0)) as process:
        wait_for_requests(plan, 20)
        process.process.send_signal(signal.SIGTERM)
        load = process.end()
    assert 0.6 < load.duration_s < 60
    assert_one_record_for_each_arrival(plan, load)
    requests = read(Path(plan.recording))
    assert {request.error for request in requests} == {None}
    in_flight = [request for request in requests if request.intended + request.latency_ms / 1e3 > load.measured_to]
    assert in_flight
    assert load.rate == 50.0
    assert load.cpu > 0


def test_a_second_sigterm_ends_all_at_once(tmp_path: Path) -> None:
    with server("hangs") as url, loading(plan := a_plan(tmp_path, url, duration_s=600.0, timeout_s=300.0)) as process:
        deadline = time.monotonic() + 60
        while not Path(plan.recording).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)
        process.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.process.wait(1)
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(30) == 1


def get(url: str, method: str = "GET") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return bytes(answer.read())


def test_locusts_page_shows_both_arms_while_the_load_runs_and_ends_with_it(tmp_path: Path) -> None:
    page = f"http://127.0.0.1:{free_port()}"
    port = int(page.rpartition(":")[2])
    with server("late", 0.01) as url, loading(plan := a_plan(tmp_path, url, duration_s=600.0, web_port=port)) as process:
        wait_for_requests(plan, 100)
        assert b"Locust" in get(page)
        found = json.loads(get(f"{page}/stats/requests"))
        assert found["state"] == "running"
        numbers = {entry["name"]: entry["num_requests"] for entry in found["stats"]}
        assert all(numbers[f"{arm} /predict"] > 10 for arm in ARMS)
        get(f"{page}/stop", "POST")  # its button ends the arrivals of both arms, as a gate does
        load = process.end()
    assert load.duration_s < 60
    assert_one_record_for_each_arrival(plan, load)
    with pytest.raises(urllib.error.URLError):
        get(page)


def test_a_taken_port_for_the_page_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, server() as url:
        port = taken.getsockname()[1]
        with loading(a_plan(tmp_path, url, web_port=port)) as process:
            assert process.failed() == f"--web-port {port}: cannot be listened on: Address already in use\n"


def test_a_user_that_cannot_start_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from canari.gate.user import PredictUser\nclass Mine(PredictUser):\n    headers = {'x-token': 'two\\nlines'}\n"
    )
    with server() as url, loading(a_plan(tmp_path, url, locustfile=str(tmp_path / "mine.py"))) as process:
        assert process.process.wait(60) == 2
        assert process.process.stderr
        said = process.process.stderr.read().decode().splitlines()[-1]
    assert said.startswith("the locustfile's user cannot start: ValueError: invalid value for header field 'x-token'")


def test_the_load_ends_with_the_gate_that_wanted_it(tmp_path: Path) -> None:
    with server() as url:
        plan = a_plan(tmp_path, url, duration_s=600.0)
        (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
        code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'canari.gate.load'], stdin=open(sys.argv[1]))"
        code += "; print(p.pid, flush=True); p.wait()"
        command = [sys.executable, "-c", code, str(tmp_path / "plan.json")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gate:
            assert gate.stdout
            load = int(gate.stdout.readline())
            wait_for_requests(plan, 10)
            gate.kill()
        deadline = time.monotonic() + 30
        while is_running(load):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
