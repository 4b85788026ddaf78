"""A gate's load from several processes or machines: the gate's process is a Locust master, `canari gate worker` a Locust worker.

Each worker sends an equal share of the rate, with a seed of its own, to both arms on one clock, its own, so that what befalls a
worker befalls both arms. Clocks of machines need not agree: a worker measures how far its own is from the master's by the fastest
of a few round trips, half of which bounds the error, starts at the master's moment, and records on the master's clock.

Records come as Locust messages while the load is sent. What a lost worker did not send or tell is missing from the recording but
was asked for, so the verdict is inconclusive and never a pass by absence.
"""

# ruff: noqa: I001 - the generator first: Locust patches what the others import
from canari.gate.generator import Recorder, load_of, load_user, prepare_process, user_of_each_arm, web_page
from canari.gate.user import EPOCH, Ending
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import STATE_CLEANUP, STATE_MISSING

import math
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

import gevent
import msgspec
from gevent.event import AsyncResult

from canari import __version__
from canari.errors import CanariError
from canari.gate.address import parse_address
from canari.gate.arrivals import shares
from canari.gate.http import describe
from canari.gate.plan import Load, LoadPlan, Started
from canari.gate.recording import Writer

# What a worker and its master say to each other, besides what Locust's do.
_ASK_TIME, _TIME = "canari-ask-time", "canari-time"
_JOIN, _REFUSED = "canari-join", "canari-refused"
_PLAN, _PLANNED, _START, _END = "canari-plan", "canari-planned", "canari-start", "canari-end"
_RECORDS, _DONE = "canari-records", "canari-done"

_COMING_SECONDS = 30.0  # for the workers to come
_PLAN_SECONDS = 10.0  # for them to take the plan
_LEAD_SECONDS = 1.0  # until the first request may be due
_SILENCE_SECONDS = 5.0  # Locust's master answers each worker's heartbeat, one a second
_ROUND_TRIPS = 8
_AGAIN_SECONDS = 1.0


class _Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is told to send."""

    plan: LoadPlan  # of this worker; its `locustfile` names the file whose text is:
    locustfile: str | None


class _OneOfEach(UsersDispatcher):
    """Locust's dispatcher, for workers that each run one user of each class, once: who comes later, or again, runs none."""

    dispatch_in_progress = True  # so Locust dispatches nothing when a worker comes or goes

    def __init__(self, chosen: dict[str, int], user_classes: list[type]) -> None:
        self._chosen = chosen  # users of each class that a worker is still to start
        self._classes = user_classes

    def new_dispatch(self, *_: Any, **__: Any) -> None:
        """Locust tells the number of users; it is known."""

    def add_worker(self, worker_node: Any) -> None:
        """One that came too late."""

    def remove_worker(self, worker_node: Any) -> None:
        """One that went: what it would have sent is missing."""

    def __iter__(self) -> Iterator[dict[str, dict[str, int]]]:
        yield {name: {one.__name__: 1 for one in self._classes} if users else {} for name, users in self._chosen.items()}
        self._chosen.update(dict.fromkeys(self._chosen, 0))


