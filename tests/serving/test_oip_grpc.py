"""The gRPC service in this process, over runtimes that are slow, fail, or come out of a bento."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest

from canari.model import Feeds, Predictions
from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.oip import open_inference_pb2 as pb
from canari.serving.oip_grpc import GrpcServer
from canari.serving.settings import Settings
from canari.serving.warmup import warm
from tests.conftest import make_toy

SECRET = "a lot"


def request(exercise: str = SECRET) -> bytes:
    message = pb.ModelInferRequest(model_name="toy", id="7")
    for name, datatype, contents in (
        ("age", "FP64", {"fp64_contents": [30.0]}),
        ("visits", "INT64", {"int64_contents": [2]}),
        ("smoker", "BOOL", {"bool_contents": [True]}),
        ("exercise", "BYTES", {"bytes_contents": [exercise.encode()]}),
    ):
        message.inputs.add(name=name, datatype=datatype, shape=[1, 1], contents=pb.InferTensorContents(**contents))
    return message.SerializeToString()


class Slow(Runtime):
    """Predicts, one request at a time, when it is let."""

    def __init__(self) -> None:
        super().__init__(make_toy().signature)
        self.begun = 0
        self.let = Event()

    def predict(self, feeds: Feeds) -> Predictions:
        self.begun += 1
        self.let.wait(10)
        return {"prediction": np.full((len(feeds["age"]), 1), 0.5)}


class Broken(Runtime):
    """Fails, with what a caller sent in its message."""

    def predict(self, feeds: Feeds) -> Predictions:
        raise ValueError(f"cannot predict {feeds['exercise'][0, 0]}")


@asynccontextmanager
async def infer_on(app: App, settings: Settings | None = None) -> AsyncIterator[Callable[..., Any]]:
    server = GrpcServer("127.0.0.1:0", settings or app.settings)
    await server.start(app)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    finally:
        await server.stop(0)
        app.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def counted(app: App, status: str) -> bool:
    return f'route="/inference.GRPCInferenceService/ModelInfer",status="{status}"' in app.metrics.text().decode()


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


def test_nothing_is_predicted_for_those_who_no_longer_wait() -> None:
    async def scenario() -> None:
        runtime = Slow()
        app = App(runtime, Settings())
        async with infer_on(app) as infer:
            first = infer(request())
            await until(lambda: runtime.begun == 1)
            late, gone = infer(request(), timeout=0.03), infer(request())
            await until(lambda: sum(app.queue.lengths().values()) >= 1)
            gone.cancel()
            assert (await refused(late)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
            await until(lambda: counted(app, "CANCELLED") and counted(app, "DEADLINE_EXCEEDED"))
            runtime.let.set()
            assert pb.ModelInferResponse.FromString(await first).id == "7"
            await infer(request())
            assert runtime.begun == 2

    asyncio.run(scenario())


def test_overload_is_unavailable_and_says_when_to_come_again() -> None:
    async def scenario() -> None:
        runtime = Slow()
        app = App(runtime, Settings())
        async with infer_on(app) as infer:
            first = infer(request())
            await until(lambda: runtime.begun == 1)
            error = await refused(infer(request()))
            assert (error.code(), "try again later" in error.details()) == (grpc.StatusCode.UNAVAILABLE, True)
            assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) >= 1000
            runtime.let.set()
            await first
            await infer(request())
            assert counted(app, "UNAVAILABLE")

    asyncio.run(scenario())


def test_a_failure_is_internal_and_shows_nobodys_values(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> grpc.aio.AioRpcError:
        async with infer_on(App(Broken(make_toy().signature), Settings())) as infer:
            return await refused(infer(request()))

    with caplog.at_level(logging.DEBUG):
        error = asyncio.run(scenario())
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INTERNAL,
        "the server failed to answer; its log says where",
    )
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text


def test_an_answer_names_the_bento() -> None:
    async def scenario() -> None:
        async with infer_on(App(warm(make_toy()), Settings(), bento="toy_service:abc")) as infer:
            call = infer(request())
            assert pb.ModelInferResponse.FromString(await call).parameters["bento"].string_param == "toy_service:abc"
            assert dict(await call.trailing_metadata())["x-canari-bento"] == "toy_service:abc"

    asyncio.run(scenario())


def test_a_message_over_the_operators_limit_is_refused() -> None:
    async def scenario() -> None:
        settings = Settings(max_body=2048)
        async with infer_on(App(warm(make_toy()), settings)) as infer:
            await infer(request())
            error = await refused(infer(request("x" * 4096)))
            assert (error.code(), "larger than max" in error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)

    asyncio.run(scenario())


def test_an_unproved_model_says_so_in_every_answer() -> None:
    async def scenario() -> None:
        async with infer_on(App(warm(make_toy(proved=False)), Settings())) as infer:
            call = infer(request())
            await call
            assert dict(await call.trailing_metadata())["x-canari-unproved"] == "true"

    asyncio.run(scenario())
