"""k8s/cluster/install: nothing reaches a cluster before every file was downloaded and has its digest."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

_CLUSTER = Path(__file__).parents[2] / "k8s/cluster"
_UPSTREAM = [line.split() for line in (_CLUSTER / "upstream").read_text().splitlines() if not line.startswith("#")]
_KUBECTL = """#!/bin/sh
echo "$@" >> {calls}
case "$1 $2" in
  "config current-context") echo {context} ;;
  "auth can-i") {answer} ;;
esac
"""


def _mirror(folder: Path, content: str = "not what was asked for\n") -> Path:
    for _, _, url in _UPSTREAM:
        parts = urlsplit(url)
        file = folder / parts.netloc / parts.path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


class _Install:
    """The installer, with a kubectl that writes down what it is asked and with files of our own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cluster"
        shutil.copytree(_CLUSTER, self._folder)
        self._calls = folder / "calls"
        self._calls.touch()
        self._bin = folder / "bin"
        self._bin.mkdir()
        self.mirror = _mirror(folder / "mirror")
        self.kubectl()

    def kubectl(self, answer: str = "echo yes") -> None:
        """What the cluster says to whether we may."""
        program = self._bin / "kubectl"
        program.write_text(_KUBECTL.format(calls=self._calls, context="somewhere", answer=answer))
        program.chmod(0o755)

    def trust_the_mirror(self) -> None:
        """Make the digests those of the mirror's files."""
        digest = hashlib.sha256(b"not what was asked for\n").hexdigest()
        upstream = self._folder / "upstream"
        upstream.write_text(re.sub(r"^[0-9a-f]{64}", digest, upstream.read_text(), flags=re.MULTILINE))

    def __call__(self, *arguments: str) -> tuple[int, str]:
        environment = {"PATH": f"{self._bin}:{os.environ['PATH']}", "CANARI_MIRROR": self.mirror.as_uri()}
        command = [str(self._folder / "install"), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return ran.returncode, ran.stderr

    @property
    def applied(self) -> list[str]:
        """The files that were applied, in their order."""
        calls = self._calls.read_text().splitlines()
        return [Path(call.split()[-1]).stem for call in calls if call.startswith("apply ")]


@pytest.fixture
def install(tmp_path: Path) -> _Install:
    return _Install(tmp_path)


def test_a_file_with_another_digest_stops_it_before_anything_is_applied(install: _Install) -> None:
    code, message = install()
    assert code == 1
    digest, _, url = _UPSTREAM[0]
    assert url.removeprefix("https://") in message
    assert f"expected SHA-256 {digest}, came " in message
    assert not install.applied


def test_a_file_that_is_not_there_stops_it_before_anything_is_applied(install: _Install) -> None:
    install.trust_the_mirror()
    _, _, url = _UPSTREAM[-1]
    (install.mirror / url.removeprefix("https://")).unlink()
    code, message = install()
    assert code == 1
    assert "could not be downloaded; nothing was applied" in message
    assert not install.applied


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("echo no; exit 1", "somewhere does not let you create CustomResourceDefinitions"),
        (
            "echo 'Unable to connect to the server: EOF' >&2; exit 1",
            "somewhere does not answer: Unable to connect to the server: EOF",
        ),
    ],
    ids=["no permission", "no cluster"],
)
def test_a_cluster_that_refuses_is_left_alone(install: _Install, answer: str, said: str) -> None:
    install.trust_the_mirror()
    install.kubectl(answer)
    code, message = install()
    assert code == 1
    assert said in message
    assert not install.applied


@pytest.mark.parametrize(("arguments", "variant"), [((), "standard"), (("kind",), "kind"), (("standard",), "standard")])
def test_the_gateway_api_comes_before_what_is_built_on_it(install: _Install, arguments: tuple[str, ...], variant: str) -> None:
    install.trust_the_mirror()
    assert install(*arguments) == (0, "")
    assert install.applied == ["gateway-api", variant]


def test_a_wrong_word_is_wrong_usage(install: _Install) -> None:
    code, message = install("minikube")
    assert (code, install.applied) == (2, [])
    assert "expected standard, kind or --dry-run=server, came minikube" in message


def test_every_download_is_of_one_version_and_belongs_to_a_part() -> None:
    for digest, file, url in _UPSTREAM:
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert re.search(r"/v\d+\.\d+\.\d+/", url)
        part, name = file.split("/", 1)
        resources = yaml.safe_load((_CLUSTER / part / "kustomization.yaml").read_text())["resources"]
        assert name in resources


def test_nothing_that_is_not_downloaded_with_its_digest_is_left_to_the_moment() -> None:
    plugin = (_CLUSTER / "argo-rollouts/kustomization.yaml").read_text()
    assert re.search(r"location: https://\S+/v\d+\.\d+\.\d+/\S+\n +sha256: [0-9a-f]{64}\n", plugin)
    assert re.search(r"image: kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", (_CLUSTER / "kind/cluster.yaml").read_text())
    assert re.search(r"^image=registry:\S*@sha256:[0-9a-f]{64}$", (_CLUSTER / "kind/up").read_text(), re.MULTILINE)


def test_the_plugin_may_write_both_kinds_of_route() -> None:
    rules = yaml.safe_load((_CLUSTER / "argo-rollouts/clusterrole-gateway-api.yaml").read_text())["rules"]
    writable = {r for rule in rules for r in rule["resources"] if {"get", "update"} <= set(rule["verbs"])}
    assert {"httproutes", "grpcroutes"} <= writable
