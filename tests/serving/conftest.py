"""A server in this process (its ASGI application behind httpx) and a real one in a process of its own."""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from canari.serving.app import App
from canari.serving.warmup import warm
from tests.conftest import make_classifier, make_toy

ROW: dict[str, Any] = {"age": 30.0, "visits": 2, "smoker": True, "exercise": "some"}

_READY = re.compile(r"serving (\S+)(?: from bento \S+)? on (http://\S+) and, over gRPC, on (\S+)")


class Client:
    """httpx against an ASGI application, without a socket."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, method: str, path: str, **how: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://canari") as client:
                return await client.request(method, path, **how)

        return asyncio.run(send())

    def predict(self, rows: Any, **how: Any) -> httpx.Response:
        return self("POST", "/predict", json=rows, **how)


@pytest.fixture(scope="session")
def toy() -> Client:
    return Client(App(warm(make_toy())))


@pytest.fixture(scope="session")
def classifier() -> Client:
    return Client(App(warm(make_classifier())))


class Server(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    grpc: str
    tag: str

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """`canari serve ARGUMENTS` on free ports, from its ready line to its end."""
    with running("-m", "canari", "serve", *arguments, "--http-port", "0", "--grpc-port", "0") as server:
        yield server


@contextmanager
def running(*arguments: str) -> Iterator[Server]:
    """A server that Python runs and that says when it is ready as `canari serve` does."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = _READY.match(line)
            assert ready, f"not ready: {line!r}, exit code {process.poll()}"
            yield Server(process, ready[2], ready[3], ready[1])
        finally:
            process.kill()


class Callers:
    """Threads that call `once` again and again until it says that the server is gone; what else it raises is kept."""

    def __init__(self, once: Callable[[], bool], count: int) -> None:
        self.answered = 0
        self.failures: list[Exception] = []
        self._once = once
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        try:
            while self._once():
                self.answered += 1
        except Exception as error:  # noqa: BLE001  a test looks at it
            self.failures.append(error)
