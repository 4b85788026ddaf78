"""The process that sends loads, seen from whoever wants them sent."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from contextlib import contextmanager
from typing import IO, cast

import msgspec

from canari.errors import CanariError, UsageError
from canari.gate.plan import Load
from canari.loadtest.plan import Plan

_START_SECONDS = 60.0  # for the process to import what it needs, and to make the requests' bodies


class Sender:
    """Sends one load after the other in a process of its own: Locust changes the one that it runs in."""

    def __init__(self, process: subprocess.Popen[bytes], reading: ThreadPoolExecutor) -> None:
        self._process = process
        self._reading = reading
        self._stdin, self._stdout, stderr = (cast("IO[bytes]", p) for p in (process.stdin, process.stdout, process.stderr))
        self._said = reading.submit(stderr.read)

    def send(self, plan: Plan) -> Load:
        """Send a load, and wait until every request of it was answered or given up; raises `CanariError` where it cannot."""
        try:
            self._stdin.write(msgspec.json.encode(plan) + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and says why
        seconds = plan.duration_s + 2 * plan.scenario.timeout_s + _START_SECONDS
        try:
            line = self._reading.submit(self._stdout.readline).result(seconds)
        except LateError:
            raise CanariError(f"the load generator did not answer within {seconds:g} s") from None
        if not line:
            raise self._error()
        return msgspec.json.decode(line, type=Load)

    def _error(self) -> CanariError:
        code = self._process.wait()
        lines = self._said.result().decode("utf-8", "replace").strip().splitlines()
        message = lines[-1] if lines else f"the load generator ended with {code}"
        return (UsageError if code == UsageError.exit_code else CanariError)(message)


@contextmanager
def sender() -> Iterator[Sender]:
    """One, from its start to its end."""
    with (
        subprocess.Popen(
            [sys.executable, "-m", "canari.loadtest.send"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        ThreadPoolExecutor(max_workers=2) as reading,
    ):
        try:
            yield Sender(process, reading)
        finally:
            process.kill()
