"""The bounded queue: a slow model blocks nobody, and too many requests do not make all of them slow."""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
from tritonclient.grpc import service_pb2

from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.http import HttpError
from canari.serving.queue import Job, Queue
from canari.serving.settings import Settings
from tests.conftest import make_toy
from tests.serving.conftest import Server, running
from tests.serving.sleeping import SleepingRuntime
from tests.serving.wire import Wire, connected, get, request

pytestmark = pytest.mark.alone


# A model that sleeps in other processes, behind every door


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sleeping") / "log"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPING_LOG", str(log))
        patch.setenv("CANARI_ANSWER_TIMEOUT", "1")
        with running("-m", "tests.serving.sleeping") as one:
            yield one
            assert one.stop() == 0


def row(age: float, visits: int) -> dict[str, Any]:
    return {"age": age, "visits": visits, "smoker": True, "exercise": "some"}


def infer_message(age: float, visits: int) -> Any:
    message = service_pb2.ModelInferRequest(model_name="toy")
    for name, datatype, field, value in (
        ("age", "FP64", "fp64_contents", age),
        ("visits", "INT64", "int64_contents", visits),
        ("smoker", "BOOL", "bool_contents", True),
        ("exercise", "BYTES", "bytes_contents", b"some"),
    ):
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[1, 1])
        getattr(tensor.contents, field).append(value)
    return message


class Doors:
    """A prediction through each of the server's doors: its status, by HTTP's or gRPC's name, and what came with it."""

    def __init__(self, server: Server) -> None:
        self._http = httpx.Client(base_url=server.url, timeout=20, limits=httpx.Limits(max_connections=100))
        self._channel = grpc.insecure_channel(server.grpc)
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )

    def close(self) -> None:
        self._http.close()
        self._channel.close()

    def predict(self, age: float, visits: int) -> tuple[str, Any]:
        answer = self._http.post("/predict", json=[row(age, visits)])
        body = answer.json()
        return str(answer.status_code), body["predictions"][0]["prediction"] if answer.is_success else (body, answer.headers)

    def oip(self, age: float, visits: int) -> tuple[str, Any]:
        types = {"age": "FP64", "visits": "INT64", "smoker": "BOOL", "exercise": "BYTES"}
        inputs = [{"name": n, "datatype": types[n], "shape": [1, 1], "data": [v]} for n, v in row(age, visits).items()]
        answer = self._http.post("/v2/models/toy/infer", json={"inputs": inputs})
        body = answer.json()
        return str(answer.status_code), body["outputs"][0]["data"][0] if answer.is_success else (body, answer.headers)

    def grpc(self, age: float, visits: int, timeout: float = 20) -> tuple[str, Any]:
        try:
            answer = self._infer(infer_message(age, visits), timeout=timeout)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", next(iter(answer.outputs[0].contents.fp64_contents))

    def get(self, path: str) -> int:
        return self._http.get(path).status_code

    def live(self) -> bool:
        ask = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ServerLive",
            request_serializer=service_pb2.ServerLiveRequest.SerializeToString,
            response_deserializer=service_pb2.ServerLiveResponse.FromString,
        )
        return bool(ask(service_pb2.ServerLiveRequest(), timeout=10).live)


@pytest.fixture
def doors(server: Server) -> Iterator[Doors]:
    one = Doors(server)
    yield one
    one.close()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def predicted(log: Path) -> list[float]:
    """The ages that workers were asked for."""
    return [float(line) for line in log.read_text().split()] if log.exists() else []


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def asleep(log: Path, ages: Sequence[float]) -> None:
    """Wait until workers are busy with these."""
    until(lambda: set(ages) <= set(predicted(log)))


GOOD = {"predict": "200", "oip": "200", "grpc": "OK"}


def test_who_would_wait_too_long_is_told_at_once(doors: Doors, callers: ThreadPoolExecutor, log: Path) -> None:
    """While both workers sleep, those behind them are refused long before that is over; who was accepted is answered."""
    sleepers = [callers.submit(doors.predict, age, 80) for age in (1, 2)]
    asleep(log, [1, 2])
    refused = [callers.submit(getattr(doors, door), 3, 0) for door in GOOD]
    (status, (body, headers)), (oip_status, (oip_body, oip_headers)), (code, details) = [one.result() for one in refused]
    assert not any(sleeper.done() for sleeper in sleepers)
    assert (status, oip_status, code) == ("503", "503", "UNAVAILABLE")
    assert body["error"] == oip_body["error"] == details
    assert int(headers["retry-after"]) == int(oip_headers["retry-after"]) == 1
    assert [sleeper.result() for sleeper in sleepers] == [("200", 0.01), ("200", 0.02)]
    assert 3 not in predicted(log)
    assert doors.predict(4, 0) == ("200", 0.04)


