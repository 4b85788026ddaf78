"""A candidate with a fault, for `canari rehearse --candidate-command`: canari's server with something wrong around it.

`python faulty.py NAME:VERSION HTTP_PORT GRPC_PORT FAULT`
"""

import asyncio
import itertools
import os
import sys
import time
from typing import Any

from canari import store
from canari.serving.app import App
from canari.serving.server import serve
from canari.serving.warmup import warm


class Faulty:
    """An application that is `app` but for its fault."""

    def __init__(self, app: App, fault: str) -> None:
        self._app = app
        self._fault = fault
        self._next_freeze = time.monotonic() + 2
        self._callers = 0
        self._count = itertools.count()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/predict":
            match self._fault:
                case "slow":
                    await asyncio.sleep(0.03)
                case "freezing" if time.monotonic() > self._next_freeze:
                    self._next_freeze = time.monotonic() + 10
                    time.sleep(2)
                case "erring" if next(self._count) % 50 == 0:
                    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
                    await send({"type": "http.response.body", "body": b""})
                    return
                case "dying" if dict(scope["headers"]).get(b"x-canari-synthetic") is None:
                    self._callers += 1
                    if self._callers > 30:  # after the comparison of predictions, with callers on it
                        os._exit(3)
        await self._app(scope, receive, send)


def main() -> None:
    """Serve with the fault until stopped."""
    tag, http_port, grpc_port, fault = sys.argv[1:]
    if fault == "unstartable":
        sys.exit("cannot allocate the tensor arena")
    serve(lambda: Faulty(App(warm(store.get(tag))), fault), "127.0.0.1", int(http_port), int(grpc_port), lambda *_: None)  # type: ignore[arg-type,return-value]


main()
