"""A fresh namespace on the cluster that KUBECONFIG names; without one these tests skip, saying so."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import urllib3
from kubernetes import client, config, dynamic

T = TypeVar("T")

_K8S = Path(__file__).parents[2] / "k8s"
_NEEDED = {"argoproj.io/v1alpha1": "Argo Rollouts", "gateway.networking.k8s.io/v1": "the Gateway API"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@dataclass(frozen=True)
class Cluster:
    """The cluster, seen from one namespace."""

    api: dynamic.DynamicClient
    namespace: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; fails the test, with kubectl's message, where it refuses."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        ran = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def resource(self, api_version: str, kind: str) -> Any:
        return self.api.resources.get(api_version=api_version, kind=kind)

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resource(api_version, kind).get(name=name, namespace=self.namespace).to_dict()
        return found

    def create(self, manifest: dict[str, Any], **options: Any) -> None:
        """Create an object in the namespace; the API server refuses fields that it does not know."""
        resource = self.resource(manifest["apiVersion"], manifest["kind"])
        resource.create(body=manifest, namespace=self.namespace, field_validation="Strict", **options)


def wait_for(read: Callable[[], T], enough: Callable[[T], bool], what: str, seconds: float = 60) -> T:
    """What `read` gives once it is `enough`; fails with the last value where it never is."""
    deadline = time.monotonic() + seconds
    while not enough(value := read()):
        assert time.monotonic() < deadline, f"{what} not seen within {seconds:g} s; last: {value}"
        time.sleep(0.5)
    return value


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster: KUBECONFIG is not set")
    settings = client.Configuration()
    try:
        config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        settings.retries = False
        api = dynamic.DynamicClient(client.ApiClient(settings))  # type: ignore[no-untyped-call]
    except (config.ConfigException, urllib3.exceptions.HTTPError, client.ApiException) as error:
        pytest.skip(f"no cluster: {error}")
    served = {f"{r.group}/{r.api_version}" for r in api.resources.search(kind="Rollout") + api.resources.search(kind="GRPCRoute")}
    if missing := [part for version, part in _NEEDED.items() if version not in served]:
        pytest.skip(f"the cluster lacks {' and '.join(missing)}")

    name = f"canari-test-{uuid.uuid4().hex[:8]}"
    namespaces = api.resources.get(api_version="v1", kind="Namespace")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespaces.create(body={"metadata": {"name": name, "labels": labels}})
    try:
        yield Cluster(api, name)
    finally:
        namespaces.delete(name=name, propagation_policy="Foreground")
        there = {"field_selector": f"metadata.name={name}"}
        wait_for(lambda: len(namespaces.get(**there).items), lambda left: left == 0, f"the end of namespace {name}", seconds=120)


@pytest.fixture(scope="session")
def manifests(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """k8s/base and k8s/routes, rendered into the cluster's fresh namespace, with host names that no one else has."""
    overlay = tmp_path_factory.mktemp("overlay")
    hosts = {"HTTPRoute": f"{cluster.namespace}.example.com", "GRPCRoute": f"grpc.{cluster.namespace}.example.com"}
    own_host = [
        {"target": {"kind": kind}, "patch": json.dumps([{"op": "replace", "path": "/spec/hostnames", "value": [host]}])}
        for kind, host in hosts.items()
    ]
    resources = [os.path.relpath(_K8S / folder, overlay) for folder in ("base", "routes")]
    kustomization = {"namespace": cluster.namespace, "resources": resources, "patches": own_host}
    (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
    return cluster.kubectl("kustomize", str(overlay))