@pytest.mark.parametrize("door", GOOD)
def test_a_sleeping_model_blocks_nobody(doors: Doors, callers: ThreadPoolExecutor, log: Path, door: str) -> None:
    base = 10.0 * (list(GOOD).index(door) + 1)
    sleepers = [callers.submit(getattr(doors, door), base + number, 30) for number in range(2)]
    asleep(log, [base, base + 1])
    waiting = callers.submit(getattr(doors, door), base + 2, 0)
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/signature", "/v2", "/v2/models/toy"):
        assert doors.get(path) == 200
    assert doors.live()
    assert [sleeper.result() for sleeper in sleepers] == [(GOOD[door], (base + number) / 100) for number in range(2)]
    assert waiting.result() == (GOOD[door], (base + 2) / 100)


def test_as_many_at_once_as_workers_in_their_order(doors: Doors, callers: ThreadPoolExecutor, log: Path) -> None:
    """Six take two workers as long as three one after the other, not as six."""
    begun = time.perf_counter()
    assert doors.predict(50, 15) == ("200", 0.5)
    one = time.perf_counter() - begun
    begun = time.perf_counter()
    answers = []
    for age in range(51, 57):
        answers.append(callers.submit(doors.predict, age, 15))
        time.sleep(0.02)
    assert [answer.result() for answer in answers] == [("200", age / 100) for age in range(51, 57)]
    assert (time.perf_counter() - begun) / one < 5
    order = [age for age in predicted(log) if 51 <= age < 57]
    assert [set(order[i : i + 2]) for i in (0, 2, 4)] == [{51, 52}, {53, 54}, {55, 56}]


def test_who_has_left_the_queue_is_not_predicted(server: Server, doors: Doors, callers: ThreadPoolExecutor, log: Path) -> None:
    sleepers = [callers.submit(doors.predict, age, 30) for age in (60, 61)]
    asleep(log, [60, 61])
    with connected(server.url) as wire:
        wire.send(request(body=json.dumps([row(62, 0)]).encode()))
        time.sleep(0.02)
        wire.reset()
    assert doors.grpc(63, 0, timeout=0.05)[0] == "DEADLINE_EXCEEDED"
    assert [sleeper.result()[0] for sleeper in sleepers] == ["200", "200"]
    assert doors.grpc(64, 0, timeout=5) == ("OK", 0.64)
    assert not {62, 63} & set(predicted(log))


def test_a_worker_that_takes_too_long_is_not_waited_for(doors: Doors, callers: ThreadPoolExecutor) -> None:
    late = [callers.submit(doors.predict, 70, 130), callers.submit(doors.grpc, 71, 130)]
    (status, (body, _)), (code, details) = [one.result() for one in late]
    assert (status, code) == ("504", "DEADLINE_EXCEEDED")
    assert body["error"] == details == "the model did not answer within 1 seconds"
    until(lambda: doors.predict(72, 0) == ("200", 0.72))  # and not with a late answer


def test_a_worker_that_dies_is_an_error_in_words(doors: Doors) -> None:
    assert doors.predict(80, 99)[0] == "500"
    assert doors.oip(81, 99)[0] == "500"
    code, details = doors.grpc(82, 99)
    assert (code, "log says" in details) == ("INTERNAL", True)
    assert [doors.predict(83, 0), doors.grpc(84, 0)] == [("200", 0.83), ("OK", 0.84)]


def test_the_end_waits_for_all_that_has_come(log: Path, monkeypatch: pytest.MonkeyPatch, callers: ThreadPoolExecutor) -> None:
    """Being predicted, in the queue, behind one another on a connection, and half sent."""
    monkeypatch.setenv("SLEEPING_LOG", str(log))

    def ask(age: float, visits: int) -> bytes:
        return request(body=json.dumps([row(age, visits)]).encode())

    with running("-m", "tests.serving.sleeping") as server, ExitStack() as stack:
        wires = [stack.enter_context(connected(server.url)) for _ in range(4)]
        half = wires.pop()
        half.send(ask(109, 1)[:-9])
        for number, wire in enumerate(wires):  # two of them are predicted, one waits
            wire.send(ask(100 + number, 15) + get("/readyz") + ask(103 + number, 1))
        asleep(log, [100, 101])
        server.process.terminate()
        answers = list(callers.map(Wire.responses, wires))
        time.sleep(1.2)  # beyond the drain: the server now only waits for this request
        half.send(ask(109, 1)[-9:])
        for number, (first, ready, last) in enumerate(answers):
            assert [first.status, ready.status, last.status] == [200, 503, 200]
            assert json.loads(last.body)["predictions"] == [{"prediction": (103 + number) / 100}]
            assert ["connection" in answer.headers for answer in (first, ready, last)] == [False, False, True]
        assert [answer.status for answer in half.responses()] == [200]
        assert server.process.wait(30) == 0


