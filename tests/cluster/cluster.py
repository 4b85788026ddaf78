"""The cluster that KUBECONFIG names, seen from one namespace."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kubernetes import dynamic

T = TypeVar("T")

ARGO = "argoproj.io/v1alpha1"
GATEWAY = "gateway.networking.k8s.io/v1"
PATIENCE = 300.0
"""Seconds for what takes a few, but minutes beside other work: how long it took is not what the test asks."""


@dataclass(frozen=True)
class Cluster:
    """The cluster, seen from one namespace."""

    api: dynamic.DynamicClient
    namespace: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; fails the test, with kubectl's message, where it refuses."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        if arguments[0] == "argo":  # a plugin takes its options behind its name
            command = ["kubectl", *arguments, "--namespace", self.namespace]
        ran = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def resource(self, api_version: str, kind: str) -> Any:
        return self.api.resources.get(api_version=api_version, kind=kind)

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resource(api_version, kind).get(name=name, namespace=self.namespace).to_dict()
        return found

    def list(self, api_version: str, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found = self.resource(api_version, kind).get(namespace=self.namespace, label_selector=selector)
        return [item.to_dict() for item in found.items]

    def create(self, manifest: dict[str, Any], **options: Any) -> None:
        """Create an object in the namespace; the API server refuses fields that it does not know."""
        resource = self.resource(manifest["apiVersion"], manifest["kind"])
        resource.create(body=manifest, namespace=self.namespace, field_validation="Strict", **options)

    @cached_property
    def _shared_gateway(self) -> dict[str, Any]:
        """The Gateway that the routes of k8s/routes name."""
        found: dict[str, Any] = self.resource(GATEWAY, "Gateway").get(name="shared", namespace="projectcontour").to_dict()
        return found

    @cached_property
    def gateway(self) -> str:
        """HOST:PORT where callers find the gateway: CANARI_GATEWAY, or else what the Gateway says of itself."""
        if given := os.environ.get("CANARI_GATEWAY"):
            parts = urlsplit(given if "//" in given else f"//{given}")
            return f"{parts.hostname}:{parts.port or 80}"
        address = self._shared_gateway["status"]["addresses"][0]["value"]
        return f"{address}:{self._shared_gateway['spec']['listeners'][0]['port']}"

    @cached_property
    def api_address(self) -> str:
        """The API server's, for a controller that cannot resolve the cluster's names."""
        services = self.resource("v1", "Service")
        return f"https://{services.get(name='kubernetes', namespace='default').spec.clusterIP}"


def wait_for(
    read: Callable[[], T],
    enough: Callable[[T], bool],
    what: str,
    seconds: float = PATIENCE,
    every: float = 0.5,
    never: Callable[[T], bool] | None = None,
) -> T:
    """What `read` gives once it is `enough`; fails with the last value where it never is, or is what it must `never` be."""
    deadline = time.monotonic() + seconds
    while not enough(value := read()):
        assert time.monotonic() < deadline, f"{what} not seen within {seconds:g} s; last: {str(value)[:1000]}"
        time.sleep(every)
    return value
