"""The users who send a load, how they are run in this process, and what they record."""

# ruff: noqa: I001 - the users first: Locust patches what the others import
from canari.gate import user as users
from locust.env import Environment
from locust.stats import stats_history
from locust.util.load_locustfile import load_locustfile

import gc
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import gevent

from canari.errors import CanariError, UsageError
from canari.gate.arrivals import due_times
from canari.gate.http import describe
from canari.gate.plan import ARMS, Load, LoadPlan
from canari.gate.recording import Request, Writer, to_lines

_PRIORITY = -10
_FILES = 8192  # connections that may be open at once
_FLUSH_SECONDS = 0.1
_WEB_HOST = "127.0.0.1"  # its page can end the load, so nobody else's business


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


def user_of_each_arm(plan: LoadPlan, caller: type[users.OpenLoopUser]) -> list[type[users.OpenLoopUser]]:
    """Classes made from `caller` that send the load of `plan` to its arms, interleaved at random on one clock."""
    return [
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
                "seed": plan.seed,
                "rows": plan.rows,
                "default_headers": {**(caller.default_headers or {}), "X-Canari-Synthetic": "1"},
            },
        )
        for arm in ARMS
    ]


def load_of(plan: LoadPlan, started: float, seconds: float, cpu: float) -> Load:
    """The account of a load whose arrivals ended after `seconds`, or by themselves; `cpu` is in seconds."""
    duration = min(plan.duration_s, max(seconds, 0.0))
    return Load(
        started=started,
        duration_s=duration,
        warmup_s=plan.warmup_s,
        rate=plan.rate,
        timeout_s=plan.timeout_s,
        asked={arm: int(((due >= plan.warmup_s) & (due < duration)).sum()) for arm, due in due_times(plan).items()},
        cpu=cpu / duration if duration else 0.0,
    )


class Recorder:
    """Collects requests and delivers them as whole lines several times a second.

    An error of the delivery ends the load instead of being lost among the requests.
    """

    def __init__(self, deliver: Callable[[bytes], Any], stop: Callable[[], Any]) -> None:
        self._deliver = deliver
        self._stop = stop
        self._waiting: list[Request] = []
        self.taken = 0
        self.error: OSError | None = None

    def write(self, request: Request) -> None:
        """Take one."""
        self._waiting.append(request)
        self.taken += 1

    def flush(self) -> None:
        """Deliver what has come since the last time."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self.error is not None:
            return
        try:
            self._deliver(to_lines(waiting))
        except OSError as error:
            self.error = error
            self._stop()

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Deliver from now on, and what is left at the end."""
        greenlet = gevent.spawn(self._flush_for_ever)
        try:
            yield
        finally:
            greenlet.kill()
            self.flush()

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(_FLUSH_SECONDS)
            self.flush()


def prepare_process() -> None:
    """Give the clock what it needs: the processor first, connections enough, and no long collection of garbage."""
    with suppress(OSError):  # where it may not go first, its delay tells
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    with suppress(ValueError, OSError):  # more is better, less is no error
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if most == resource.RLIM_INFINITY else min(_FILES, most), most))
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # a full collection of all that Locust imports would hold up the requests for a tenth of a second


@contextmanager
def web_page(environment: Any, port: int | None) -> Iterator[None]:
    """Show Locust's page of what its runner does meanwhile; on no port, nothing. Raises `UsageError` where the port is taken."""
    if port is None:
        yield
        return
    try:
        socket.create_server((_WEB_HOST, port)).close()
    except OSError as error:
        raise UsageError(f"--web-port {port}: cannot be listened on: {os.strerror(error.errno or 0)}") from None
    page = environment.create_web_ui(_WEB_HOST, port)
    history = gevent.spawn(stats_history, environment.runner)
    try:
        yield
    finally:
        history.kill()
        page.stop()


class Sent(NamedTuple):
    """How sending went."""

    cpu: float  # seconds that this process used
    ended: float  # when something ended the arrivals, on the clock of time.perf_counter; infinite where they ended by themselves


def send(
    classes: Sequence[type[users.OpenLoopUser]],
    recording: Path,
    ready: Callable[[Callable[[], Any]], Any],
    web_port: int | None = None,
) -> Sent:
    """Run one user of each class until its arrivals end.

    `ready` is called when all is prepared, with a function that ends the arrivals early. Requests in flight are waited for,
    none longer than the class's timeout. Raises `CanariError` where the recording cannot be written.
    """
    environment: Any = Environment(user_classes=list(classes), stop_timeout=max(c.timeout for c in classes) + 1)
    runner = environment.create_local_runner()
    ending = users.Ending()
    environment.events.test_stopping.add_listener(ending.now)
    try:
        with Writer(recording) as writer, web_page(environment, web_port):
            recorder = Recorder(writer.write, ending.now)
            for one in classes:
                one.sink = recorder
                one.ending = ending
            prepare_process()
            ready(ending.now)
            cpu = time.process_time()
            with recorder.flushing():
                runner.start(len(classes), spawn_rate=100)
                runner.spawning_greenlet.join()
                if wrong := runner.spawning_greenlet.exception:
                    raise UsageError(f"the locustfile's user cannot start: {describe(wrong)}")
                runner.user_greenlets.join()
            cpu = time.process_time() - cpu
            error = recorder.error
    except OSError as failed:
        error = failed
    finally:
        runner.quit()
    if error is not None:
        raise CanariError(f"{recording}: cannot be written: {error.strerror}")
    return Sent(cpu, ending.at)
