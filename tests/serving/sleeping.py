"""A slow model: its predictions are made in other processes, which sleep. As a module it is a server of that model.

A row's `visits` says for how many hundredths of a second to sleep; at 99 the worker dies. The prediction is a hundredth of `age`.
Each worker writes the ages that it is asked for into the file named by the environment variable SLEEPING_LOG.
"""

import json
import queue
import subprocess
import sys

import numpy as np

from canari.errors import CanariError
from canari.model import Feeds, Predictions
from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.server import serve
from canari.serving.settings import Settings
from tests.conftest import make_toy

_WORKER = """
import json, os, sys, time
for line in sys.stdin:
    rows = json.loads(line)
    with open(os.environ["SLEEPING_LOG"], "a") as log:
        log.write("".join(f"{age:g}\\n" for age, _ in rows))
    for _, visits in rows:
        if visits == 99:
            os._exit(1)
        time.sleep(visits / 100)
    print(json.dumps([age / 100 for age, _ in rows]), flush=True)
"""


class SleepingRuntime(Runtime):
    """As many processes as `workers`; one that dies is replaced."""

    inline = False
    workers = 2
    row_seconds = 0.001

    def __init__(self) -> None:
        super().__init__(make_toy().signature)
        self._idle: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        for _ in range(self.workers):
            self._idle.put(_start())

    def predict(self, feeds: Feeds) -> Predictions:
        worker = self._idle.get()
        rows = list(zip(*(np.ravel(feeds[name]).tolist() for name in ("age", "visits")), strict=True))
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(json.dumps(rows) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        if not line:
            worker.communicate()
            worker = _start()
        self._idle.put(worker)
        if not line:
            raise CanariError("a worker died while it predicted")
        return {"prediction": np.array(json.loads(line)).reshape(-1, 1)}

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().communicate()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-S", "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _announce(app: App, url: str, grpc_address: str) -> None:
    sys.stdout.write(f"serving {app.runtime.signature.tag} on {url} and, over gRPC, on {grpc_address}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve on free ports, and say so as `canari serve` does."""
    runtime, settings = SleepingRuntime(), Settings.from_environment()
    try:
        serve(lambda: App(runtime, settings), settings, "127.0.0.1", 0, 0, _announce)
    finally:
        runtime.close()


if __name__ == "__main__":
    main()
