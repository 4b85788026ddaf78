"""The process that sends loads: plans on standard input, one JSON line each; how each went on standard output, likewise.

Run as `python -m canari.loadtest.send`; `canari.loadtest.sending` does. It ends with its input, or with the process that
started it. An error is one line on standard error, with the exit code of `canari.errors`.
"""

# ruff: noqa: I001 - the generator first: Locust patches what the others import
from canari.gate.generator import send
from canari.gate.user import EPOCH
from canari.loadtest.user import ScenarioUser, user_of

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import msgspec

from canari.errors import CanariError
from canari.gate.plan import Load
from canari.loadtest.plan import Plan

_LEAD_SECONDS = 0.3  # until the first request may be due: Locust starts its users in this time


def run(plan: Plan) -> Load:
    """Send one load from this process."""
    caller: type[ScenarioUser] = user_of(plan)

    def ready(_stop: Callable[[], Any]) -> None:
        caller.starts_at = time.perf_counter() + _LEAD_SECONDS

    sent = send([caller], Path(plan.recording), ready, plan.web_port)
    starts_at = caller.starts_at or math.nan
    duration = min(plan.duration_s, max(sent.ended - starts_at, 0.0))
    started = EPOCH + starts_at
    # By the very numbers that are recorded: a request at the edge is in both counts, or in neither.
    intended = (EPOCH + (starts_at + offset) for offset in plan.offsets())
    due = sum(started + plan.warmup_s <= moment < started + duration for moment in intended)
    return Load(
        started=started,
        duration_s=duration,
        warmup_s=plan.warmup_s,
        rate=due / (duration - plan.warmup_s) if duration > plan.warmup_s else 0.0,
        timeout_s=plan.scenario.timeout_s,
        asked={"candidate": due, "baseline": 0},
        cpu=sent.cpu / duration if duration else 0.0,
    )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        gevent.sleep(1)
    os._exit(1)


def main() -> int:
    """Read plans, send their loads, tell how they went."""
    gevent.spawn(_end_with, os.getppid())
    try:
        for line in sys.stdin.buffer:
            sys.stdout.write(msgspec.json.encode(run(msgspec.json.decode(line, type=Plan))).decode() + "\n")
            sys.stdout.flush()
    except CanariError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
