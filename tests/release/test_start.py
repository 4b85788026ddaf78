"""Starting and restoring: every check before any change, with a mock registry and a mock kubectl that applies nothing."""

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.conftest import MockApi, MockKubectl, QuietServer, Ran, recorded

Canari = Callable[..., Ran]
K8S = Path(__file__).parents[2] / "k8s"
HAS, LACKS = ("sha256:" + digit * 64 for digit in "ef")
STABLE = "198.51.100.2:5000/diabetes@sha256:134413359758993ad19ac7c0fd43de21d4e03142cce676d084a8bf7daec8ae03"


@pytest.fixture
def registry() -> Iterator[str]:
    """A mock registry over plain HTTP that has one digest of `diabetes`, and asks for a login at `secret`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 200 if self.path == "/v2/" or self.path.endswith(f"diabetes/manifests/{HAS}") else 404
            self.send_response(401 if "/secret/" in self.path else status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = QuietServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The project's local overlay, in the namespace of the recorded objects."""
    for folder in ("base", "routes", "namespace", "overlays/local"):
        shutil.copytree(K8S / folder, tmp_path / "k8s" / folder)
    for file in (tmp_path / "k8s/overlays/local").rglob("kustomization.yaml"):
        file.write_text(file.read_text().replace("namespace: models", "namespace: h4"))
    return tmp_path / "k8s/overlays/local"


def _text(overlay: Path) -> bytes:
    return (overlay / "kustomization.yaml").read_bytes()


def _images(overlay: Path) -> dict[str, str]:
    entries = yaml.safe_load(_text(overlay))["images"]
    return {entry["name"]: f"{entry['newName']}@{entry['digest']}" for entry in entries}


def _server(objects: list[dict[str, Any]]) -> str:
    rollout = next(o for o in objects if o["kind"] == "Rollout")
    return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"])


def test_it_names_both_versions_and_applies_once(
    api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari
) -> None:
    api.objects = recorded("healthy")
    image = f"{registry}/diabetes@{HAS}"
    ran = canari("release", "start", overlay, "--image", image, "--no-watch")
    assert ran.code == 0, ran
    assert ran.err == ""
    assert (_images(overlay)["model"], _images(overlay)["model-stable"]) == (image, STABLE)
    assert [_server(objects) for objects in kubectl.applied(dry_run=True)] == [image]
    assert [_server(objects) for objects in kubectl.applied()] == [image]
    assert not {o["kind"] for o in kubectl.applied()[0]} & {"HTTPRoute", "GRPCRoute"}


def test_the_first_deployment_names_one_version_twice(
    api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari
) -> None:
    api.objects = [o for o in recorded("healthy") if o["kind"] in ("HTTPRoute", "GRPCRoute")]
    image = f"{registry}/diabetes@{HAS}"
    assert canari("release", "start", overlay, "--image", image, "--no-watch").code == 0
    assert _images(overlay)["model"] == _images(overlay)["model-stable"] == image


def test_what_every_caller_is_on_already_is_nothing_to_do(
    api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari
) -> None:
    api.objects = recorded("healthy")
    before = _text(overlay)
    ran = canari("release", "start", overlay, "--image", STABLE)
    assert (ran.code, kubectl.applied(), _text(overlay)) == (0, [], before)
    assert "nothing to do" in ran.out


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("planned_pause", "is under way (step 2 of 5: wait 15s): `canari release watch -n h4 diabetes`"),
        ("inconclusive", "`kubectl argo rollouts promote -n h4 diabetes` or `kubectl argo rollouts abort -n h4 diabetes` first"),
        ("aborted_by_gate", "`canari release undo -n h4 diabetes` first"),
    ],
)
def test_a_release_that_is_not_over_is_left_alone(
    api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari, state: str, said: str
) -> None:
    api.objects = recorded(state)
    before = _text(overlay)
    refused = canari("release", "start", overlay, "--image", f"{registry}/diabetes@{HAS}")
    assert said in refused.message
    assert "--replace" in refused.message
    assert (kubectl.applied(), _text(overlay)) == ([], before)
    assert canari("release", "start", overlay, "--image", f"{registry}/diabetes@{HAS}", "--replace", "--no-watch").code == 0
    assert len(kubectl.applied()) == 1


