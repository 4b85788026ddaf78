"""The manifests as kustomize renders them, without a cluster: names, references, images, durations, what each file holds."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from canari.cli.release.gate import gate
from canari.cli.serve import serve
from canari.rehearsal.plan import load_plan
from canari.serving import server
from tests.k8s.rendering import CHOICES, COMPONENTS, K8S, NAME, OVERLAYS, Object, containers, named, overlay, pods, render

_FILES = sorted(K8S.rglob("*.yaml"))
_GATE = f"{NAME}-gate"
_DIGEST = re.compile(r"[\w.-]+(:\d+)?(/[\w.-]+)+@sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def base() -> list[Object]:
    return render(K8S / "base")


@pytest.fixture(scope="module")
def routes() -> list[Object]:
    return render(K8S / "routes")


@pytest.fixture(scope="module")
def rollout(base: list[Object]) -> Object:
    spec: Object = named(base, "Rollout")[NAME]["spec"]
    return spec


@pytest.fixture(scope="module")
def job(base: list[Object]) -> Object:
    spec: Object = named(base, "AnalysisTemplate")[_GATE]["spec"]["metrics"][0]["provider"]["job"]["spec"]
    return spec


@pytest.mark.parametrize("file", _FILES, ids=lambda f: str(f.relative_to(K8S)))
def test_a_file_says_what_it_is_for_and_holds_one_object(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# ")
    (document,) = yaml.safe_load_all(text)
    holds_an_object = isinstance(document, dict) and "metadata" in document
    assert not holds_an_object or file.stem.split("-")[0] == document["kind"].lower() or file.parent.parent.name == "cluster"


@pytest.mark.parametrize("folder", ["base", "base/gate", "routes", "namespace", *(f"components/{c}" for c in COMPONENTS)])
def test_every_file_is_rendered(folder: str) -> None:
    listed = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text()).get("resources", [])
    there = {f.name for f in (K8S / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert there == {r for r in listed if r.endswith(".yaml")}


def test_names_follow_the_contract(base: list[Object], routes: list[Object]) -> None:
    for kind in ("Rollout", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert set(named(base, kind)) == {NAME}
    assert set(named(base, "Service")) == {f"{NAME}-stable", f"{NAME}-canary"}
    assert set(named(base, "NetworkPolicy")) == {NAME, _GATE}
    assert set(named(base, "AnalysisTemplate")) == {_GATE, f"{NAME}-verdict"}
    assert Counter((r["kind"], r["metadata"]["name"]) for r in routes) == {
        ("HTTPRoute", NAME): 1,
        ("GRPCRoute", f"{NAME}-grpc"): 1,
    }
    # Several models live in one namespace: nothing may carry a name without the model's.
    assert all(o["metadata"]["name"].split("-")[0] == NAME for o in base + routes)


def test_routes_start_with_every_caller_on_stable(base: list[Object], routes: list[Object]) -> None:
    ports = {name: {p["name"]: p["port"] for p in s["spec"]["ports"]} for name, s in named(base, "Service").items()}
    for route in routes:
        port_name = {"HTTPRoute": "http", "GRPCRoute": "grpc"}[route["kind"]]
        for rule in route["spec"]["rules"]:
            backends = {b["name"]: (b["port"], b["weight"]) for b in rule["backendRefs"]}
            assert backends == {
                f"{NAME}-stable": (ports[f"{NAME}-stable"][port_name], 100),
                f"{NAME}-canary": (ports[f"{NAME}-canary"][port_name], 0),
            }
    hostnames = [h for r in routes for h in r["spec"]["hostnames"]]
    assert len(hostnames) == len(set(hostnames)) == len(routes)


def test_the_rollout_names_the_services_and_routes_that_there_are(rollout: Object, routes: list[Object]) -> None:
    canary = rollout["strategy"]["canary"]
    assert (canary["stableService"], canary["canaryService"]) == (f"{NAME}-stable", f"{NAME}-canary")
    plugin = canary["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"]
    assert [r["name"] for r in plugin["httpRoutes"]] == list(named(routes, "HTTPRoute"))
    assert [r["name"] for r in plugin["grpcRoutes"]] == list(named(routes, "GRPCRoute"))
    # A stable version that shrinks during a canary loses requests when the release is aborted.
    assert "dynamicStableScale" not in canary


def test_services_select_the_rollouts_pods_and_their_named_ports(base: list[Object], rollout: Object) -> None:
    pod = rollout["template"]
    named_ports = {p["name"]: p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}
    assert named_ports == {"http": 3000, "grpc": 3001}
    assert rollout["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    for service in named(base, "Service").values():
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        # The experiment's own Services stand on the containers' ports, so the gate's URLs hold for these too.
        assert {p["targetPort"]: p["port"] for p in service["spec"]["ports"]} == named_ports
        # Contour takes what comes in over TLS to go out over TLS, unless the port says otherwise.
        assert {p["name"]: p.get("appProtocol") for p in service["spec"]["ports"]} == {"http": None, "grpc": "kubernetes.io/h2c"}


def test_the_gates_fresh_pods_are_counted_by_no_one_and_reached_by_the_gate(base: list[Object], rollout: Object) -> None:
    label = "app.kubernetes.io/name"
    experiments = [s["experiment"] for s in rollout["strategy"]["canary"]["steps"] if "experiment" in s]
    (fresh,) = {t["metadata"]["labels"][label] for e in experiments for t in e["templates"]}
    assert all(e["templates"][0]["specRef"] == "stable" and e["templates"][1]["specRef"] == "canary" for e in experiments)
    selectors = [
        rollout["selector"]["matchLabels"],
        named(base, "PodDisruptionBudget")[NAME]["spec"]["selector"]["matchLabels"],
        *(s["spec"]["selector"] for s in named(base, "Service").values()),
        *(c["labelSelector"]["matchLabels"] for c in rollout["template"]["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector == {label: NAME} != {label: fresh} for selector in selectors)

    models, gates = (named(base, "NetworkPolicy")[name]["spec"] for name in (NAME, _GATE))
    (both,) = models["podSelector"]["matchExpressions"]
    assert (both["key"], set(both["values"])) == (label, {NAME, fresh})
    assert {"podSelector": {"matchLabels": gates["podSelector"]["matchLabels"]}} in models["ingress"][0]["from"]
    assert {"podSelector": {"matchExpressions": [both]}} in gates["egress"][0]["to"]


def test_the_autoscaler_alone_says_how_many_pods_there_are(base: list[Object], rollout: Object) -> None:
    target = named(base, "HorizontalPodAutoscaler")[NAME]["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": NAME}
    assert "replicas" not in rollout
    (container,) = rollout["template"]["spec"]["containers"]
    assert "cpu" in container["resources"]["requests"]  # what its utilization is a share of


def test_callers_meet_the_candidate_only_after_a_gate(rollout: Object) -> None:
    steps = rollout["strategy"]["canary"]["steps"]
    kinds = [next(iter(step)) for step in steps]
    for index, kind in enumerate(kinds):
        if kind == "experiment":
            assert kinds[index + 1] == "analysis"
        if kind == "setWeight" or index == len(kinds) - 1:
            last_traffic = max((i for i in range(index) if kinds[i] == "setWeight"), default=-1)
            assert "analysis" in kinds[last_traffic + 1 : index + 1]


def test_analyses_get_the_arguments_that_their_templates_ask_for(base: list[Object], rollout: Object) -> None:
    templates = named(base, "AnalysisTemplate")
    used = set()
    for step in rollout["strategy"]["canary"]["steps"]:
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


def test_the_gate_and_its_reader_may_do_what_they_must(base: list[Object]) -> None:
    assert set(named(base, "ConfigMap")) == {f"{NAME}-verdict"}
    assert "data" not in named(base, "ConfigMap")[f"{NAME}-verdict"]  # applying a release again leaves the verdict alone
    the_verdict = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [f"{NAME}-verdict"]}
    the_pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    rules = {
        _GATE: [{**the_verdict, "verbs": ["get", "patch"]}, the_pods],
        f"{NAME}-verdict": [{**the_verdict, "verbs": ["get"]}],
    }
    assert {name: role["rules"] for name, role in named(base, "Role").items()} == rules
    assert set(named(base, "RoleBinding")) == set(rules)
    for name, binding in named(base, "RoleBinding").items():
        assert binding["roleRef"]["name"] == name
        account = named(base, "ServiceAccount")[name]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": account["metadata"]["namespace"]}]


def test_an_account_comes_before_its_token(base: list[Object]) -> None:
    order = [(o["kind"], o["metadata"]["name"]) for o in base]
    for name, secret in named(base, "Secret").items():
        account = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
        assert order.index(("ServiceAccount", account)) < order.index(("Secret", name))
        assert "data" not in secret
        assert "stringData" not in secret


def test_pods_run_as_accounts_and_in_classes_that_there_are_and_only_the_gate_has_a_token(objects: list[Object]) -> None:
    accounts = named(objects, "ServiceAccount")
    for pod in pods(objects):
        assert pod["serviceAccountName"] in accounts
        assert pod["priorityClassName"] in named(objects, "PriorityClass")
        assert pod["automountServiceAccountToken"] is (pod["serviceAccountName"] == _GATE)


def test_a_pod_has_time_to_end(rollout: Object) -> None:
    pod = rollout["template"]["spec"]
    leave_the_gateway = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert leave_the_gateway + server._DRAIN_SECONDS + server._GRACE_SECONDS < pod["terminationGracePeriodSeconds"]


def test_probes_ask_ports_that_there_are(rollout: Object) -> None:
    (container,) = rollout["template"]["spec"]["containers"]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["grpc"]["port"] == ports["grpc"]


def test_the_pods_call_canari_as_it_is_called(rollout: Object, job: Object) -> None:
    (container,) = rollout["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "canari", "serve"]
    options = serve.make_context("serve", [*container["args"]]).params
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert (options["host"], options["http_port"], options["grpc_port"]) == ("0.0.0.0", ports["http"], ports["grpc"])

    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "canari", "release", "gate"]
    values = {"duration": "60", "gates": "3", "rules": "release"}
    arguments = [re.sub(r"{{args\.(\w+)}}", lambda a: values.get(a[1], a[1]), word) for word in container["args"]]
    options = gate.make_context("gate", arguments).params
    assert all(options[name] == name for name in ("model", "release", "stable", "baseline", "candidate"))
    assert options["port"] == ports["http"]
    assert (K8S.parent / options["rules_file"].relative_to("/canari")).is_file()


def test_the_gates_job_runs_once_and_again_only_after_an_eviction(job: Object) -> None:
    assert job["backoffLimit"] == 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    evicted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job["podFailurePolicy"] == {"rules": [evicted]}


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_names_its_images_by_digest(name: str, tmp_path: Path) -> None:
    images = yaml.safe_load((K8S / "overlays" / name / "kustomization.yaml").read_text())["images"]
    assert [i["name"] for i in images] == ["model", "model-stable", "canari-gate"]
    for pod in pods(overlay(name, (), tmp_path)):
        for container in containers(pod):
            assert _DIGEST.fullmatch(container["image"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_gates_share_the_false_alarms_of_as_many_as_there_are(name: str, tmp_path: Path) -> None:
    objects = overlay(name, (), tmp_path)
    (rollout,) = named(objects, "Rollout").values()
    template = named(objects, "AnalysisTemplate")[_GATE]["spec"]
    (gates,) = (int(a["value"]) for a in template["args"] if a["name"] == "gates")
    assert gates == sum("experiment" in step for step in rollout["spec"]["strategy"]["canary"]["steps"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_how_long_a_release_takes_and_not_what_it_does(name: str, base: list[Object], tmp_path: Path) -> None:
    changed = overlay(name, (), tmp_path)
    assert _without_durations(changed) == _without_durations(base)
    template = named(changed, "AnalysisTemplate")[_GATE]["spec"]
    (duration,) = (int(a["value"]) for a in template["args"] if a["name"] == "duration")
    # Time for a pod that is evicted at the very end, and for another.
    assert template["metrics"][0]["provider"]["job"]["spec"]["activeDeadlineSeconds"] >= 2 * (duration + 30)


def _without_durations(objects: list[Object]) -> Any:
    (rollout,) = named(objects, "Rollout").values()
    canary = json.loads(json.dumps(rollout["spec"]["strategy"]["canary"]))
    for step in canary["steps"]:
        step.get("pause", {}).pop("duration", None)
    pod = rollout["spec"]["template"]["spec"]
    return canary, [{**c, "image": None} for c in containers(pod)]


def test_the_rehearsal_follows_the_same_steps(tmp_path: Path) -> None:
    """`canari rehearse` reads the file, the cluster what kustomize makes of it."""
    (rollout,) = named(render(K8S / "base"), "Rollout").values()
    (tmp_path / "rollout.yaml").write_text(yaml.safe_dump(rollout))
    assert load_plan(tmp_path / "rollout.yaml") == load_plan(K8S / "base/rollout.yaml")


def test_an_overlay_moves_everything_into_its_namespace(tmp_path: Path) -> None:
    (tmp_path / "overlay").mkdir()
    for part in ("base", "routes", "namespace"):
        (tmp_path / part).symlink_to(K8S / part)
    kustomization = "namespace: elsewhere\nresources: [../base, ../routes, ../namespace]\n"
    (tmp_path / "overlay/kustomization.yaml").write_text(kustomization)
    objects = render(tmp_path / "overlay")
    assert set(named(objects, "Namespace")) == {"elsewhere"}
    unbound = {"Namespace", "PriorityClass"}
    assert {o["metadata"]["namespace"] for o in objects if o["kind"] not in unbound} == {"elsewhere"}
    assert {s["namespace"] for o in objects if o["kind"] == "RoleBinding" for s in o["subjects"]} == {"elsewhere"}


@pytest.mark.parametrize("components", CHOICES, ids=lambda c: "+".join(c) or "nothing")
def test_another_models_name_replaces_this_one_everywhere(components: tuple[str, ...], tmp_path: Path) -> None:
    renamed = overlay("production", components, tmp_path / "renamed", name="breast-cancer")
    expected = _own_names(overlay("production", components, tmp_path / "plain")).replace(NAME, "breast-cancer")
    assert _sorted(_own_names(renamed)) == _sorted(expected)


def _own_names(objects: list[Object]) -> str:
    """The objects without what the overlay names itself: images and hosts."""
    for o in objects:
        o.get("spec", {}).pop("hostnames", None)
        for pod in pods([o]):
            for container in containers(pod):
                container.pop("image")
    return json.dumps(objects)


def _sorted(objects: str) -> list[Object]:
    return sorted(json.loads(objects), key=lambda o: (o["kind"], o["metadata"]["name"]))


def test_a_models_name_changes_its_host_names(tmp_path: Path) -> None:
    (tmp_path / "overlay").mkdir()
    (tmp_path / "k8s").symlink_to(K8S)
    generator = {
        "name": "model",
        "literals": ["name=other"],
        "options": {"annotations": {"config.kubernetes.io/local-config": "true"}, "disableNameSuffixHash": True},
    }
    kustomization = {"resources": ["../k8s/routes"], "components": ["../k8s/components/name"], "configMapGenerator": [generator]}
    (tmp_path / "overlay/kustomization.yaml").write_text(json.dumps(kustomization))
    hosts = {o["kind"]: o["spec"]["hostnames"] for o in render(tmp_path / "overlay")}
    assert hosts == {"HTTPRoute": ["other.example.com"], "GRPCRoute": ["grpc.other.example.com"]}
