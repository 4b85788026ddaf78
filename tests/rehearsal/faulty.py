"""A candidate with a fault, for `canari rehearse --candidate-command`: canari's server with something wrong around it.

`python faulty.py NAME:VERSION HTTP_PORT GRPC_PORT FAULT`
"""

import itertools
import os
import sys
import time

from canari import store
from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.http import Answer, Request, Route
from canari.serving.server import serve
from canari.serving.settings import Settings
from canari.serving.warmup import warm

CONCURRENT = 32


class Faulty(App):
    """The application, but for its fault."""

    def __init__(self, runtime: Runtime, settings: Settings, fault: str) -> None:
        if fault == "slow":  # each request, and not those behind it
            runtime.inline, runtime.workers = False, CONCURRENT
        super().__init__(runtime, settings)
        self._fault = fault
        self._next_freeze = time.monotonic() + 2
        self._callers = 0
        self._count = itertools.count()

    def answer(self, route: Route, request: Request) -> Answer:
        if route.template == "/predict":
            match self._fault:
                case "slow":
                    time.sleep(0.03)
                case "freezing" if time.monotonic() > self._next_freeze:
                    self._next_freeze = time.monotonic() + 10
                    time.sleep(2)
                case "erring" if next(self._count) % 50 == 0:
                    return Answer(b"", 500)
                case "dying" if b"x-canari-synthetic" not in request.headers:
                    self._callers += 1
                    if self._callers > 30:  # after the comparison of predictions, with callers on it
                        os._exit(3)
        return super().answer(route, request)


def main() -> None:
    """Serve with the fault until stopped."""
    tag, http_port, grpc_port, fault = sys.argv[1:]
    if fault == "unstartable":
        sys.exit("cannot allocate the tensor arena")
    settings = Settings()
    serve(
        lambda: Faulty(warm(store.get(tag)), settings, fault),
        settings,
        "127.0.0.1",
        int(http_port),
        int(grpc_port),
        lambda *_: None,
    )


main()
