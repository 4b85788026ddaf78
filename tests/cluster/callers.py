"""The services that call a model through the gateway, in a process of their own: `python -m tests.cluster.callers PLAN`.

Callers over REST (`/predict` and the Open Inference Protocol in turn) and over gRPC, as real services keep them: pooled
connections, a few channels, nobody waits for another's answer. Each request is recorded with its fate. They never try again, nor
let gRPC do so by itself, unless the plan says `retry`.

`call` starts them from a test; `Account` is what became of the requests.
"""

import asyncio
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import aiohttp
import grpc  # type: ignore[import-untyped]
import msgspec
import uvloop

from canari.gate.rows import generate, records
from canari.model import Value
from canari.serving.oip import open_inference_pb2 as pb
from canari.signature import Input, Signature
from tests.cluster.cluster import PATIENCE

Protocol: TypeAlias = Literal["rest", "grpc"]
PROTOCOLS: tuple[Protocol, ...] = ("rest", "grpc")

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_FIELDS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
_CHANNELS = 4
# As docs/releases.md advises callers to try again.
_RETRIED_STATUSES = (502, 503, 504)
_RETRY_WAITS = (0.1, 0.3, 1.0, 2.0)  # seconds
_RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{"service": "inference.GRPCInferenceService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, how often, and where to record it."""

    gateway: str  # HOST:PORT
    rest_host: str
    grpc_host: str
    recording: str
    rate: float = 40.0  # requests a second and protocol, as independent callers come
    rows: int = 1  # in one request
    count: int | None = None  # requests of each protocol; else until SIGTERM
    in_flight: int | None = None  # send the next when one is answered, this many at a time, and not by the clock
    retry: bool = False
    timeout: float = 10.0  # seconds
    seed: int = 0


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One caller's request; times in seconds since 1970."""

    protocol: Protocol
    due: float
    done: float
    version: str | None  # of the model that answered
    error: str | None  # HTTP status, gRPC status or the client's own error; None where the prediction came


class Account:
    """What became of requests: each was answered or lost."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.requests = list(requests)

    def __add__(self, other: "Account") -> "Account":
        return Account([*self.requests, *other.requests])

    def of(self, protocol: Protocol) -> "Account":
        return Account(r for r in self.requests if r.protocol == protocol)

    def since(self, moment: float, until: float = math.inf) -> "Account":
        """Those that became due from one moment until another."""
        return Account(r for r in self.requests if moment <= r.due < until)

    def answered_by(self, version: str) -> "Account":
        return Account(r for r in self.requests if r.version == version)

    @property
    def lost(self) -> list[Request]:
        return [r for r in self.requests if r.error is not None]

    def share(self, version: str) -> float:
        """The part of the answers that a version gave."""
        answers = [r for r in self.requests if r.version is not None]
        return len(self.answered_by(version).requests) / len(answers)

    def summary(self) -> dict[str, dict[str, Any]]:
        """By protocol: sent, lost, by which version answered, the kinds of loss."""
        return {
            protocol: {
                "sent": len(mine.requests),
                "lost": len(mine.lost),
                "versions": dict(Counter(r.version for r in mine.requests if r.error is None)),
                "errors": dict(Counter(r.error for r in mine.lost)),
            }
            for protocol in PROTOCOLS
            for mine in [self.of(protocol)]
        }

    def __repr__(self) -> str:
        return json.dumps(self.summary())


class Callers:
    """A running process of callers; leaving the `with` block stops it."""

    def __init__(self, plan: Plan) -> None:
        self._recording = Path(plan.recording)
        self._recording.touch()
        command = [sys.executable, "-m", "tests.cluster.callers", msgspec.json.encode(plan).decode()]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)

    def account(self) -> Account:
        """Of the requests that were recorded up to now."""
        data = self._recording.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        return Account(map(msgspec.json.Decoder(Request).decode, lines))

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> Account:
        """Of all their requests, once they have sent as many as they were asked for."""
        _, errors = self._process.communicate(timeout=seconds)
        assert self._process.returncode == 0, errors
        return self.account()

    def stop(self) -> Account:
        """Of all their requests; those in flight are waited for."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def call(plan: Plan, seconds: float = PATIENCE) -> Iterator[Callers]:
    """Start callers, and go on when both protocols were answered."""
    with Callers(plan) as callers:
        deadline = time.monotonic() + seconds
        while not all(any(r.error is None for r in callers.account().of(protocol).requests) for protocol in PROTOCOLS):
            assert time.monotonic() < deadline, f"no answer over both protocols within {seconds:g} s: {callers.account()}"
            time.sleep(0.2)
        yield callers


# What follows runs in the callers' process.

_Blocks: TypeAlias = Sequence[list[dict[str, Value]]]
_Answer: TypeAlias = tuple[str | None, str | None]  # version, error
_Send: TypeAlias = Callable[[], Awaitable[_Answer]]


def _rest(session: aiohttp.ClientSession, plan: Plan, signature: Signature, blocks: _Blocks) -> _Send:
    headers = {"Host": plan.rest_host, "Content-Type": "application/json"}
    infer = f"/v2/models/{signature.name}/infer"
    turns = itertools.cycle(
        request
        for rows in blocks
        for request in (
            ("/predict", msgspec.json.encode(rows)),
            (infer, msgspec.json.encode({"inputs": [_tensor(column, rows) for column in signature.inputs]})),
        )
    )

    async def once(path: str, body: bytes) -> _Answer:
        try:
            async with session.post(f"http://{plan.gateway}{path}", data=body, headers=headers) as response:
                await response.read()
                return response.headers.get("x-canari-version"), None if response.status == 200 else str(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return None, type(error).__name__

    async def send() -> _Answer:
        request = next(turns)
        answer = await once(*request)
        for wait in _RETRY_WAITS if plan.retry else ():
            error = answer[1]
            if error is None or (error.isdecimal() and int(error) not in _RETRIED_STATUSES):
                break
            await asyncio.sleep(wait)
            answer = await once(*request)
        return answer

    return send


def _tensor(column: Input, rows: list[dict[str, Value]]) -> dict[str, Any]:
    return {
        "name": column.name,
        "shape": [len(rows), 1],
        "datatype": column.datatype,
        "data": [row[column.name] for row in rows],
    }


def _grpc(channels: Sequence[grpc.aio.Channel], plan: Plan, signature: Signature, blocks: _Blocks) -> _Send:
    codec = {
        "request_serializer": pb.ModelInferRequest.SerializeToString,
        "response_deserializer": pb.ModelInferResponse.FromString,
    }
    methods = itertools.cycle([channel.unary_unary(_INFER, **codec) for channel in channels])
    turns = itertools.cycle([_message(signature, rows) for rows in blocks])

    async def send() -> _Answer:
        try:
            answer = await next(methods)(next(turns), timeout=plan.timeout)
        except grpc.aio.AioRpcError as error:
            return _version(error.trailing_metadata()), error.code().name
        return answer.model_version, None

    return send


def _message(signature: Signature, rows: list[dict[str, Value]]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=signature.name)
    for column in signature.inputs:
        tensor = request.inputs.add(name=column.name, datatype=column.datatype, shape=[len(rows), 1])
        values = [row[column.name] for row in rows]
        encoded = [v.encode() if isinstance(v, str) else v for v in values]
        getattr(tensor.contents, _FIELDS[column.datatype]).extend(encoded)
    return request


def _version(trailer: Any) -> str | None:
    return next((value for key, value in trailer or () if key == "x-canari-version"), None)


async def _by_the_clock(plan: Plan, protocol: Protocol, stop: asyncio.Event, one: Callable[[float], Awaitable[None]]) -> None:
    random = Random(f"{plan.seed}:{protocol}")
    due, under_way = time.time(), set[asyncio.Task[None]]()
    for _ in range(plan.count) if plan.count else itertools.count():
        due += random.expovariate(plan.rate)
        if (wait := due - time.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
        if stop.is_set():
            break
        task = asyncio.ensure_future(one(due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)


async def _one_after_another(count: int, in_flight: int, stop: asyncio.Event, one: Callable[[float], Awaitable[None]]) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            if stop.is_set():
                return
            await one(time.time())

    await asyncio.gather(*(work() for _ in range(in_flight)))


async def _signature(session: aiohttp.ClientSession, plan: Plan, stop: asyncio.Event) -> Signature:
    """As soon as the gateway has the route."""
    while not stop.is_set():
        with suppress(aiohttp.ClientError):
            async with session.get(f"http://{plan.gateway}/signature", headers={"Host": plan.rest_host}) as response:
                if response.status == 200:
                    return msgspec.json.decode(await response.read(), type=Signature)
        await asyncio.sleep(0.2)
    sys.exit(0)


@asynccontextmanager
async def _channels(plan: Plan) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Each with a connection of its own."""
    options: list[tuple[str, Any]] = [("grpc.default_authority", plan.grpc_host), ("grpc.use_local_subchannel_pool", 1)]
    if plan.retry:
        options.append(("grpc.service_config", json.dumps(_RETRY_POLICY)))
    else:
        options.append(("grpc.enable_retries", 0))  # this also stops gRPC's own, transparent ones
    channels = [grpc.aio.insecure_channel(plan.gateway, options) for _ in range(_CHANNELS)]
    try:
        yield channels
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def _end_with(parent: int) -> None:
    """A test that was killed leaves no callers behind."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os._exit(1)


async def _run(plan: Plan) -> None:
    orphaned = asyncio.ensure_future(_end_with(os.getppid()))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=plan.timeout), connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    )
    async with session, _channels(plan) as channels:
        signature = await _signature(session, plan, stop)
        inputs = [msgspec.structs.replace(column, missing=False) for column in signature.inputs]
        drawn = records(generate(inputs, max(200, 4 * plan.rows), plan.seed))
        blocks = [drawn[start : start + plan.rows] for start in range(0, len(drawn) - plan.rows + 1, plan.rows)]
        encode = msgspec.json.Encoder().encode
        with Path(plan.recording).open("ab", buffering=0) as recording:  # a reader finds lines soon after, and whole

            async def of(protocol: Protocol, send: _Send) -> None:
                async def one(due: float) -> None:
                    version, error = await send()
                    recording.write(encode(Request(protocol, due, time.time(), version, error)) + b"\n")

                if plan.in_flight and plan.count:
                    await _one_after_another(plan.count, plan.in_flight, stop, one)
                else:
                    await _by_the_clock(plan, protocol, stop, one)

            await asyncio.gather(
                of("rest", _rest(session, plan, signature, blocks)), of("grpc", _grpc(channels, plan, signature, blocks))
            )
    orphaned.cancel()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(msgspec.json.decode(sys.argv[1], type=Plan)))
