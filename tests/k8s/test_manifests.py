"""The manifests as kustomize renders them, without a cluster: names, references, images, what each file holds."""

import json
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from canari.cli.gate import run
from canari.cli.serve import serve

_K8S = Path(__file__).parents[2] / "k8s"
_NAME = "diabetes"
_FILES = sorted(_K8S.rglob("*.yaml"))
_HOLDERS = {  # where a pod's spec sits in an object that makes pods
    "Rollout": lambda spec: [spec["template"]["spec"]],
    "AnalysisTemplate": lambda spec: [
        m["provider"]["job"]["spec"]["template"]["spec"] for m in spec["metrics"] if "job" in m["provider"]
    ],
}


def _render(folder: Path) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    rendered = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


@pytest.fixture(scope="module")
def base() -> list[dict[str, Any]]:
    return _render(_K8S / "base")


@pytest.fixture(scope="module")
def routes() -> list[dict[str, Any]]:
    return _render(_K8S / "routes")


def _named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def _pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for o in objects:
        if o["kind"] in _HOLDERS:
            yield from _HOLDERS[o["kind"]](o["spec"])


@pytest.mark.parametrize("file", _FILES, ids=lambda f: str(f.relative_to(_K8S)))
def test_a_file_says_what_it_is_for_and_holds_one_object(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# ")
    (document,) = yaml.safe_load_all(text)
    assert document["kind"] == "Kustomization" or file.stem.split("-")[0] == document["kind"].lower()


def test_every_file_is_rendered(base: list[dict[str, Any]], routes: list[dict[str, Any]]) -> None:
    objects = [f for f in _FILES if f.name != "kustomization.yaml"]
    assert len(objects) == len(base) + len(routes)


def test_names_follow_the_contract(base: list[dict[str, Any]], routes: list[dict[str, Any]]) -> None:
    assert set(_named(base, "Rollout")) == {_NAME}
    assert set(_named(base, "Service")) == {f"{_NAME}-stable", f"{_NAME}-canary"}
    assert Counter((r["kind"], r["metadata"]["name"]) for r in routes) == {
        ("HTTPRoute", _NAME): 1,
        ("GRPCRoute", f"{_NAME}-grpc"): 1,
    }
    # Several models live in one namespace: nothing may carry a name without the model's.
    assert all(o["metadata"]["name"].split("-")[0] == _NAME for o in base + routes)


def test_routes_start_with_every_caller_on_stable(base: list[dict[str, Any]], routes: list[dict[str, Any]]) -> None:
    ports = {name: {p["name"]: p["port"] for p in s["spec"]["ports"]} for name, s in _named(base, "Service").items()}
    for route in routes:
        port_name = {"HTTPRoute": "http", "GRPCRoute": "grpc"}[route["kind"]]
        for rule in route["spec"]["rules"]:
            backends = {b["name"]: (b["port"], b["weight"]) for b in rule["backendRefs"]}
            assert backends == {
                f"{_NAME}-stable": (ports[f"{_NAME}-stable"][port_name], 100),
                f"{_NAME}-canary": (ports[f"{_NAME}-canary"][port_name], 0),
            }
    hostnames = [h for r in routes for h in r["spec"]["hostnames"]]
    assert len(hostnames) == len(set(hostnames)) == len(routes)


def test_the_rollout_names_the_services_and_routes_that_there_are(
    base: list[dict[str, Any]], routes: list[dict[str, Any]]
) -> None:
    canary = _named(base, "Rollout")[_NAME]["spec"]["strategy"]["canary"]
    assert (canary["stableService"], canary["canaryService"]) == (f"{_NAME}-stable", f"{_NAME}-canary")
    plugin = canary["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"]
    assert [r["name"] for r in plugin["httpRoutes"]] == list(_named(routes, "HTTPRoute"))
    assert [r["name"] for r in plugin["grpcRoutes"]] == list(_named(routes, "GRPCRoute"))
    # A stable version that shrinks during a canary loses requests when the release is aborted.
    assert "dynamicStableScale" not in canary


def test_services_select_the_rollouts_pods_and_their_named_ports(base: list[dict[str, Any]]) -> None:
    rollout = _named(base, "Rollout")[_NAME]["spec"]
    pod = rollout["template"]
    named_ports = {p["name"]: p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}
    assert named_ports == {"http": 3000, "grpc": 3001}
    assert rollout["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    for service in _named(base, "Service").values():
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        # The experiment's own Services stand on the containers' ports, so the gate's URLs hold for these too.
        assert {p["targetPort"]: p["port"] for p in service["spec"]["ports"]} == named_ports


def test_callers_meet_the_candidate_only_after_a_gate(base: list[dict[str, Any]]) -> None:
    steps = _named(base, "Rollout")[_NAME]["spec"]["strategy"]["canary"]["steps"]
    kinds = [next(iter(step)) for step in steps]
    for index, kind in enumerate(kinds):
        if kind == "experiment":
            assert kinds[index + 1] == "analysis"
        if kind == "setWeight" or index == len(kinds) - 1:
            last_traffic = max((i for i in range(index) if kinds[i] == "setWeight"), default=-1)
            assert "analysis" in kinds[last_traffic + 1 : index + 1]


def test_analyses_get_the_arguments_that_their_templates_ask_for(base: list[dict[str, Any]]) -> None:
    templates = _named(base, "AnalysisTemplate")
    used = set()
    for step in _named(base, "Rollout")[_NAME]["spec"]["strategy"]["canary"]["steps"]:
        calls = [(a["templateName"], a["args"]) for a in step.get("experiment", {}).get("analyses", [])]
        if "analysis" in step:
            calls += [(t["templateName"], step["analysis"]["args"]) for t in step["analysis"]["templates"]]
        for name, arguments in calls:
            declared = {a["name"]: "value" in a or "valueFrom" in a for a in templates[name]["spec"]["args"]}
            given = {a["name"] for a in arguments}
            assert {a for a, has_default in declared.items() if not has_default} <= given <= set(declared)
            used.add(name)
    assert used == set(templates)
    for template in templates.values():
        placeholders = set(re.findall(r"{{\s*args\.(\w+)\s*}}", json.dumps(template["spec"]["metrics"])))
        assert placeholders == {a["name"] for a in template["spec"]["args"]}


def test_the_gate_and_its_reader_may_touch_the_verdict_alone(base: list[dict[str, Any]]) -> None:
    assert set(_named(base, "ConfigMap")) == {f"{_NAME}-verdict"}
    assert "data" not in _named(base, "ConfigMap")[f"{_NAME}-verdict"]  # applying a release again leaves the verdict alone
    verbs = {f"{_NAME}-gate": ["patch"], f"{_NAME}-verdict": ["get"]}
    assert set(_named(base, "Role")) == set(_named(base, "RoleBinding")) == set(verbs)
    for name, role in _named(base, "Role").items():
        only_the_verdict = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [f"{_NAME}-verdict"]}
        assert role["rules"] == [{**only_the_verdict, "verbs": verbs[name]}]
        binding = _named(base, "RoleBinding")[name]
        assert binding["roleRef"]["name"] == name
        account = _named(base, "ServiceAccount")[name]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": account["metadata"]["namespace"]}]


def test_an_account_comes_before_its_token(base: list[dict[str, Any]]) -> None:
    order = [(o["kind"], o["metadata"]["name"]) for o in base]
    for name, secret in _named(base, "Secret").items():
        account = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
        assert order.index(("ServiceAccount", account)) < order.index(("Secret", name))
        assert "data" not in secret
        assert "stringData" not in secret


def test_pods_run_as_accounts_that_there_are(base: list[dict[str, Any]]) -> None:
    accounts = _named(base, "ServiceAccount")
    for pod in _pods(base):
        assert pod["serviceAccountName"] in accounts
    assert _named(base, "Rollout")[_NAME]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_images_are_named_with_a_tag_or_a_digest(base: list[dict[str, Any]]) -> None:
    images = [c["image"] for pod in _pods(base) for c in (*pod["containers"], *pod.get("initContainers", []))]
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[\w.-]+(:\d+)?/[\w./-]+(:[\w.-]+|@sha256:[0-9a-f]{64})", image)
        assert not image.endswith(":latest")


def test_the_pods_call_canari_as_it_is_called(base: list[dict[str, Any]]) -> None:
    server, gate = [pod.get("initContainers", pod["containers"])[0] for pod in (_pods(base))][::-1]
    assert server["args"][:2] == ["canari", "serve"]
    options = serve.make_context("serve", server["args"][2:]).params
    ports = {p["name"]: p["containerPort"] for p in server["ports"]}
    assert (options["host"], options["http_port"], options["grpc_port"]) == ("0.0.0.0", ports["http"], ports["grpc"])

    (script,) = gate["args"]
    command = script.partition("\ncode=")[0].replace("\\\n", "")
    words = shlex.split(re.sub(r"{{args\.(\w+)}}", r"\1", command))
    assert words[:3] == ["canari", "gate", "run"]
    options = run.make_context("run", words[3:]).params
    assert (options["baseline"], options["candidate"]) == (
        f"http://baseline:{ports['http']}",
        f"http://candidate:{ports['http']}",
    )
    assert (_K8S.parent / options["rules_file"].relative_to("/canari")).is_file()
    assert options["out"] in {Path(m["mountPath"]) for m in gate["volumeMounts"]}


def test_an_overlay_moves_everything_into_its_namespace(tmp_path: Path) -> None:
    for folder in ("base", "routes"):
        shutil.copytree(_K8S / folder, tmp_path / folder)
    (tmp_path / "kustomization.yaml").write_text("namespace: elsewhere\nresources: [base, routes]\n")
    objects = _render(tmp_path)
    assert {o["metadata"]["namespace"] for o in objects} == {"elsewhere"}
    assert {s["namespace"] for o in objects if o["kind"] == "RoleBinding" for s in o["subjects"]} == {"elsewhere"}
