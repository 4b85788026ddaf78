"""The two versions' servers, each a process of its own as it would be a pod of its own."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from canari.errors import CanariError, UsageError
from canari.rehearsal.processes import Process

READY_SECONDS = 60.0  # as long as a startup probe would wait


@dataclass(frozen=True)
class Recipe:
    """How to start a version's server: from its bento, or by a person's own command."""

    arm: str  # "stable" or "candidate"
    tag: str  # NAME:VERSION
    bento: str
    command: str | None = None  # with {http_port} and {grpc_port}

    def __post_init__(self) -> None:
        if self.command is not None and "{http_port}" not in self.command:
            raise UsageError(f"the {self.arm}'s command has no {{http_port}}: {self.command}")

    def argv(self, http_port: int, grpc_port: int) -> list[str]:
        """The command line for these ports; a person's own is a shell's."""
        if self.command is None:
            server = [sys.executable, "-m", "canari", "serve", "--bento", self.bento, "--host", "127.0.0.1"]
            return [*server, "--http-port", str(http_port), "--grpc-port", str(grpc_port)]
        text = self.command.replace("{http_port}", str(http_port)).replace("{grpc_port}", str(grpc_port))
        return ["/bin/sh", "-c", text]


class ServerError(CanariError):
    """A server that does not become ready; of which arm decides whose fault it is."""

    def __init__(self, arm: str, message: str) -> None:
        super().__init__(message)
        self.arm = arm


class Server(Process):
    """A server on loopback; `url` answers once `ready` says so."""

    def __init__(self, recipe: Recipe, purpose: str, logs: Path, ports: Sequence[int]) -> None:
        self.http_port, self.grpc_port = ports
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.arm = recipe.arm
        name = f"{purpose} {recipe.arm}"
        log = logs / f"{name.replace(' ', '-')}.log"
        super().__init__(f"the {name} {recipe.tag}", recipe.argv(self.http_port, self.grpc_port), log)
        self._deadline = time.monotonic() + READY_SECONDS

    @property
    def ready(self) -> bool:
        """Whether it takes requests; raises `ServerError` where it has ended or takes too long."""
        try:
            if httpx.get(f"{self.url}/readyz", timeout=2).status_code == httpx.codes.OK:
                return True
        except httpx.HTTPError:
            pass
        if self.exit_code is not None:
            raise ServerError(self.arm, f"{self.name} does not start: it {self.ending}")
        if time.monotonic() > self._deadline:
            last = self.last_line or "nothing"
            raise ServerError(self.arm, f"{self.name} was not ready within {READY_SECONDS:.0f} s; the last it said: {last}")
        return False
