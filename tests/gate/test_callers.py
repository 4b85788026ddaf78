"""The processes that send load: steady callers, a gate's load, and plain Locust with the project's locustfile."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from canari.gate.plan import Load, LoadPlan, Started
from canari.gate.recording import Tail, read, to_table
from tests.gate.faulty import CSV, server

pytestmark = pytest.mark.alone

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"


def callers(url: str, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "canari.gate.callers", "--url", url, "--out", str(out), "--rate", "100", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(count: int, tail: Tail) -> int:
    """Follow a recording until it has `count` requests more; how many it has."""
    seen, deadline = 0, time.monotonic() + 60
    while seen < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        seen += len(tail.read())
    return seen


def test_callers_survive_a_server_that_is_away_and_record_every_request(tmp_path: Path) -> None:
    out, rows = tmp_path / "callers.ndjson", tmp_path / "rows.csv"
    rows.write_text(CSV)
    with server("unmarked") as url:
        process = callers(url, out, "--rows", str(rows), "--seed", "3")
        tail = Tail(out)
        try:
            wait_for(50, tail)
        except BaseException:
            process.kill()
            raise
    with process:
        wait_for(50, tail)  # nobody listens now
        with server("unmarked", port=int(url.rpartition(":")[2])):
            wait_for(100, tail)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    requests = read(out)
    good = [request for request in requests if request.error is None]
    lost = [request for request in requests if request.error is not None]
    assert {(request.arm, request.version, request.status) for request in good} == {("stable", "toy:1", 200)}
    assert {(request.arm, request.version, request.status) for request in lost} == {("", None, 0)}
    # The loss is one gap in time: nobody tried again, and before and after every request was answered.
    order = to_table(requests).failed.astype(int)
    assert np.abs(np.diff(order)).sum() == 2
    # Poisson arrivals: as many as the clock asked for.
    due = [request.intended for request in requests]
    expected = 100 * (max(due) - min(due))
    assert abs(len(requests) - expected) < 5 * expected**0.5


def test_callers_end_by_themselves_and_wait_for_those_in_flight(tmp_path: Path) -> None:
    out = tmp_path / "callers.ndjson"
    with server("late", 0.5) as url, callers(url, out, "--seconds", "1", "--arrivals", "even") as process:
        assert process.wait(60) == 0
    requests = read(out)
    assert len(requests) == 100
    assert min(request.latency_ms for request in requests) >= 500
    assert {request.error for request in requests} == {None}


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--rate", "0"), 2, "rate"),
        (("--out", "/nowhere/x"), 1, "/nowhere/x: cannot be written"),
        (("--rows", "absent"), 2, "absent"),
    ],
)
def test_callers_say_what_is_wrong(tmp_path: Path, more: tuple[str, ...], code: int, says: str) -> None:
    with server() as url, callers(url, tmp_path / "out", *more) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert says in errors
    assert "Traceback" not in errors


def send(tmp_path: Path, url: str, locustfile: str | None, **changes: Any) -> Load:
    plan = LoadPlan(
        urls={"baseline": url, "candidate": url}, rows=[{"age": 30.5}], rate=100.0, arrivals="even", duration_s=1.0, warmup_s=0.2,
        timeout_s=1.0, seed=1, locustfile=locustfile, recording=str(tmp_path / "requests.ndjson"),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "canari.gate.load"],
        input=msgspec.json.encode(msgspec.structs.replace(plan, **changes)),
        capture_output=True,
        timeout=60,
        check=True,
    )
    first, last = done.stdout.splitlines()
    load = msgspec.json.decode(last, type=Load)
    assert msgspec.json.decode(first, type=Started).started == load.started
    return load


def test_arrivals_go_on_beyond_the_connections_and_their_wait_counts(tmp_path: Path) -> None:
    locustfile = tmp_path / "mine.py"
    locustfile.write_text("from canari.gate.user import PredictUser\nclass Mine(PredictUser):\n    most_in_flight = 4\n")
    with server("late", 0.1) as url:  # 4 connections answer 40 a second, 100 are asked for
        load = send(tmp_path, url, str(locustfile), timeout_s=10.0)
    table = to_table(read(tmp_path / "requests.ndjson"))
    assert load.asked["baseline"] == load.asked["candidate"] == 80
    assert len(table) == 200
    queued = table.where(table.queued_ms > 0)
    assert len(queued) > 50
    assert (table.latency_ms >= table.queued_ms + table.delay_ms + 100).all()
    assert queued.latency_ms.max() > 300


def test_a_call_that_raises_or_sends_nothing_is_a_failed_request(tmp_path: Path) -> None:
    locustfile = tmp_path / "mine.py"
    locustfile.write_text(
        "from canari.gate.user import OpenLoopUser\nclass Mine(OpenLoopUser):\n"
        "    def call(self, row):\n        if self.arm == 'baseline':\n            raise KeyError('absent')\n"
    )
    with server() as url:
        send(tmp_path, url, str(locustfile))
    requests = read(tmp_path / "requests.ndjson")
    assert len(requests) == 200
    assert {(r.arm, r.status, r.error) for r in requests} == {
        ("baseline", 0, "KeyError: 'absent'"),
        ("candidate", 0, "the call sent no request"),
    }


def test_a_request_is_given_up_in_time(tmp_path: Path) -> None:
    with server("drips") as url:
        send(tmp_path, url, None, duration_s=0.5)
    requests = read(tmp_path / "requests.ndjson")
    assert {(r.status, r.error) for r in requests} == {(0, "no whole answer within 1 s")}
    assert min(r.latency_ms for r in requests) >= 1000


def test_locust_itself_runs_the_locustfile() -> None:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--run-time", "2s", "--json"]
    with server("unmarked") as url:
        done = subprocess.run([*command, "--host", url], capture_output=True, text=True, timeout=60, check=True)
    (entry,) = json.loads(done.stdout)
    assert (entry["name"], entry["num_failures"]) == ("/predict", 0)
    assert entry["num_requests"] > 5


def test_only_the_processes_that_send_load_import_locust() -> None:
    modules = "rules, recording, judging, predictions, verdict, run, plan, rows"
    code = f"from canari.gate import {modules}; import sys; sys.exit('locust' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
