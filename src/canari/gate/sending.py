"""The load's process, seen from the gate: started, followed while it sends, and ended at the first clear outcome."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import IO, cast

import msgspec

from canari.errors import CanariError, UsageError
from canari.gate.plan import Load, LoadPlan, Started
from canari.gate.recording import Request, Tail

_START_SECONDS = 60.0  # for the process to import, and for its workers to come
_AGAIN_SECONDS = 0.2

Enough = Callable[[Sequence[Request], Load, float], bool]
"""Whether the requests answered after so many seconds of a load end it."""


def send(plan: LoadPlan, moments: Sequence[float], enough: Enough) -> Load:
    """Send a load in a process of its own: Locust changes the one that it runs in.

    After each of `moments`, in seconds of load, `enough` is asked; where it says so, no more requests become due. Raises
    `CanariError`, or `UsageError` where the locustfile is wrong.
    """
    with (
        subprocess.Popen(
            [sys.executable, "-m", "canari.gate.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        ThreadPoolExecutor(max_workers=2) as reading,
    ):
        try:
            stdin, stdout, stderr = (cast("IO[bytes]", pipe) for pipe in (process.stdin, process.stdout, process.stderr))
            said = reading.submit(stderr.read)
            _tell(stdin, msgspec.json.encode(plan))
            first = _answer(reading.submit(stdout.readline), _START_SECONDS)
            rest = reading.submit(stdout.read)
            if first:
                _follow(process, plan, msgspec.json.decode(first, type=Started).started, moments, enough)
            last = _answer(rest, plan.duration_s + 2 * plan.timeout_s + _START_SECONDS)
            if process.wait(_START_SECONDS):
                raise _error(process.returncode, said.result())
        finally:
            process.kill()
    return msgspec.json.decode(last, type=Load)


def _tell(stdin: IO[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        stdin.close()
    except BrokenPipeError:
        pass  # it has ended, and says why


def _answer(future: Future[bytes], seconds: float) -> bytes:
    try:
        return future.result(seconds)
    except LateError:
        raise CanariError(f"the load generator did not answer within {seconds:g} s") from None


def _follow(process: subprocess.Popen[bytes], plan: LoadPlan, started: float, moments: Sequence[float], enough: Enough) -> None:
    """Ask at each moment, until the process has ended or the answer is yes."""
    tail, requests = Tail(Path(plan.recording)), list[Request]()
    load = Load(
        started=started,
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        rate=plan.rate,
        timeout_s=plan.timeout_s,
        asked={},
        cpu=0.0,
    )
    for moment in moments:
        while (left := started + moment - time.time()) > 0:
            if process.poll() is not None:
                return
            time.sleep(min(left, _AGAIN_SECONDS))
        requests += tail.read()
        if enough(requests, load, moment):
            process.terminate()
            return


def _error(code: int, said: bytes) -> CanariError:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    message = lines[-1] if lines else f"the load generator ended with {code}"
    return (UsageError if code == UsageError.exit_code else CanariError)(message)
