"""Renders the manifests as `kubectl apply -k` would, without a cluster."""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

Object: TypeAlias = dict[str, Any]

K8S = Path(__file__).parents[2] / "k8s"
NAME = "diabetes"
OVERLAYS = sorted(f.name for f in (K8S / "overlays").iterdir())
# Those of the release, such as `shadow`, and those of the installation, such as `shadow/routes`.
COMPONENTS = sorted(
    str(f.parent.relative_to(K8S / "components"))
    for f in (K8S / "components").rglob("kustomization.yaml")
    if f.parent.name != "name"
)
# None, each, all. A component for the release and its part for the installation go together.
CHOICES: list[tuple[str, ...]] = [
    (),
    *((c, *(r for r in COMPONENTS if r.startswith(f"{c}/"))) for c in COMPONENTS if "/" not in c),
    tuple(COMPONENTS),
]
_INSTALLED = [c for c in COMPONENTS if c == "tls" or c.endswith("/routes")]


def render(folder: Path) -> list[Object]:
    """What kustomize makes of a folder."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    rendered = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


@cache
def _rendered(overlay: str, components: tuple[str, ...], name: str | None, scratch: Path) -> list[Object]:
    shutil.copytree(K8S, scratch / "k8s")
    folder = scratch / "k8s/overlays" / overlay
    objects = []
    for part, up, wanted in (
        (folder / "install", "../../..", [c for c in components if c in _INSTALLED]),
        (folder, "../..", [c for c in components if c not in _INSTALLED]),
    ):
        file = part / "kustomization.yaml"
        content = yaml.safe_load(file.read_text())
        if name:
            wanted.append("name")
            options = {"disableNameSuffixHash": True, "annotations": {"config.kubernetes.io/local-config": "true"}}
            content["configMapGenerator"] = [{"name": "model", "literals": [f"name={name}"], "options": options}]
        content["components"] = [f"{up}/components/{c}" for c in wanted]
        file.write_text(json.dumps(content))
        objects += render(part)
    return objects


def overlay(overlay: str, components: Iterable[str], scratch: Path, name: str | None = None) -> list[Object]:
    """The objects of an overlay and of its installation, with components, as a model called `name`."""
    return copy.deepcopy(_rendered(overlay, tuple(components), name, scratch))


def named(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def as_kubernetes_own(o: Object) -> Object:
    """A Rollout as the Deployment, and an AnalysisTemplate's Job as the Job, that would make the same pods; others as they are.

    For tools that do not know Argo Rollouts' kinds.
    """
    if o["kind"] == "Rollout":
        kept = ("revisionHistoryLimit", "progressDeadlineSeconds", "selector", "template")
        spec = {"replicas": 2, **{key: o["spec"][key] for key in kept}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": o["metadata"], "spec": spec}
    if o["kind"] == "AnalysisTemplate" and "job" in (provider := o["spec"]["metrics"][0]["provider"]):
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": o["metadata"], "spec": provider["job"]["spec"]}
    return o


def pods(objects: list[Object]) -> list[Object]:
    """The specs of all pods that the objects would make."""
    workloads = (as_kubernetes_own(o) for o in objects)
    return [w["spec"]["template"]["spec"] for w in workloads if w["kind"] in {"DaemonSet", "Deployment", "Job", "StatefulSet"}]


def containers(pod: Object) -> list[Object]:
    """All containers of a pod."""
    return [*pod.get("initContainers", []), *pod["containers"]]
