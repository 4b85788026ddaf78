"""The access log, read at the other end of a pipe: by somebody who reads, who does not, and who has gone away."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from canari.serving.access_log import AccessLog, Entry
from tests.conftest import make_toy

ENTRY = Entry(
    request_id=b"abc-1",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    protocol="http",
    method="POST",
    route="/v2/models/{model}/infer",
    status=200,
    duration=0.0012345,
    waited=0.0001,
    rows=3,
    request_bytes=120,
    response_bytes=80,
    synthetic=False,
)


@contextmanager
def piped(share: float = 1.0, bento: str | None = "toy_service:abc") -> Iterator[tuple[AccessLog, int]]:
    """A log that writes into a pipe, and the pipe's other end."""
    reader, writer = os.pipe()
    log = AccessLog(share, make_toy().signature, bento, writer)
    try:
        yield log, reader
    finally:
        log.close(timeout=0.2)
        os.close(reader)  # what is stuck in the pipe's other end now fails
        log.close()
        os.close(writer)


def lines(reader: int, number: int) -> list[dict[str, Any]]:
    """The next lines in a pipe, waited for."""
    with os.fdopen(os.dup(reader), "rb") as pipe:
        return [json.loads(pipe.readline()) for _ in range(number)]


def write_many(log: AccessLog, number: int) -> None:
    for rows in range(number):
        log.write(ENTRY._replace(rows=rows))


def test_a_request_is_a_line_of_json() -> None:
    with piped() as (log, reader):
        log.write(ENTRY)
        (line,) = lines(reader, 1)
    at = datetime.fromisoformat(line.pop("time"))
    assert at.tzinfo == UTC
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert line == {
        "request_id": "abc-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "protocol": "http",
        "method": "POST",
        "route": "/v2/models/{model}/infer",
        "status": 200,
        "duration_ms": 1.234,
        "queue_ms": 0.1,
        "rows": 3,
        "request_bytes": 120,
        "response_bytes": 80,
        "synthetic": False,
        "model": "toy",
        "version": "1",
        "bento": "toy_service:abc",
    }


def test_what_a_caller_may_invent_stays_out_or_is_escaped() -> None:
    with piped(bento=None) as (log, reader):
        log.write(ENTRY._replace(method="JOHN-DOE-1970", request_id=b'"},{"\\'))
        log.write(ENTRY._replace(protocol="grpc", method="ModelInfer", status="INVALID_ARGUMENT", trace_id=None))
        invented, grpc = lines(reader, 2)
    assert invented["method"] == "_OTHER"
    assert invented["request_id"] == '"},{"\\'
    assert invented["bento"] is None
    assert (grpc["method"], grpc["status"], grpc["trace_id"]) == ("ModelInfer", "INVALID_ARGUMENT", None)


@pytest.mark.parametrize("share", [0.01, 0.25, 1.0])
def test_a_share_is_logged_and_the_servers_faults_always(share: float) -> None:
    with piped(share) as (log, _):
        wanted = sum(log.wants(200) for _ in range(20_000))
        spread = 6 * (20_000 * share * (1 - share)) ** 0.5
        assert abs(wanted - 20_000 * share) <= spread
        assert all(log.wants(status) for status in (500, "INTERNAL") for _ in range(100))


@pytest.mark.parametrize("status", [200, 404, 499, 503, "OK", "NOT_FOUND", "UNAVAILABLE"])
def test_callers_mistakes_and_refusals_are_not_the_servers_faults(status: int | str) -> None:
    with piped(1e-9) as (log, _):
        assert not any(log.wants(status) for _ in range(100))


def test_lines_come_whole_and_in_order() -> None:
    with piped() as (log, reader):
        write_many(log, 2000)
        assert [line["rows"] for line in lines(reader, 2000)] == list(range(2000))
        assert log.dropped == 0


def test_nobody_waits_for_a_stalled_reader_and_what_is_lost_is_counted() -> None:
    with piped() as (log, reader):
        written = threading.Thread(target=write_many, args=(log, 50_000))
        written.start()
        written.join(60)
        assert not written.is_alive()
        dropped = log.dropped
        assert 10_000 < dropped < 50_000
        # The reader goes on: what was kept comes whole, the oldest first, and then what is new.
        kept = lines_in_background(reader, 50_000 - dropped)
        assert [line["rows"] for line in kept[:100]] == list(range(100))
        assert log.dropped == dropped


def lines_in_background(reader: int, number: int) -> list[dict[str, Any]]:
    """The next lines, of a pipe that was full."""
    found: list[dict[str, Any]] = []
    reading = threading.Thread(target=lambda: found.extend(lines(reader, number)), daemon=True)
    reading.start()
    reading.join(60)
    assert len(found) == number
    return found


def test_a_reader_that_has_gone_costs_the_lines_only() -> None:
    reader, writer = os.pipe()
    log = AccessLog(1.0, make_toy().signature, None, writer)
    os.close(reader)
    for _ in range(10):
        log.write(ENTRY)
    log.close()
    os.close(writer)
    assert log.dropped == 10


_WRITES = """
from tests.serving.test_access_log import ENTRY, AccessLog, make_toy
log = AccessLog(1.0, make_toy().signature, None)
for number in range(3000):
    log.write(ENTRY._replace(rows=number))
"""


def test_a_process_that_ends_writes_what_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", _WRITES], check=False, capture_output=True, timeout=60, env=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert [json.loads(line)["rows"] for line in ended.stdout.splitlines()] == list(range(3000))


def test_a_process_ends_though_its_reader_has_stalled_and_leaves_no_half_line(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES], stdout=subprocess.PIPE, env={**os.environ, "BENTOML_HOME": str(tmp_path)}
    ) as process:
        assert process.wait(60) == 0
        assert process.stdout is not None
        left = process.stdout.read()
    assert left.endswith(b"}\n")
    assert 0 < len([json.loads(line) for line in left.splitlines()]) < 3000
