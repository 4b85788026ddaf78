"""The images that the cases run: two versions of the example model, the gate, and candidates with a fault."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

_TOP = Path(__file__).parents[2]
_MODELS = _TOP / "models/diabetes"
_DERIVED = Path(__file__).parent


class Images:
    """Builds and pushes an image when it is first asked for; each is named as a manifest names it, REGISTRY/NAME@sha256:..."""

    def __init__(self, registry: str, folder: Path) -> None:
        """`folder` is that of all the processes of a run, and outside the project, whose every file BentoML looks at."""
        self.registry = registry
        self._folder = folder

    @cached_property
    def stable(self) -> str:
        return self.model("1")

    @cached_property
    def candidate(self) -> str:
        return self.model("2")

    @cached_property
    def third(self) -> str:
        """The same model as the candidate, under another version."""
        return self.model("4", file="diabetes-2.rds")

    @cached_property
    def gate(self) -> str:
        """With rules of these tests; see `gate/`."""

        def build() -> str:
            plain = self._run(_TOP / "images/build", self.registry, "gate")
            return self._derive("gate", f"{self.registry}/canari-gate:quick", GATE=plain)

        return self._once("gate", build)

    def model(self, version: str, file: str | None = None) -> str:
        def build() -> str:
            source = _MODELS / (file or f"diabetes-{version}.rds")
            self._run(_TOP / ".venv/bin/canari", "import", source, "--name", "diabetes", "--version", version)
            return self._run(_TOP / "images/build", self.registry, f"diabetes:{version}")

        return self._once(f"diabetes:{version}", build)

    def faulty(self, fault: str) -> str:
        """The candidate with a fault of `faulty/sitecustomize.py`."""
        tag, candidate = f"{self.registry}/diabetes-faulty:{fault}", self.candidate
        return self._once(fault, lambda: self._derive("faulty", tag, MODEL=candidate, FAULT=fault))

    def absent(self, name: str = "diabetes") -> str:
        """A name that is in order, of an image that nobody pushed."""
        return f"{self.registry}/{name}@sha256:{1:064x}"

    def _once(self, what: str, build: Callable[[], str]) -> str:
        """What was built in this run already, by whichever of its processes, or what `build` builds."""
        with (self._folder / "images.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file = self._folder / "images.json"
            built: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
            if what not in built:
                built[what] = build()
                file.write_text(json.dumps(built))
            return built[what]

    def _derive(self, folder: str, tag: str, **arguments: str) -> str:
        """Build and push the image of a Dockerfile beside this file."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        command = [*given, "--quiet", "--tag", tag, str(_DERIVED / folder)]
        name = tag.rpartition(":")[0]
        if self._builder == "docker":
            self._run("docker", "build", *command)
            self._run("docker", "push", "--quiet", tag)
            digests = json.loads(self._run("docker", "image", "inspect", "--format", "{{json .RepoDigests}}", tag))
            return next(str(d) for d in digests if d.startswith(f"{name}@"))
        tls = f"--tls-verify={os.environ.get('REGISTRY_TLS', 'true')}"
        self._run("buildah", "build", tls, *command)  # with --layers, a cached layer would hold another fault
        with tempfile.TemporaryDirectory() as scratch:
            digest = Path(scratch) / "digest"
            self._run("buildah", "push", "--quiet", tls, "--digestfile", digest, tag)
            return f"{name}@{digest.read_text().strip()}"

    @cached_property
    def _builder(self) -> str:
        """As `images/build` chooses."""
        if chosen := os.environ.get("BUILDER"):
            return chosen
        runs = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
        return "docker" if runs else "buildah"

    def _run(self, *command: str | Path) -> str:
        """The last line that a command prints."""
        environment = {**os.environ, "BENTOML_HOME": str(self._folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
        ran = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, env=environment, cwd=_TOP)
        assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stderr}"
        return (ran.stdout.strip().splitlines() or [""])[-1]
