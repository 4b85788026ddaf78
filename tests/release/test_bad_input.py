"""Everything that a person or the surroundings can get wrong about the cluster: one line, the next step, an exit code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.release.conftest import NAMESPACE, MockApi, Ran, recorded, write_kubeconfig

Canari = Callable[..., Ran]
COMMANDS = ["status", "watch", "history", "undo", "verify"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_context(api: MockApi, canari: Canari, command: str) -> None:
    said = canari("release", command, "--context", "production").message
    assert said == f"canari: no context 'production' in {api.kubeconfig}; there is: mock"


def test_no_kubeconfig(canari: Canari, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    said = canari("release", "status").message
    assert "there is no file" in said
    assert "--kubeconfig" in said


@pytest.mark.parametrize("content", ["", "[", "a: 1", "{}", "contexts: 3"])
def test_a_kubeconfig_that_is_none(content: str, canari: Canari, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    assert str(file) in canari("release", "status", "--kubeconfig", file).message


def test_an_unreachable_cluster(canari: Canari, tmp_path: Path) -> None:
    file = tmp_path / "config"
    write_kubeconfig(file, "http://127.0.0.1:9")
    said = canari("release", "status", "--kubeconfig", file).message
    assert "http://127.0.0.1:9 does not answer" in said
    assert "--context" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_credentials_that_are_not_accepted(api: MockApi, canari: Canari, command: str) -> None:
    api.unauthorized = True
    assert "does not accept your credentials: log in again" in canari("release", command, "-n", NAMESPACE).message


@pytest.mark.parametrize(
    ("forbidden", "part"),
    [("list rollouts", "Rollouts"), ("list pods", "Pods"), ("get configmaps", "ConfigMap diabetes-verdict")],
)
def test_no_permission_names_verb_and_what(api: MockApi, canari: Canari, forbidden: str, part: str) -> None:
    api.objects = recorded("healthy")
    api.forbidden = {forbidden}
    verb, what = forbidden.split()
    said = canari("release", "status", "-n", NAMESPACE).message
    assert f"no permission to {verb} {part}" in said
    assert f"`kubectl auth can-i {verb} {what} -n {NAMESPACE}`" in said


def test_no_permission_to_undo(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("aborted_by_gate")
    api.forbidden = {"patch rollouts"}
    assert "no permission to patch Rollout diabetes" in canari("release", "undo", "-n", NAMESPACE).message


@pytest.mark.parametrize(
    ("absent", "part"),
    [("rollouts", "Argo Rollouts is not installed"), ("grpcroutes", "the Gateway API is not installed")],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_installed(api: MockApi, canari: Canari, command: str, absent: str, part: str) -> None:
    api.objects = recorded("healthy")
    api.absent = {absent}
    said = canari("release", command, "-n", NAMESPACE).message
    assert part in said
    assert "make cluster-install" in said


def test_no_such_rollout_names_those_that_are(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("healthy")
    assert canari("release", "status", "diabetis", "-n", NAMESPACE).message.endswith("there is: diabetes")
    assert "there is no Rollout in namespace elsewhere" in canari("release", "status", "-n", "elsewhere").message


def test_several_rollouts_must_be_told_apart(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("healthy")
    other = {**api.find("Rollout"), "metadata": {**api.find("Rollout")["metadata"], "name": "iris", "uid": "other"}}
    api.objects.append(other)
    ran = canari("release", "status", "-n", NAMESPACE)
    assert ran.code == 2
    assert ran.message.endswith("name one of them: diabetes, iris")
    assert canari("release", "status", "iris", "-n", NAMESPACE).code == 0


def test_nothing_to_go_back_to(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("healthy")
    said = canari("release", "undo", "-n", NAMESPACE).message
    assert "nothing to go back to" in said
    assert "--to-revision=N" in said


def test_an_answer_of_something_else(api: MockApi, canari: Canari) -> None:
    api.objects = [{"kind": "Rollout", "metadata": {"name": "diabetes", "namespace": NAMESPACE}, "spec": 3}]
    assert "is not understood" in canari("release", "status", "-n", NAMESPACE).message
