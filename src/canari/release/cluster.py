"""The cluster, seen from one namespace: connecting, reading, one guarded patch. Every refusal becomes one sentence."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import urllib3
import yaml
from kubernetes import client, config, dynamic

from canari.errors import CanariError, UsageError
from canari.release.objects import (
    AnalysisRun,
    ConfigMap,
    Experiment,
    Gateway,
    Object,
    Pod,
    ReplicaSet,
    Rollout,
    Route,
)

T = TypeVar("T", bound=Object)

_SECONDS = 10.0  # for one answer of the API server
_OVERLOADED = (429, 500, 502, 503, 504)


class UnreachableError(CanariError):
    """The API server gave no answer, or was too busy: asking again may help."""


class ConflictError(CanariError):
    """The object has changed since it was read."""


class Kind(msgspec.Struct, Generic[T], frozen=True):
    """Where the API serves a kind of object, and what it comes from."""

    type: type[T]
    name: str
    prefix: str  # "/api/v1", "/apis/GROUP/VERSION"
    plural: str
    part: str = "Kubernetes"  # what brings it into a cluster

    def __str__(self) -> str:
        return self.name


_ARGO = "/apis/argoproj.io/v1alpha1"
_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"

ROLLOUT = Kind(Rollout, "Rollout", _ARGO, "rollouts", "Argo Rollouts")
EXPERIMENT = Kind(Experiment, "Experiment", _ARGO, "experiments", "Argo Rollouts")
ANALYSIS_RUN = Kind(AnalysisRun, "AnalysisRun", _ARGO, "analysisruns", "Argo Rollouts")
REPLICA_SET = Kind(ReplicaSet, "ReplicaSet", "/apis/apps/v1", "replicasets")
POD = Kind(Pod, "Pod", "/api/v1", "pods")
CONFIG_MAP = Kind(ConfigMap, "ConfigMap", "/api/v1", "configmaps")
HTTP_ROUTE = Kind(Route, "HTTPRoute", _GATEWAY_API, "httproutes", "the Gateway API")
GRPC_ROUTE = Kind(Route, "GRPCRoute", _GATEWAY_API, "grpcroutes", "the Gateway API")
GATEWAY = Kind(Gateway, "Gateway", _GATEWAY_API, "gateways", "the Gateway API")


class Access(msgspec.Struct, frozen=True):
    """Which cluster, as whom: what kubectl's options of the same names say."""

    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def options(self) -> list[str]:
        """The same for kubectl."""
        file = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        return file + ([f"--context={self.context}"] if self.context else [])


class Cluster:
    """The API server, asked about one namespace."""

    def __init__(self, api: dynamic.DynamicClient, namespace: str, access: Access) -> None:
        self._api = api
        self.namespace = namespace
        self.access = access

    def within(self, namespace: str) -> "Cluster":
        """The same cluster, asked about another namespace."""
        return Cluster(self._api, namespace, self.access)

    def get(self, kind: Kind[T], name: str, namespace: str | None = None) -> T:
        """One object; raises `CanariError` where there is none."""
        found = self.find(kind, name, namespace)
        if found is None:
            raise CanariError(f"there is no {kind} {name} in namespace {namespace or self.namespace}")
        return found

    def find(self, kind: Kind[T], name: str, namespace: str | None = None) -> T | None:
        """One object, or None; raises `CanariError` where the cluster does not know the kind."""
        body = self._request("get", kind, namespace or self.namespace, name=name)
        return None if body is None else _decode(body, kind.type, kind)

    def list(self, kind: Kind[T]) -> list[T]:
        """All of a kind in the namespace."""
        body = self._request("list", kind, self.namespace)
        return _decode_list(body or b"{}", kind)

    def rollout(self, name: str | None = None) -> Rollout:
        """The Rollout of that name, or the only one; raises `CanariError`, which names those that there are."""
        if name is not None and (found := self.find(ROLLOUT, name)) is not None:
            return found
        there = self.list(ROLLOUT)
        if name is None and len(there) == 1:
            return there[0]
        names = ", ".join(sorted(rollout.name for rollout in there))
        if not names:
            raise CanariError(
                f"there is no Rollout in namespace {self.namespace}: choose another by --namespace, or make the first deployment "
                "by `canari release start OVERLAY --image REF`"
            )
        if name is None:
            raise UsageError(f"namespace {self.namespace} has several Rollouts, name one of them: {names}")
        raise CanariError(f"there is no Rollout {name} in namespace {self.namespace}; there is: {names}")

    def patch_rollout(self, name: str, operations: Sequence[dict[str, Any]]) -> None:
        """Change a Rollout by JSON Patch (RFC 6902), all or nothing; raises `ConflictError` where a `test` in it fails."""
        self._request("patch", ROLLOUT, self.namespace, name=name, body=list(operations))

    def _request(self, verb: str, kind: Kind[T], namespace: str, *, name: str = "", body: Any = None) -> bytes | None:
        """The answer's body, or None where there is no object of that name."""
        path = f"{kind.prefix}/namespaces/{namespace}/{kind.plural}" + (f"/{name}" if name else "")
        options: dict[str, Any] = {"content_type": "application/json-patch+json"} if body is not None else {}
        try:
            response = self._api.request(
                "get" if verb == "list" else verb,
                path,
                body=body,
                serialize=False,
                _request_timeout=_SECONDS,
                **options,
            )
            return bytes(response.data)
        except client.ApiException as error:
            if error.status == 404 and name and _status(error).get("details", {}).get("name"):
                return None
            raise self._refusal(error, verb, kind, namespace, name) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(_unreachable(self._api, error)) from None

    def _refusal(self, error: client.ApiException, verb: str, kind: Kind[T], namespace: str, name: str) -> CanariError:
        what = f"{kind} {name}" if name else f"{kind}s"
        where = f"in namespace {namespace}"
        said = _status(error).get("message") or error.reason
        match error.status:
            case 401:
                return CanariError(
                    f"{_host(self._api)} does not accept your credentials: log in again, or choose another --context"
                )
            case 403:
                return CanariError(
                    f"no permission to {verb} {what} {where}: ask for a Role with `{verb}` on `{kind.plural}`; "
                    f"`kubectl auth can-i {verb} {kind.plural} -n {namespace}` tells when you have it"
                )
            case 404:
                return CanariError(
                    f"the cluster does not know {kind}s: {kind.part} is not installed; `make cluster-install` of this project "
                    "does it, or choose another --context"
                )
            case 409 | 422 if verb == "patch":
                return ConflictError(f"{what} {where} was not changed: {said}")
            case status:
                refusal = UnreachableError if status in _OVERLOADED else CanariError
                return refusal(f"cannot {verb} {what} {where}: {said} (HTTP {status})")


