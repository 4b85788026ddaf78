"""The process that sends a gate's load: a plan on standard input, the raw requests into a file, how it went on standard output.

Run as `python -m canari.gate.load`; `canari.gate.sending` does. The first line of its output tells when the load starts, the
last one how it went. SIGTERM ends the arrivals and waits for the requests in flight; a second one ends all at once. An error is
one line on standard error, with the exit code of `canari.errors`.
"""

# ruff: noqa: I001 - the generator first: Locust patches what the others import
from canari.gate.generator import load_of, load_user, send, user_of_each_arm
from canari.gate.user import EPOCH

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import msgspec

from canari.errors import CanariError
from canari.gate.plan import Load, LoadPlan, Started
from canari.gate.workers import lead

_LEAD_SECONDS = 0.3  # until the first request may be due: Locust starts its users in this time


def run(plan: LoadPlan) -> Load:
    """Send the load of `plan` to its arms from this process."""
    caller = load_user(Path(plan.locustfile) if plan.locustfile else None)
    classes = user_of_each_arm(plan, caller)
    starts_at = math.nan

    def ready(stop: Callable[[], Any]) -> None:
        nonlocal starts_at
        end_on_sigterm(stop)
        starts_at = time.perf_counter() + _LEAD_SECONDS
        for one in classes:
            one.starts_at = starts_at
        tell(Started(started=EPOCH + starts_at))

    sent = send(classes, Path(plan.recording), ready, plan.web_port)
    return load_of(plan, EPOCH + starts_at, sent.ended - starts_at, sent.cpu)


def end_on_sigterm(stop: Callable[[], Any]) -> None:
    """Let the first SIGTERM call `stop`, and a second one end the process at once."""

    def on_signal() -> None:
        gevent.signal_handler(signal.SIGTERM, os._exit, 1)
        stop()

    gevent.signal_handler(signal.SIGTERM, on_signal)


def tell(message: msgspec.Struct) -> None:
    """Write one line for the gate."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def _end_with(parent: int) -> None:
    """Send nothing any more when the gate that wants it is gone."""
    while os.getppid() == parent:
        gevent.sleep(1)
    os._exit(1)


def main() -> int:
    """Read a plan, send its load, tell how it went."""
    gevent.spawn(_end_with, os.getppid())
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan)
        tell(lead(plan, tell, end_on_sigterm) if plan.workers else run(plan))
    except CanariError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