def test_a_digest_that_does_not_exist(api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari) -> None:
    api.objects = recorded("healthy")
    before = _text(overlay)
    said = canari("release", "start", overlay, "--image", f"{registry}/diabetes@{LACKS}").message
    assert f"{registry}/diabetes@{LACKS} does not exist" in said
    assert (kubectl.applied(dry_run=True), kubectl.applied(), _text(overlay)) == ([], [], before)


def test_a_registry_that_wants_a_login(api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari) -> None:
    api.objects = recorded("healthy")
    assert f"docker login {registry}" in canari("release", "start", overlay, "--image", f"{registry}/secret/d@{HAS}").message


def test_a_registry_that_cannot_be_asked_from_here_stops_nothing(
    api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari
) -> None:
    api.objects = recorded("healthy")
    ran = canari("release", "start", overlay, "--image", f"127.0.0.1:9/diabetes@{HAS}", "--no-watch")
    assert ran.code == 0
    assert "was not checked: 127.0.0.1:9 gives no answer" in ran.err


@pytest.mark.parametrize("when", ["dry_run", "real"])
def test_where_the_cluster_refuses_the_file_is_as_before(
    api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari, when: str
) -> None:
    api.objects = recorded("healthy")
    before = _text(overlay)
    kubectl.refuse(**{when: "admission webhook denied the request"})
    said = canari("release", "start", overlay, "--image", f"{registry}/diabetes@{HAS}")
    assert said.code == 1
    assert "admission webhook denied the request" in said.err
    assert (kubectl.applied(), _text(overlay)) == ([], before)


def test_an_overlay_that_does_not_render(api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari) -> None:
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("../../base", "../../bass"))
    said = canari("release", "start", overlay, "--image", f"r.example/d@{HAS}").message
    assert f"{overlay} does not render" in said
    assert "bass" in said


def test_an_overlay_whose_base_has_another_placeholder(api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari) -> None:
    file = overlay.parents[1] / "base/rollout.yaml"
    file.write_text(file.read_text().replace("image: model", "image: diabetes"))
    said = canari("release", "start", overlay, "--image", f"r.example/d@{HAS}").message
    assert "the pods would run diabetes" in said


def test_routes_that_are_not_installed(api: MockApi, kubectl: MockKubectl, registry: str, overlay: Path, canari: Canari) -> None:
    said = canari("release", "start", overlay, "--image", f"{registry}/diabetes@{HAS}").message
    assert f"`kubectl apply -k {overlay / 'install'}`" in said


@pytest.mark.parametrize("command", [["start", "--image", f"r.example/d@{HAS}"], ["restore"]])
def test_a_folder_that_is_no_overlay(canari: Canari, tmp_path: Path, command: list[str]) -> None:
    assert "expected a folder with a kustomization.yaml" in canari("release", command[0], tmp_path, *command[1:]).message


def test_a_missing_kubectl_is_said_to_be(
    api: MockApi, overlay: Path, canari: Canari, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "kubectl is not installed" in canari("release", "start", overlay, "--image", f"r.example/d@{HAS}").message


def test_restore_begins_with_the_stable_version_and_never_gives_the_candidate_all(
    api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = overlay / "kustomization.yaml"
    stable, candidate = f"r.example/d@{HAS}", f"r.example/d@{LACKS}"
    text = file.read_text()
    for digest, name in ((LACKS, "model"), (HAS, "model-stable")):
        text = _name(text, name, "r.example/d", digest)
    file.write_text(text)
    answer = api.answer

    def after_an_apply(verb: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if kubectl.applied() and not api.objects:
            api.objects = recorded("healthy")
        return answer(verb, path, body)

    api.answer = after_an_apply  # type: ignore[method-assign]
    ran = canari("release", "restore", overlay, "--no-watch", "--timeout", 60)
    assert ran.code == 0, ran
    install, first, second = kubectl.applied()
    assert {"Namespace", "HTTPRoute", "GRPCRoute"} <= {o["kind"] for o in install}
    assert (_server(first), _server(second)) == (stable, candidate)
    assert file.read_text() == text


def test_restore_leaves_a_rollout_that_is_there_alone(api: MockApi, kubectl: MockKubectl, overlay: Path, canari: Canari) -> None:
    api.objects = recorded("planned_pause")
    assert "has a Rollout diabetes already" in canari("release", "restore", overlay).message
    assert kubectl.applied() == []


def _name(text: str, entry: str, name: str, digest: str) -> str:
    document = yaml.safe_load(text)
    for image in document["images"]:
        if image["name"] == entry:
            image.update(newName=name, digest=digest)
    return yaml.safe_dump(document)
