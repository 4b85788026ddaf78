"""A mock of the API server that serves recorded objects, and what a test needs around it.

`recorded/*.json` are objects as a real cluster gave them (Kubernetes 1.34, Argo Rollouts 1.10.1, Contour 1.33.8), in the state
that the file's name says, without the parts that only cost room; `record.py` records them.
"""

import json
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from canari.cli import main

RECORDED = Path(__file__).parent / "recorded"
NAMESPACE = "h4"

_PLURALS = {
    "Rollout": "rollouts",
    "Experiment": "experiments",
    "AnalysisRun": "analysisruns",
    "ReplicaSet": "replicasets",
    "Pod": "pods",
    "ConfigMap": "configmaps",
    "HTTPRoute": "httproutes",
    "GRPCRoute": "grpcroutes",
    "Gateway": "gateways",
}


def recorded(state: str) -> list[dict[str, Any]]:
    """The objects of one recorded state."""
    objects: list[dict[str, Any]] = json.loads((RECORDED / f"{state}.json").read_text())["items"]
    return objects


@dataclass
class MockApi:
    """What the mock serves, and how it refuses; `kubeconfig` names it."""

    kubeconfig: Path
    url: str
    objects: list[dict[str, Any]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)  # "list pods"
    absent: set[str] = field(default_factory=set)  # plurals that are not installed
    failures: list[int] = field(default_factory=list)  # statuses of the next answers
    unauthorized: bool = False
    patches: list[Any] = field(default_factory=list)

    def find(self, kind: str, name: str | None = None) -> dict[str, Any]:
        return next(o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"]))

    def answer(self, verb: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if self.failures:
            return self.failures.pop(0), _status("the mock was told to fail")
        if self.unauthorized:
            return 401, _status("Unauthorized")
        parts = path.partition("?")[0].strip("/").split("/")
        if "namespaces" not in parts:  # some kubectl look at the server's version first
            return 404, _status("the server could not find the requested resource")
        at = parts.index("namespaces")
        namespace, plural, name = parts[at + 1], parts[at + 2], parts[at + 3] if len(parts) > at + 3 else None
        verb = "patch" if verb == "PATCH" else "get" if name else "list"
        if plural in self.absent:
            return 404, _status("the server could not find the requested resource")
        if f"{verb} {plural}" in self.forbidden:
            return 403, _status(f'{plural} is forbidden: User "viewer" cannot {verb} resource "{plural}"')
        there = [o for o in self.objects if _PLURALS[o["kind"]] == plural and o["metadata"]["namespace"] == namespace]
        if name is None:
            return 200, {"kind": "List", "items": there}
        found = next((o for o in there if o["metadata"]["name"] == name), None)
        if found is None:
            return 404, {**_status(f'{plural} "{name}" not found'), "details": {"name": name}}
        if verb == "patch":
            self.patches.append(body)
            if not _patch(found, body):
                return 422, _status("the server rejected our request due to an error in our request")
        return 200, found


class QuietServer(ThreadingHTTPServer):
    """Says nothing of callers that hang up."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _status(message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "message": message}


def _patch(target: dict[str, Any], operations: list[dict[str, Any]]) -> bool:
    """JSON Patch with the operations that are used here; nothing is changed where a test fails."""
    changes = []
    for operation in operations:
        *way, last = [part.replace("~1", "/") for part in operation["path"].strip("/").split("/")]
        parent = target
        for part in way:
            parent = parent[part]
        if operation["op"] == "test":
            if parent.get(last) != operation["value"]:
                return False
        else:
            changes.append((parent, last, operation["value"]))
    for parent, last, value in changes:
        parent[last] = value
    return True


def listen(answer: Callable[[str, str, str | None, bytes], tuple[int, Any]]) -> ThreadingHTTPServer:
    """A server on a free port that answers with the status and the JSON of `answer(verb, url, content type, body)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = answer(self.command, self.path, self.headers.get("Content-Type"), body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    return QuietServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MockApi]:
    """A mock API server that KUBECONFIG names, with nothing in it yet."""

    def answer(verb: str, url: str, _content_type: str | None, body: bytes) -> tuple[int, Any]:
        return mock.answer(verb, url, json.loads(body) if body else None)

    server = listen(answer)
    url = f"http://127.0.0.1:{server.server_port}"
    file = tmp_path / "kubeconfig"
    write_kubeconfig(file, url)
    mock = MockApi(kubeconfig=file, url=url)
    monkeypatch.setenv("KUBECONFIG", str(file))
    for proxy in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield mock
    server.shutdown()
    thread.join()
    server.server_close()


def write_kubeconfig(file: Path, url: str) -> None:
    """A kubeconfig with one context, `mock`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "mock",
        "clusters": [{"name": "mock", "cluster": {"server": url}}],
        "users": [{"name": "viewer", "user": {}}],
        "contexts": [{"name": "mock", "context": {"cluster": "mock", "user": "viewer"}}],
    }
    file.write_text(yaml.safe_dump(content))


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one line that a refused command says; fails where it is more, or a traceback."""
        assert self.code in (1, 2), self
        (said,) = self.err.splitlines()
        assert said.startswith("canari: ")
        return said


@pytest.fixture
def canari(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command line: `canari("release", "status", ...)`."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(int(stop.value.code or 0), said.out, said.err)

    return run


@dataclass
class MockKubectl:
    """What the mock kubectl was asked to apply: it renders like kubectl itself, and applies nothing."""

    folder: Path

    def refuse(self, *, dry_run: str = "", real: str = "") -> None:
        """Say this and fail, at the dry run or at the apply."""
        (self.folder / "refuse-dry-run").write_text(dry_run)
        (self.folder / "refuse-real").write_text(real)

    def applied(self, *, dry_run: bool = False) -> list[list[dict[str, Any]]]:
        """The objects of every apply, in order."""
        files = sorted(self.folder.glob("dry-run-*" if dry_run else "real-*"))
        return [[o for o in yaml.safe_load_all(file.read_text()) if o] for file in files]


_KUBECTL = """#!/usr/bin/env python3
import os, pathlib, sys, time
folder = pathlib.Path({folder!r})
if sys.argv[1] == "kustomize":
    os.execv({real!r}, ["kubectl", *sys.argv[1:]])
kind = "dry-run" if "--dry-run=server" in sys.argv else "real"
refusal = folder / ("refuse-" + kind)
if refusal.exists() and refusal.read_text():
    sys.exit("Error from server: " + refusal.read_text())
(folder / (kind + "-" + str(time.time_ns()))).write_text(sys.stdin.read())
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MockKubectl:
    """A mock kubectl in PATH: renders by the real one, records what it is to apply. Skips without a real one."""
    import os
    import shutil

    real = shutil.which("kubectl")
    if real is None:
        pytest.skip("kubectl is not installed: overlays cannot be rendered")
    folder = tmp_path / "kubectl"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(_KUBECTL.format(folder=str(folder), real=real))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return MockKubectl(folder)
