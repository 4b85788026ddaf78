"""The fault that FAULT names, put into canari's server as Python starts.

slow, erring, freezing      every prediction, over both protocols; with `-live`, those of callers only, as where the fault lies in
                            the callers' data and no load test meets it
crashing, never-ready       the server
"""

import itertools
import os
import sys
import time
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

SLOW_SECONDS = 0.08
ERRING_EVERY = 10
FREEZE_EVERY, FREEZE_SECONDS = 1.0, 1.0  # often enough for a gate of a quarter of a minute: one or two might be the machine's

FAULT = os.environ["FAULT"].removesuffix("-live")
LIVE_ONLY = os.environ["FAULT"] != FAULT

struck: ContextVar[bool] = ContextVar("struck", default=False)


def break_predictions() -> None:
    """Let the fault strike predictions, where the server's own counters see it."""
    from canari.runtime.onnx import OnnxRuntime
    from canari.serving import app, oip_grpc, telemetry
    from canari.serving.queue import Queue

    runtime: Any = OnnxRuntime
    application: Any = app.App
    service: Any = oip_grpc._Service
    queue: Any = Queue
    whole_predict, whole_row = runtime.predict, runtime.predict_row
    whole_rest, whole_grpc, whole_run = application.answer, service._answering, queue.run
    count, thaw = itertools.count(1), [time.monotonic()]

    def strike() -> None:
        if struck.get():
            if FAULT == "slow":
                time.sleep(SLOW_SECONDS)
            elif FAULT == "freezing" and time.monotonic() - thaw[0] > FREEZE_EVERY:
                time.sleep(FREEZE_SECONDS)
                thaw[0] = time.monotonic()
            elif FAULT == "erring" and next(count) % ERRING_EVERY == 0:
                raise MemoryError

    def predict(self: Any, feeds: Any) -> Any:
        strike()
        return whole_predict(self, feeds)

    def predict_row(self: Any, values: Any) -> Any:
        strike()
        token = struck.set(False)  # it may ask `predict`
        try:
            return whole_row(self, values)
        finally:
            struck.reset(token)

    def rest(self: Any, route: Any, request: Any) -> Any:
        token = struck.set(not (LIVE_ONLY and telemetry.SYNTHETIC in request.headers))
        try:
            return whole_rest(self, route, request)
        finally:
            struck.reset(token)

    async def run(self: Any, function: Any, **how: Any) -> Any:
        """With the call's context, which the queue would not carry."""
        return await whole_run(self, partial(copy_context().run, function), **how)

    def grpc(self: Any, name: str, method: Any) -> Any:
        answer = whole_grpc(self, name, method)

        async def answer_badly(request: Any, context: Any) -> Any:
            keys = [key for key, _ in context.invocation_metadata() or ()]
            struck.set(not (LIVE_ONLY and telemetry.SYNTHETIC.decode() in keys))
            return await answer(request, context)

        return answer_badly

    runtime.predict, runtime.predict_row, application.answer, service._answering = predict, predict_row, rest, grpc
    queue.run = run


def never_ready() -> None:
    """Start, answer, and say for ever that it is not ready."""
    from canari.serving.app import App

    App.ready = property(lambda _: False, lambda *_: None)  # type: ignore[assignment]


match FAULT:
    case "slow" | "erring" | "freezing":
        break_predictions()
    case "never-ready":
        never_ready()
    case "crashing":
        sys.stderr.write("cannot allocate the tensor arena\n")
        os._exit(3)
