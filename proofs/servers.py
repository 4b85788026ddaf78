"""The servers that are proved: `canari serve`, each a process of its own, with models in a store made for the purpose."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from canari import store
from canari.errors import CanariError
from canari.intake.importer import import_file
from canari.model import Checks, Model
from canari.rehearsal.processes import Process, free_ports
from proofs.results import ROOT, ProofError
from tests.conftest import bentoml_home, make_toy

_READY_SECONDS = 60

GLM = ROOT / "models" / "diabetes" / "diabetes-1.rds"
CLASSIFIER = ROOT / "models" / "breast_cancer" / "breast-cancer-1.skops"


class Served(Process):
    """`canari serve TAG` on loopback, ready when `until_ready` returns; what it prints goes to `log`."""

    def __init__(self, tag: str, log: Path, *options: str, ports: Sequence[int] = ()) -> None:
        self.tag = tag
        self.http_port, self.grpc_port = ports or free_ports(2)
        self.url = f"http://127.0.0.1:{self.http_port}"
        command = [sys.executable, "-m", "canari", "serve", tag, *options]
        command += ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        super().__init__(f"canari serve {tag}", command, log)

    def until_ready(self) -> None:
        """Wait until it takes requests; raises `CanariError` where it has ended or takes too long."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if self.exit_code is not None or time.monotonic() > deadline:
                raise CanariError(f"{self.name} is not ready: it {self.ending}")
            time.sleep(0.01)

    def terminate(self) -> None:
        """Ask it to end, as Kubernetes does; returns at once."""
        self._popen.terminate()

    @property
    def pss(self) -> int:
        """Its memory in bytes, pages that it shares with other processes counted in part."""
        return int(psutil.Process(self._popen.pid).memory_full_info().pss)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


@contextmanager
def models() -> Iterator[list[Model]]:
    """Three models in a store that is made for them and removed afterwards: an R and a scikit-learn one, and one of the tests'.

    The last has a boolean and a category among its inputs.
    """
    with TemporaryDirectory(prefix="canari-proof-") as home, bentoml_home(Path(home)):
        toy = make_toy()
        store.put(toy)
        glm = import_file(GLM, version="1").model
        classifier = import_file(CLASSIFIER, version="1").model
        yield [glm, toy, classifier]


def check_rows(model: Model) -> list[dict[str, Any]]:
    """The rows that prove a model, as records."""
    columns = known(model).rows
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def known(model: Model) -> Checks:
    """The rows that prove a model, and its source's own predictions on them."""
    if model.checks is None:
        raise ProofError(f"{model.signature.tag} is unproved")
    return model.checks
