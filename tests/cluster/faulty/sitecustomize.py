"""The fault that FAULT names, put into canari's server as Python starts.

slow, erring, freezing      every prediction, over both protocols; with `-live`, those of callers only, as where the fault lies in
                            the callers' data and no load test meets it
crashing, never-ready       the server
"""

import itertools
import os
import sys
import time
from contextvars import ContextVar
from typing import Any

SLOW_SECONDS = 0.08
ERRING_EVERY = 10
FREEZE_EVERY, FREEZE_SECONDS = 3.0, 1.0

FAULT = os.environ["FAULT"].removesuffix("-live")
LIVE_ONLY = os.environ["FAULT"] != FAULT

struck: ContextVar[bool] = ContextVar("struck", default=False)


def break_predictions() -> None:
    """Let the fault strike predictions, where the server's own counters see it."""
    from canari.runtime.onnx import OnnxRuntime
    from canari.serving import app, oip_grpc

    runtime: Any = OnnxRuntime
    application: Any = app.App
    service: Any = oip_grpc._Service
    whole_predict, whole_rest, whole_grpc = runtime.predict, application.__call__, service._answering
    count, thaw = itertools.count(1), [time.monotonic()]

    def predict(self: Any, feeds: Any) -> Any:
        if struck.get():
            if FAULT == "slow":
                time.sleep(SLOW_SECONDS)
            elif FAULT == "freezing" and time.monotonic() - thaw[0] > FREEZE_EVERY:
                time.sleep(FREEZE_SECONDS)
                thaw[0] = time.monotonic()
            elif FAULT == "erring" and next(count) % ERRING_EVERY == 0:
                raise MemoryError
        return whole_predict(self, feeds)

    async def rest(self: Any, scope: Any, receive: Any, send: Any) -> None:
        struck.set(not (LIVE_ONLY and app.SYNTHETIC in dict(scope.get("headers", ()))))
        await whole_rest(self, scope, receive, send)

    def grpc(self: Any, name: str, method: Any) -> Any:
        answer = whole_grpc(self, name, method)

        async def answer_badly(request: Any, context: Any) -> Any:
            keys = [key for key, _ in context.invocation_metadata() or ()]
            struck.set(not (LIVE_ONLY and app.SYNTHETIC.decode() in keys))
            return await answer(request, context)

        return answer_badly

    runtime.predict, application.__call__, service._answering = predict, rest, grpc


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