def connect(access: Access, namespace: str) -> Cluster:
    """The cluster that a kubeconfig's context names, or the one that this pod runs in; raises `CanariError`.

    No request is sent yet: whether the cluster answers shows in the first question.
    """
    settings = client.Configuration()
    try:
        if access == Access() and "KUBERNETES_SERVICE_HOST" in os.environ and not _are_there(_files(access)):
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(_merged(access), access.context, settings)  # type: ignore[no-untyped-call]
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(_no_config(access, error)) from None
    settings.retries = False
    # Its own paths, so no discovery: that would ask for every group of the API first.
    return Cluster(
        dynamic.DynamicClient(client.ApiClient(settings), discoverer=lambda *_: None),  # type: ignore[no-untyped-call]
        namespace,
        access,
    )


def _files(access: Access) -> list[Path]:
    if access.kubeconfig:
        return [access.kubeconfig]
    named = os.environ.get("KUBECONFIG", "")
    return [Path(part) for part in named.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]


def _are_there(files: Sequence[Path]) -> bool:
    return any(file.is_file() for file in files)


def _merged(access: Access) -> str:
    """The files as the client takes them; said each time, because it reads the variable once, when it is imported."""
    return os.pathsep.join(map(str, _files(access)))


def _no_config(access: Access, error: Exception) -> str:
    files = _files(access)
    shown = ", ".join(map(str, files))
    if not _are_there(files):
        return f"no kubeconfig: there is no file {shown}; name one by --kubeconfig or the variable KUBECONFIG"
    if access.context:
        try:
            contexts, _ = config.list_kube_config_contexts(_merged(access))  # type: ignore[no-untyped-call]
            names = [context["name"] for context in contexts]
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError):
            names = []
        if names and access.context not in names:
            return f"no context {access.context!r} in {shown}; there is: {', '.join(names)}"
    return f"{shown} cannot be used as a kubeconfig: {' '.join(str(error).split())}"


def _host(api: dynamic.DynamicClient) -> str:
    return str(api.configuration.host)


def _unreachable(api: dynamic.DynamicClient, error: Exception) -> str:
    reason: object = getattr(error, "reason", None) or error
    words = " ".join(str(reason).split())
    return f"the cluster at {_host(api)} does not answer ({words[:200]}): is it up, and is --context the right one?"


def _status(error: client.ApiException) -> dict[str, Any]:
    """The API's own account of a refusal (a `Status` object), empty where something else answered."""
    try:
        said = msgspec.json.decode(error.body or b"")
    except (msgspec.MsgspecError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def _decode(body: bytes, of: type[T], kind: Kind[Any]) -> T:
    try:
        return msgspec.json.decode(body, type=of)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CanariError(f"the API server's {kind} is not understood: {error}") from None


def _decode_list(body: bytes, kind: Kind[T]) -> list[T]:
    try:
        items: list[Any] = msgspec.json.decode(body).get("items") or []
        return [msgspec.convert(item, kind.type) for item in items]
    except (msgspec.MsgspecError, AttributeError, UnicodeDecodeError) as error:
        raise CanariError(f"the API server's list of {kind}s is not understood: {error}") from None