class _Crew:
    """The master's side of one gate."""

    def __init__(self, plan: LoadPlan) -> None:
        host, port = parse_address(plan.bind)
        self._plan = plan
        locustfile = Path(plan.locustfile) if plan.locustfile else None
        classes = user_of_each_arm(plan, load_user(locustfile))
        self._text = locustfile.read_text("utf-8") if locustfile else None
        self._chosen: dict[str, int] = {}
        self.environment: Any = cast(Any, Environment)(
            user_classes=list(classes),
            stop_timeout=plan.timeout_s + 1,
            dispatcher_class=lambda user_classes, **_: _OneOfEach(self._chosen, user_classes),
        )
        try:
            self.runner: Any = self.environment.create_master_runner(host, port)
        except (RPCError, SystemExit):
            raise CanariError(f"{plan.bind}: cannot be listened on for workers") from None
        self._joined: list[str] = []
        self._refused: dict[str, str] = {}
        self._planned: dict[str, str | None] = {}  # the error of those that could not take it
        self._done: dict[str, Load] = {}
        self._ending = Ending()
        self.error: OSError | None = None  # of the recording
        self._writer: Writer | None = None
        for kind, listener in (
            (_ASK_TIME, self._tell_time),
            (_JOIN, self._join),
            (_PLANNED, self._take_planned),
            (_RECORDS, self._record),
            (_DONE, self._take_done),
        ):
            self.runner.register_message(kind, listener)
        self.environment.events.test_stopping.add_listener(self.stop)

    def gather(self) -> None:
        """Wait for as many workers as the plan wants, and give each its share; raises `CanariError` where they do not come."""
        wanted = self._plan.workers
        _wait(lambda: len(self._present()) >= wanted, _COMING_SECONDS)
        present = self._present()
        if len(present) < wanted:
            refused = "".join(f"; {why}" for why in sorted(set(self._refused.values())))
            raise CanariError(
                f"{len(present)} of {wanted} workers came to {self._plan.bind} within {_COMING_SECONDS:g} s{refused}"
            )
        self._chosen.update(dict.fromkeys(present[:wanted], 1))
        for plan, worker in zip(shares(self._plan), self._chosen, strict=True):
            share = _Share(plan=plan, locustfile=self._text)
            self.runner.send_message(_PLAN, msgspec.msgpack.encode(share), worker)
        _wait(lambda: self._planned.keys() >= self._chosen.keys(), _PLAN_SECONDS)
        for worker in self._chosen:
            if (why := self._planned.get(worker, f"did not take its share of the load within {_PLAN_SECONDS:g} s")) is not None:
                raise CanariError(f"worker {worker}: {why}")

    def start(self) -> float:
        """Let the load begin; returns when, seconds since 1970."""
        started = time.perf_counter() + EPOCH + _LEAD_SECONDS
        for worker in self._chosen:
            self.runner.send_message(_START, started, worker)
        gevent.spawn(self.runner.start, 2 * len(self._chosen), 100)
        return started

    def stop(self, **_: Any) -> None:
        """End the arrivals."""
        self._ending.now()
        for worker in self._chosen:
            self.runner.send_message(_END, None, worker)

    def record_into(self, writer: Writer) -> None:
        """Where the workers' records go."""
        self._writer = writer

    def wait(self, started: float) -> Load:
        """Wait until each worker is done or lost; what they asked for altogether, and the highest CPU of one."""
        start = started - EPOCH

        def over() -> bool:
            ended = min(start + self._plan.duration_s, self._ending.at)
            late = time.perf_counter() > ended + 2 * self._plan.timeout_s + _PLAN_SECONDS
            return late or all(worker in self._done or self._is_lost(worker) for worker in self._chosen)

        _wait(over)
        seconds = self._ending.at - start  # what a lost worker was asked for ends where the others' did
        loads = [
            self._done.get(worker) or load_of(plan, started, seconds, 0.0)
            for worker, plan in zip(self._chosen, shares(self._plan), strict=True)
        ]
        return msgspec.structs.replace(
            loads[0],
            started=started,
            rate=self._plan.rate,
            duration_s=max(load.duration_s for load in loads),
            asked={arm: sum(load.asked[arm] for load in loads) for arm in loads[0].asked},
            cpu=max(load.cpu for load in loads),
        )

    def _present(self) -> list[str]:
        return [worker for worker in self._joined if not self._is_lost(worker)]

    def _is_lost(self, worker: str) -> bool:
        node = self.runner.clients.get(worker)
        if node is None:  # it has quit, or Locust's page has stopped it, which is no reason not to wait for its records
            return self._ending.at == math.inf
        return bool(node.state == STATE_MISSING)

    def _tell_time(self, msg: Any, **_: Any) -> None:
        self.runner.send_message(_TIME, time.perf_counter() + EPOCH, msg.node_id)

    def _join(self, msg: Any, **_: Any) -> None:
        if msg.data == __version__:
            self._joined.append(msg.node_id)
            return
        why = f"a worker of canari {msg.data} cannot send the load of a gate of canari {__version__}"
        self._refused[msg.node_id] = why
        self.runner.send_message(_REFUSED, why, msg.node_id)

    def _take_planned(self, msg: Any, **_: Any) -> None:
        self._planned[msg.node_id] = msg.data

    def _record(self, msg: Any, **_: Any) -> None:
        if self._writer is None or self.error is not None:
            return
        try:
            self._writer.write(msg.data)
        except OSError as error:
            self.error = error
            self.stop()

    def _take_done(self, msg: Any, **_: Any) -> None:
        self._done[msg.node_id] = msgspec.msgpack.decode(msg.data, type=Load)


def lead(plan: LoadPlan, tell: Callable[[Started], Any], ready: Callable[[Callable[[], Any]], Any]) -> Load:
    """Send the load of `plan` from its workers, and record what they tell.

    `tell` is told when the load starts; `ready` is given a function that ends the arrivals early. Raises `CanariError` where the
    workers do not come or cannot take the plan, or where the recording cannot be written.
    """
    crew = _Crew(plan)
    try:
        with Writer(Path(plan.recording)) as writer, web_page(crew.environment, plan.web_port):
            crew.gather()
            crew.record_into(writer)
            ready(crew.stop)
            started = crew.start()
            tell(Started(started=started))
            load = crew.wait(started)
            error = crew.error
    except OSError as failed:
        error = failed
    finally:
        crew.runner.quit()
    if error is not None:
        raise CanariError(f"{plan.recording}: cannot be written: {error.strerror}")
    return load


