"""What the gate's Job does in the cluster: measure, and publish the verdict and its report, whole or not at all."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import urllib3
from kubernetes import client, config

from canari.errors import CanariError
from canari.gate import recording, report
from canari.gate.live import Fleet, LiveMeter, Server
from canari.gate.plan import ARMS, Arm
from canari.gate.rules import Rules
from canari.gate.run import REQUESTS, run_gate
from canari.gate.verdict import Verdict
from canari.release import verdicts

T = TypeVar("T")

_HASH = "rollouts-pod-template-hash"
_SHADOW_PORT = 8080
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PATIENCE_SECONDS = 30.0  # with an API server that is down for a moment, with a Service that the nodes do not know yet
_PAUSE_SECONDS = 1.0
_CALL_SECONDS = 10.0
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate of a release measures."""

    model: str  # the Rollout's name
    release: str  # pod template hash of the candidate
    stable: str  # the same of the stable version
    baseline: str  # host of a fresh pod of the stable version, EXPERIMENT-baseline
    candidate: str  # host of a fresh pod of the candidate
    port: int
    shadow: str | None = None  # host of the comparer of callers' requests, where there is one

    @property
    def experiment(self) -> str:
        """The name of the experiment that started the fresh pods."""
        return self.baseline.removesuffix("-baseline")


class Api:
    """The API server, seen from one namespace; patient while it is down."""

    def __init__(self, core: client.CoreV1Api, namespace: str, patience_s: float = PATIENCE_SECONDS) -> None:
        self._core = core
        self._namespace = namespace
        self._patience = patience_s

    def config_map(self, name: str) -> client.V1ConfigMap:
        """Read a ConfigMap."""

        def read() -> client.V1ConfigMap:
            return self._core.read_namespaced_config_map(name, self._namespace, _request_timeout=_CALL_SECONDS)

        return self._call(f"read ConfigMap {name}", read)

    def pods(self, selector: str) -> list[Any]:
        """List pods by labels."""

        def read() -> client.V1PodList:
            return self._core.list_namespaced_pod(self._namespace, label_selector=selector, _request_timeout=_CALL_SECONDS)

        return self._call("list pods", read).items

    def patch_config_map(self, name: str, patch: dict[str, Any]) -> None:
        """Merge `patch` into a ConfigMap, all of it at once."""
        merge: Any = {"_content_type": "application/merge-patch+json", "_request_timeout": _CALL_SECONDS}
        self._call(
            f"patch ConfigMap {name}", lambda: self._core.patch_namespaced_config_map(name, self._namespace, patch, **merge)
        )

    def _call(self, what: str, request: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return request()
            except client.ApiException as error:
                problem = _explain(error)
                passing = error.status in (0, _TOO_MANY_REQUESTS) or error.status >= _SERVER_ERROR
            except (urllib3.exceptions.HTTPError, OSError) as error:
                problem, passing = f"no answer from the API server: {error}", True
            if not passing or time.monotonic() + _PAUSE_SECONDS > deadline:
                raise CanariError(f"cannot {what} in namespace {self._namespace}: {problem}")
            time.sleep(_PAUSE_SECONDS)


def connect() -> Api:
    """The API server of the cluster that this pod runs in, as its service account; raises `CanariError` elsewhere."""
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        namespace = _NAMESPACE.read_text("utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise CanariError(
            f"not in a pod with a service account's token: {error}; outside a cluster use `canari gate run`"
        ) from None
    settings.retries = False
    return Api(client.CoreV1Api(client.ApiClient(settings)), namespace)


def live_fleet(api: Api, measurement: Measurement) -> Fleet:
    """The pods of either version that callers use, as far as they run; those of an experiment have hashes of their own."""
    arms: dict[str, Arm] = {measurement.release: "candidate", measurement.stable: "baseline"}
    fleet: dict[Arm, list[Server]] = {arm: [] for arm in ARMS}
    for pod in api.pods(f"app.kubernetes.io/name={measurement.model},{_HASH} in ({','.join(arms)})"):
        if pod.status.phase == "Running" and pod.status.pod_ip and not pod.metadata.deletion_timestamp:
            fleet[arms[pod.metadata.labels[_HASH]]].append(_server(pod, measurement.port))
    return fleet


def _server(pod: Any, port: int) -> Server:
    ip = pod.status.pod_ip
    restarts = sum(container.restart_count for container in pod.status.container_statuses or ())
    return Server(name=pod.metadata.name, url=f"http://{f'[{ip}]' if ':' in ip else ip}:{port}", restarts=restarts)


def run(
    api: Api,
    measurement: Measurement,
    rules: Rules,
    rows_file: Path | None = None,
    *,
    workers: int = 0,
    bind: str = "0.0.0.0:5557",
) -> Verdict:
    """Measure the candidate beside the baseline, with `rows_file` on its rows, and publish what came of it.

    `workers` processes that come to `bind` send the load, or none but this pod.

    Raises `CanariError`, with nothing published, where there is no verdict: the baseline cannot be measured, the load generator
    fails, the ConfigMap cannot be read or written.
    """
    name = verdicts.name(measurement.model)
    api.config_map(name)  # before the load: a gate that cannot publish need not measure
    with tempfile.TemporaryDirectory() as folder:
        verdict = run_gate(
            f"http://{measurement.baseline}:{measurement.port}",
            f"http://{measurement.candidate}:{measurement.port}",
            rules,
            Path(folder),
            rows_file=rows_file,
            patience_s=PATIENCE_SECONDS,
            live=LiveMeter(lambda: live_fleet(api, measurement)),
            shadow_url=measurement.shadow and f"http://{measurement.shadow}:{_SHADOW_PORT}",
            workers=workers,
            bind=bind,
        )
        requests = recording.read(Path(folder) / REQUESTS)
    gate = verdicts.Gate(
        experiment=measurement.experiment,
        release=measurement.release,
        stable=measurement.stable,
        published=datetime.now(UTC).isoformat(timespec="milliseconds"),
        verdict=verdict,
    )
    about = {"experiment": gate.experiment, "release": gate.release, "stable": gate.stable}
    page = report.render(verdict, requests, about)
    api.patch_config_map(name, verdicts.patch(gate, page.encode(), api.config_map(name).binary_data))
    return verdict


def _explain(error: client.ApiException) -> str:
    """What the API server said, in one line."""
    try:
        said = msgspec.json.decode(error.body or b"", type=dict[str, Any]).get("message")
    except msgspec.MsgspecError:
        said = None
    return f"{said or error.reason} (HTTP {error.status})"