def test_behind_asgi(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `bentoml serve` runs the application."""
    monkeypatch.setenv("SLEEPING_LOG", str(log))
    runtime = SleepingRuntime()

    async def main() -> None:
        app = App(runtime, Settings(answer_timeout=1.0))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://canari", timeout=20) as client:
            sleepers = [asyncio.create_task(client.post("/predict", json=[row(age, 10)])) for age in (90, 91, 92)]
            await asyncio.sleep(0.05)
            assert (await client.get("/livez")).status_code == 200
            assert not any(sleeper.done() for sleeper in sleepers)
            answers = [(await sleeper).json()["predictions"][0]["prediction"] for sleeper in sleepers]
            assert answers == [0.9, 0.91, 0.92]
            assert (await client.post("/predict", json=[row(93, 130)])).status_code == 504
        app.close()

    asyncio.run(main())


# The queue itself, on a clock of its own


class Instant(Runtime):
    """Never asked: the jobs below stand for the work."""

    inline = True

    def predict(self, feeds: Any) -> Any:
        raise NotImplementedError


class Nobody:
    def waited(self, lane: str, seconds: float) -> None: ...

    def refused(self, reason: str) -> None: ...


class Clock:
    """Seconds that pass when a job works, or when there is nothing to do."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1e-7
        return self.now


class Work(Job):
    """Takes a fixed time; keeps how long it took from its coming to its end."""

    __slots__ = ("clock", "error", "seconds", "took")

    def __init__(self, clock: Clock, arrived: float, seconds: float) -> None:
        self.arrived, self.deadline = arrived, None
        self.clock, self.seconds, self.took = clock, seconds, 0.0
        self.error: HttpError | None = None

    def run(self, waited: float) -> None:
        self.clock.now += self.seconds

    def finish(self) -> None:
        self.took = self.clock.now - self.arrived

    def refuse(self, error: HttpError) -> None:
        self.error = error
        self.clock.now += 1e-5
        self.finish()


async def offer(queue: Queue, clock: Clock, service: float, load: float, seconds: float) -> list[Work]:
    """Jobs that come at random, `load` times as many as can be done, whatever becomes of those before them."""
    chance = random.Random(7)
    jobs: list[Work] = []
    due, end = clock.now, clock.now + seconds
    while due < end or queue.in_flight():
        if not queue.in_flight():
            clock.now = max(clock.now, due)
        while due < end and due <= clock.now:
            jobs.append(Work(clock, due, service))
            queue.submit(jobs[-1], small=True)
            due += chance.expovariate(load / service)
        await asyncio.sleep(0)
    return jobs


def p99(jobs: list[Work]) -> float:
    return statistics.quantiles((work.took for work in jobs if work.error is None), n=100)[-1]


def refused(jobs: list[Work]) -> list[Work]:
    return [work for work in jobs if work.error is not None]


@pytest.mark.parametrize("service", [0.0005, 0.001, 0.02])
def test_twice_what_can_be_done_keeps_the_latency_of_the_accepted(monkeypatch: pytest.MonkeyPatch, service: float) -> None:
    clock = Clock()
    monkeypatch.setattr("canari.serving.queue.perf_counter", clock)

    async def main() -> None:
        queue = Queue(Instant(make_toy().signature), Nobody(), answer_timeout=30)
        normal = await offer(queue, clock, service, 0.5, 3000 * service)
        assert refused(normal) == []
        jobs = await offer(queue, clock, service, 2, 6000 * service)
        begun = jobs[0].arrived + max(1.0, 100 * service)
        overload = [work for work in jobs if work.arrived > begun]
        assert 0.45 < len(refused(overload)) / len(overload) < 0.55  # what can be done is done
        assert p99(overload) < 5 * p99(normal)
        assert statistics.quantiles((work.took for work in refused(overload)), n=100)[-1] < 5 * p99(normal)
        assert {work.error.status for work in jobs if work.error is not None} == {503}
        after = await offer(queue, clock, service, 0.5, 3000 * service)
        assert refused(after[20:]) == []
        assert p99(after[20:]) < 1.5 * p99(normal)
        queue.close()

    asyncio.run(main())


def test_an_idle_queue_takes_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("canari.serving.queue.perf_counter", clock)

    async def main() -> None:
        queue = Queue(Instant(make_toy().signature), Nobody(), answer_timeout=30)
        await offer(queue, clock, 0.001, 0.5, 1)
        for _ in range(3):
            clock.now += 60
            burst = [Work(clock, clock.now, 0.001) for _ in range(200)]
            for work in burst:
                queue.submit(work, small=True)
            while queue.in_flight():
                await asyncio.sleep(0)
            assert refused(burst) == []
            assert max(work.took for work in burst) < 0.25
        queue.close()

    asyncio.run(main())
