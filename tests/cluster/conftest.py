"""What the cases share: the cluster that KUBECONFIG names, fresh namespaces on it, images, faults; without a cluster they skip.

| variable | |
|---|---|
| KUBECONFIG | the cluster: Argo Rollouts with its Gateway API plugin, a Gateway `shared` in `projectcontour`, metrics-server |
| CANARI_REGISTRY | where images are pushed, HOST:PORT, which the cluster's nodes know by the same name |
| CANARI_GATEWAY | HOST:PORT of the gateway; by default the address in the Gateway's status |
| CANARI_CLUSTER_ADAPTER | a program for faults of this kind of cluster: stop-rollouts, start-rollouts, restart-kubelet |
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import urllib3
from kubernetes import client, config, dynamic

from tests.cluster.cluster import Cluster, wait_for
from tests.cluster.images import Images
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release

__all__ = ["Cluster", "wait_for"]

_K8S = Path(__file__).parents[2] / "k8s"
_SECONDS = 900  # for one case; the first one also builds images
_NEEDED = {"argoproj.io/v1alpha1": "Argo Rollouts", "gateway.networking.k8s.io/v1": "the Gateway API"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def api() -> dynamic.DynamicClient:
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
    return api


@contextmanager
def _fresh(api: dynamic.DynamicClient) -> Iterator[Cluster]:
    """The cluster with a namespace's name of our own, which nobody has yet; it is deleted in the end."""
    name = f"canari-test-{uuid.uuid4().hex[:8]}"
    try:
        yield Cluster(api, name)
    finally:
        subprocess.run(
            ["kubectl", "delete", "namespace", name, "--ignore-not-found", "--wait=false"], capture_output=True, check=False
        )


@pytest.fixture(scope="session")
def cluster(api: dynamic.DynamicClient) -> Iterator[Cluster]:
    """With a namespace that is there already."""
    with _fresh(api) as cluster:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.resources.get(api_version="v1", kind="Namespace").create(
            body={"metadata": {"name": cluster.namespace, "labels": labels}}
        )
        yield cluster


@pytest.fixture(scope="session")
def images(api: dynamic.DynamicClient, tmp_path_factory: pytest.TempPathFactory) -> Images:
    registry = os.environ.get("CANARI_REGISTRY")
    if not registry:
        pytest.skip("no registry to push images to: CANARI_REGISTRY is not set")
    basetemp = tmp_path_factory.getbasetemp()
    return Images(registry, basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp)


NewRelease: TypeAlias = Callable[..., Release]


@pytest.fixture(scope="module")
def new_release(api: dynamic.DynamicClient, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewRelease]:
    """Makes overlays; those of one module are for one namespace, where nothing is installed yet."""
    if not shutil.which("kubectl-argo-rollouts"):
        pytest.skip("kubectl-argo-rollouts, the plugin of kubectl, is not on the PATH")
    with _fresh(api) as cluster:
        yield lambda **options: Release(cluster, images, tmp_path_factory.mktemp("release"), **options)


@pytest.fixture(scope="session")
def fault() -> Callable[[str], None]:
    """Do something to a component of the cluster."""
    adapter = os.environ.get("CANARI_CLUSTER_ADAPTER")
    if not adapter:
        pytest.skip("nothing here can stop this cluster's components: CANARI_CLUSTER_ADAPTER is not set")
    program = str(Path(adapter).absolute())

    def strike(verb: str) -> None:
        ran = subprocess.run([program, verb], capture_output=True, text=True, check=False, timeout=90)
        assert ran.returncode == 0, ran.stderr

    return strike


@pytest.fixture(scope="session")
def numbers() -> Numbers:
    return _numbers


_numbers = Numbers(Path(__file__).parents[2] / "out/cluster/results.json")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The numbers of the cases that ran, as docs/releases.md has them."""
    for line in _numbers.table():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def manifests(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """k8s/namespace, base and routes, rendered into the cluster's fresh namespace, with host names that no one else has."""
    overlay = tmp_path_factory.mktemp("overlay")
    hosts = {"HTTPRoute": f"{cluster.namespace}.example.com", "GRPCRoute": f"grpc.{cluster.namespace}.example.com"}
    own_host = [
        {"target": {"kind": kind}, "patch": json.dumps([{"op": "replace", "path": "/spec/hostnames", "value": [host]}])}
        for kind, host in hosts.items()
    ]
    resources = [os.path.relpath(_K8S / folder, overlay) for folder in ("namespace", "base", "routes")]
    kustomization = {"namespace": cluster.namespace, "resources": resources, "patches": own_host}
    (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
    return cluster.kubectl("kustomize", str(overlay))
