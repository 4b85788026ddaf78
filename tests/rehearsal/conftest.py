"""The example models in a store of their own, and a way to run `canari` as a person does."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
FAULTY = Path(__file__).with_name("faulty.py")


@dataclass
class CommandLine:
    """Runs `canari`; every process that comes of it carries a mark, by which those left behind are found."""

    home: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BENTOML_HOME": str(self.home), "CANARI_TEST_MARK": self.mark, "COLUMNS": "200"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "canari", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, seconds: float = 280) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def left_behind(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("CANARI_TEST_MARK") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with the three versions of the diabetes model."""
    line = CommandLine(tmp_path_factory.mktemp("bentoml"))
    for version in "123":
        done = line.run("import", f"models/diabetes/diabetes-{version}.rds", "--version", version)
        assert done.returncode == 0, done.stderr
    return line.home


@pytest.fixture
def canari(home: Path) -> Iterator[CommandLine]:
    """The command line; fails the test where a process outlives it."""
    line = CommandLine(home)
    yield line
    assert line.left_behind() == []


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal left."""

    code: int
    stdout: str
    stderr: str
    out: Path

    @property
    def verdict(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.out / "verdict.json").read_text())
        return content

    def rule(self, name: str) -> dict[str, Any]:
        """The last result of that rule."""
        rules: list[dict[str, Any]] = self.verdict["rules"]
        return [rule for rule in rules if rule["name"] == name][-1]

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"


def rehearse(canari: CommandLine, out: Path, candidate: str = "diabetes:2", *options: str, seconds: float = 280) -> Rehearsed:
    """Rehearse `candidate` over diabetes:1."""
    release = ("--stable", "diabetes:1", "--candidate", candidate, "--out", str(out))
    done = canari.run("rehearse", *release, *options, seconds=seconds)
    return Rehearsed(done.returncode, done.stdout, done.stderr, out)


def with_fault(fault: str, tag: str = "diabetes:2") -> tuple[str, str]:
    """Options that put a faulty server in the candidate's place."""
    return "--candidate-command", f"{sys.executable} {FAULTY} {tag} {{http_port}} {{grpc_port}} {fault}"


@pytest.fixture(scope="session")
def paused(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """A healthy candidate whose gate gets three seconds."""
    return rehearse(CommandLine(home), tmp_path_factory.mktemp("paused"), "diabetes:2", "--time-scale", "20")
