"""The process that sends a gate's load: a plan on standard input, the raw requests into a file, how it went on standard output.

Run as `python -m canari.gate.load`; `canari.gate.run` does. An error is one line on standard error, with the exit code of
`canari.errors`.
"""

# ruff: noqa: I001 - the users first: Locust patches what the others import
from canari.gate import user as users
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import gevent
import msgspec

from canari.errors import CanariError, UsageError
from canari.gate.arrivals import ARRIVALS, stream
from canari.gate.plan import ARMS, Load, LoadPlan
from canari.gate.recording import Request, Writer

_LEAD_SECONDS = 0.3  # until the first request may be due: Locust starts its users in this time
_PRIORITY = -10
_FILES = 8192  # connections that may be open at once


def load_user(locustfile: Path | None) -> type[users.OpenLoopUser]:
    """The user class of a locustfile, or the packaged one; raises `UsageError` where the file holds none or several."""
    if locustfile is None:
        return type("Caller", (users.PredictUser,), {})
    if not locustfile.is_file():
        raise UsageError(f"{locustfile}: there is no such locustfile")
    try:
        found, *_ = load_locustfile(str(locustfile))
    except Exception as error:  # noqa: BLE001 - a person's file may raise anything
        raise UsageError(f"{locustfile}: does not load: {type(error).__name__}: {error}") from None
    classes = [one for one in found.values() if issubclass(one, users.OpenLoopUser)]
    if len(classes) != 1:
        names = ", ".join(sorted(found)) or "none"
        raise UsageError(f"{locustfile}: expected one class made from canari.gate.user.OpenLoopUser, its classes are: {names}")
    return classes[0]


class Recorder:
    """Passes requests on to a writer; an error of the disk ends the load instead of being lost among the requests."""

    def __init__(self, writer: Writer, stop: Callable[[], Any]) -> None:
        self._writer = writer
        self._stop = stop
        self.error: OSError | None = None

    def write(self, request: Request) -> None:
        """Write one request."""
        if self.error is not None:
            return
        try:
            self._writer.write(request)
        except OSError as error:
            self.error = error
            self._stop()


def send(classes: Sequence[type[users.OpenLoopUser]], recording: Path, ready: Callable[[Callable[[], Any]], Any]) -> float:
    """Run one user of each class until its arrivals end; returns the seconds of CPU used meanwhile.

    `ready` is given a function that ends the arrivals early. Requests in flight are waited for, none longer than the class's
    timeout. Raises `CanariError` where the recording cannot be written.
    """
    with suppress(OSError):  # all rests on its clock; where it may not go first, its delay tells
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    with suppress(ValueError, OSError):  # more is better, less is no error
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if most == resource.RLIM_INFINITY else min(_FILES, most), most))
    environment = Environment(user_classes=list(classes), stop_timeout=max(c.timeout for c in classes) + 1)
    runner = environment.create_local_runner()

    def stop() -> None:
        gevent.spawn(runner.stop)

    ready(stop)
    try:
        with Writer(recording) as writer:
            recorder = Recorder(writer, stop)
            for one in classes:
                one.sink = recorder
            cpu = time.process_time()
            runner.start(len(classes), spawn_rate=100)
            runner.spawning_greenlet.join()  # type: ignore[union-attr]
            runner.user_greenlets.join()
            cpu = time.process_time() - cpu
            error = recorder.error
    except OSError as failed:
        error = failed
    finally:
        runner.quit()
    if error is not None:
        raise CanariError(f"{recording}: cannot be written: {error.strerror}")
    return cpu


def run(plan: LoadPlan) -> Load:
    """Send the load of `plan` to its arms, interleaved at random on one clock."""
    caller = load_user(Path(plan.locustfile) if plan.locustfile else None)
    starts_at = time.perf_counter() + _LEAD_SECONDS
    classes = [
        type(
            arm.capitalize(),
            (caller,),
            {
                "host": plan.urls[arm].rstrip("/"),
                "arm": arm,
                "rate": plan.rate,
                "arrivals": plan.arrivals,
                "timeout": plan.timeout_s,
                "duration": plan.duration_s,
                "starts_at": starts_at,
                "seed": plan.seed,
                "rows": plan.rows,
                "default_headers": {**(caller.default_headers or {}), "X-Canari-Synthetic": "1"},
            },
        )
        for arm in ARMS
    ]
    cpu = send(classes, Path(plan.recording), ready=lambda _stop: None)
    return Load(
        started=users.unix(starts_at),
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        rate=plan.rate,
        timeout_s=plan.timeout_s,
        asked={arm: _due(plan, arm) for arm in ARMS},
        cpu=cpu / min(plan.duration_s, time.perf_counter() - starts_at),
    )


def _due(plan: LoadPlan, arm: str) -> int:
    """How many requests the clock asked for after the warm-up."""
    offsets = ARRIVALS[plan.arrivals](plan.rate, stream(plan.seed, f"arrivals {arm}"))
    return sum(offset >= plan.warmup_s for offset in takewhile(lambda offset: offset < plan.duration_s, offsets))


def _end_with(parent: int) -> None:
    """Send nothing any more when the gate that wants it is gone."""
    while os.getppid() == parent:
        gevent.sleep(1)
    os._exit(1)


def main() -> int:
    """Read a plan, send its load, tell how it went."""
    gevent.spawn(_end_with, os.getppid())
    try:
        load = run(msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan))
    except CanariError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(msgspec.json.encode(load).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