class _Worker:
    """A worker's side of one gate."""

    def __init__(self, host: str, port: int, say: Callable[[str], Any]) -> None:
        self._say = say
        self._folder = tempfile.TemporaryDirectory()
        self._heard = time.perf_counter()
        self._environment = cast(Any, Environment)(user_classes=[])
        self._runner = self._environment.create_worker_runner(host, port)
        self._environment.events.heartbeat_received.add_listener(self._hear)
        self._time: AsyncResult[float] = AsyncResult()
        self._ahead = 0.0  # of time.perf_counter here, how far the master's seconds since 1970 are
        self._plan: LoadPlan | None = None
        self._started: AsyncResult[LoadPlan] = AsyncResult()
        self._ending = Ending()
        self.refused = False
        for kind, listener in (
            (_TIME, self._take_time),
            (_REFUSED, self._be_refused),
            (_PLAN, self._take_plan),
            (_START, self._take_start),
            (_END, self._ending.now),
        ):
            self._runner.register_message(kind, listener)
        self._environment.events.test_stopping.add_listener(self._ending.now)

    def serve(self) -> None:
        """Serve until the master goes, refuses, or says that the gate is over."""
        try:
            working = gevent.spawn(self._work)
            while self._runner.greenlet and not self.refused and not self._is_alone():
                gevent.sleep(_AGAIN_SECONDS / 4)
            working.kill()
        finally:
            self.close()

    def close(self) -> None:
        """Tell the master, end what is sent, and leave nothing behind."""
        self._environment.events.quitting.fire(environment=self._environment)
        self._runner.user_greenlets.kill()
        self._runner.greenlet.kill()
        self._runner.client.close(linger=1000)
        self._folder.cleanup()

    def _work(self) -> None:
        prepare_process()
        self._ahead = self._measure_clock()
        self._runner.send_message(_JOIN, __version__)
        plan = self._started.get()
        recorder = Recorder(lambda lines: self._runner.send_message(_RECORDS, lines), self._ending.now)
        for one in self._environment.user_classes:
            one.sink = recorder
            one.ending = self._ending
        cpu = time.process_time()
        starts_at = self._environment.user_classes[0].starts_at
        with recorder.flushing():
            while self._runner.spawning_greenlet is None:
                gevent.sleep(_LEAD_SECONDS / 20)
            self._runner.spawning_greenlet.join()
            if error := self._runner.spawning_greenlet.exception:
                self._say(f"the locustfile's user cannot start: {describe(error)}")
            self._runner.user_greenlets.join()
        load = load_of(plan, starts_at + self._ahead, self._ending.at - starts_at, time.process_time() - cpu)
        self._runner.send_message(_DONE, msgspec.msgpack.encode(load))
        self._say(
            f"sent {recorder.taken} requests, {plan.rate:g} a second to each arm for {load.duration_s:.1f} s, CPU {load.cpu:.0%}"
        )

    def _measure_clock(self) -> float:
        best, ahead = math.inf, 0.0
        for _ in range(_ROUND_TRIPS):
            self._time = AsyncResult()
            asked = time.perf_counter()
            self._runner.send_message(_ASK_TIME)
            said = self._time.get()
            now = time.perf_counter()
            if now - asked < best:
                best, ahead = now - asked, said - (asked + now) / 2
        return ahead

    def _is_alone(self) -> bool:
        # While Locust stops users it reads no messages.
        return self._runner.state != STATE_CLEANUP and time.perf_counter() - self._heard > _SILENCE_SECONDS

    def _hear(self, **_: Any) -> None:
        self._heard = time.perf_counter()

    def _take_time(self, msg: Any, **_: Any) -> None:
        self._time.set(msg.data)

    def _be_refused(self, msg: Any, **_: Any) -> None:
        self._say(msg.data)
        self.refused = True

    def _take_plan(self, msg: Any, **_: Any) -> None:
        share = msgspec.msgpack.decode(msg.data, type=_Share)
        path = None
        if share.locustfile is not None:
            path = Path(self._folder.name, Path(share.plan.locustfile or "").name)
            path.write_text(share.locustfile, "utf-8")
        try:
            classes = user_of_each_arm(share.plan, load_user(path))
        except CanariError as error:
            self._runner.send_message(_PLANNED, str(error))
            return
        self._environment.user_classes = classes
        self._plan = share.plan
        self._runner.send_message(_PLANNED, None)

    def _take_start(self, msg: Any, **_: Any) -> None:
        for one in self._environment.user_classes:
            one.epoch = self._ahead
            one.starts_at = msg.data - self._ahead
        self._started.set(self._plan)


def work(master: str, say: Callable[[str], Any]) -> NoReturn:
    """Serve one gate after the other, for ever: whenever a gate listens at `master`, HOST:PORT, send a share of its load."""
    host, port = parse_address(master)
    while True:
        try:
            socket.create_connection((host.strip("[]"), port), _SILENCE_SECONDS).close()
        except OSError:
            gevent.sleep(_AGAIN_SECONDS)
            continue
        try:
            worker = _Worker(host, port, say)
        except ConnectionError:  # it went, and none came after it
            continue
        worker.serve()
        gevent.sleep(_SILENCE_SECONDS if worker.refused else _AGAIN_SECONDS)


def _wait(done: Callable[[], bool], seconds: float = math.inf) -> None:
    deadline = time.perf_counter() + seconds
    while not done() and time.perf_counter() < deadline:
        gevent.sleep(0.05)


def main() -> int:
    """Work for the master that the command line names; an error is one line on standard error."""
    gevent.signal_handler(signal.SIGTERM, sys.exit, 0)

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    try:
        work(sys.argv[1], say)
    except CanariError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
