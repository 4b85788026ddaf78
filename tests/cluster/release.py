"""One model on the cluster, as its engineer sees it: an overlay in git, `kubectl apply -k`, the Rollout, and who calls."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes.utils import parse_quantity

from tests.cluster.callers import Account, Callers, Plan, call
from tests.cluster.cluster import ARGO, GATEWAY, PATIENCE, Cluster, wait_for
from tests.cluster.images import Images

_K8S = Path(__file__).parents[2] / "k8s"
_ROUTES = {"rest": "HTTPRoute", "grpc": "GRPCRoute"}


@dataclass
class Settings:
    """What the tests shorten, and where they run."""

    pause: int = 10  # seconds at either weight
    gate: int = 8  # seconds of load
    deadline: int = 300  # seconds of `progressDeadlineSeconds`
    gate_deadline: int = 240  # seconds of `activeDeadlineSeconds`
    rules: str = "errors"  # of tests/cluster/gate
    single: bool = False  # one pod, not two
    little_cpu: bool = True  # next to no CPU is asked for: the releases of several workers have room on a node of two cores


class Release:
    """A model's overlay, made of a copy of k8s/overlays/local, and what the cluster makes of it."""

    def __init__(
        self, cluster: Cluster, images: Images, folder: Path, settings: Settings | None = None, name: str = "diabetes"
    ) -> None:
        self.cluster = cluster
        self.images = images
        self.settings = settings or Settings()
        self.name = name
        self.rest_host = f"{name}.{cluster.namespace}.example.com"
        self.grpc_host = f"grpc.{name}.{cluster.namespace}.example.com"
        self._folder = folder
        shutil.copytree(_K8S, folder / "k8s")
        self.overlay = folder / "k8s/overlays/local"
        for part, top in ((self.overlay, "../.."), (self.overlay / "install", "../../..")):
            self._edit(part, {"namespace": cluster.namespace, **(_named(name, top) if name != "diabetes" else {})})
        for kind, host in (("HTTPRoute", self.rest_host), ("GRPCRoute", self.grpc_host)):
            self.patch(kind, {"/spec/hostnames": [host]}, self.overlay / "install")
        pause = f"{self.settings.pause}s"
        steps = "/spec/strategy/canary/steps"
        self.patch("Rollout", {f"{steps}/3/pause/duration": pause, f"{steps}/7/pause/duration": pause})
        self.patch("Rollout", {"/spec/progressDeadlineSeconds": self.settings.deadline})
        if self.settings.little_cpu:
            self.patch("Rollout", {"/spec/template/spec/containers/0/resources/requests/cpu": "20m"})
            self.patch_gate_job({"/template/spec/containers/0/resources/requests/cpu": "20m"})
        if self.settings.single:
            self.patch("HorizontalPodAutoscaler", {"/spec/minReplicas": 1, "/spec/maxReplicas": 1})
        self.patch_gate(duration=str(self.settings.gate), rules=self.settings.rules)
        self.patch_gate_job({"/activeDeadlineSeconds": self.settings.gate_deadline})
        self.set_images(model=images.stable, stable=images.stable, gate=images.gate)

    # The overlay.

    def _edit(self, folder: Path, changes: Mapping[str, Any]) -> None:
        file = folder / "kustomization.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}, sort_keys=False))

    def patch(self, kind: str, values: Mapping[str, Any], folder: Path | None = None, name: str | None = None) -> None:
        """Put values at JSON pointers of all objects of a kind."""
        if not values:
            return
        folder = folder or self.overlay
        patches = yaml.safe_load((folder / "kustomization.yaml").read_text()).get("patches", [])
        operations = [{"op": "add", "path": path, "value": value} for path, value in values.items()]
        target = {"kind": kind, **({"name": name} if name else {})}
        self._edit(folder, {"patches": [*patches, {"target": target, "patch": json.dumps(operations)}]})

    def leave_out_steps(self, count: int) -> None:
        """Take the first steps out of the plan."""
        patches = yaml.safe_load((self.overlay / "kustomization.yaml").read_text())["patches"]
        operations = [{"op": "remove", "path": "/spec/strategy/canary/steps/0"}] * count
        self._edit(self.overlay, {"patches": [*patches, {"target": {"kind": "Rollout"}, "patch": json.dumps(operations)}]})

    def patch_gate(self, **arguments: str) -> None:
        """Give arguments of the gate's AnalysisTemplate other defaults."""
        template = yaml.safe_load((_K8S / "base/gate/analysistemplate-gate.yaml").read_text())
        names = [argument["name"] for argument in template["spec"]["args"]]
        self.patch("AnalysisTemplate", {f"/spec/args/{names.index(n)}/value": v for n, v in arguments.items()}, name=".*-gate")

    def patch_gate_job(self, values: Mapping[str, Any]) -> None:
        """Put values at JSON pointers of the gate's Job."""
        self.patch("AnalysisTemplate", {f"/spec/metrics/0/provider/job/spec{p}": v for p, v in values.items()}, name=".*-gate")

    def set_images(self, *, model: str | None = None, stable: str | None = None, gate: str | None = None) -> None:
        named = {"model": model, "model-stable": stable, "canari-gate": gate}
        images = yaml.safe_load((self.overlay / "kustomization.yaml").read_text())["images"]
        for image in images:
            if wanted := named[image["name"]]:
                image["newName"], image["digest"] = wanted.split("@")
        self._edit(self.overlay, {"images": images})

    # What the engineer does.

    def install(self) -> None:
        self.cluster.kubectl("apply", "-k", str(self.overlay / "install"))

    def apply(self) -> float:
        """Apply the overlay; the time."""
        self.cluster.kubectl("apply", "-k", str(self.overlay))
        return time.time()

    def deploy(self) -> None:
        """Bring the stable version up where there was nothing."""
        self.install()
        self.apply()
        self.wait("Healthy")

    def start(self, candidate: str) -> float:
        """Release a version by applying it; the time."""
        self.set_images(model=candidate)
        return self.apply()

    def back_to_stable(self) -> None:
        """As a person ends a release: git and the cluster ask for the first stable version again."""
        self.set_images(model=self.images.stable)
        self.apply()
        self.wait("Healthy")

    def argo(self, *arguments: str) -> str:
        """`kubectl argo rollouts`."""
        command, *rest = arguments
        return self.cluster.kubectl("argo", "rollouts", command, self.name, *rest)

    def canari(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """`canari release ...` in the namespace."""
        ran = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, timeout=2 * PATIENCE)
        assert ran.returncode in codes, f"{arguments}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "canari", "release", *arguments, "--namespace", self.cluster.namespace]

    # What the cluster says.

    def rollout(self) -> dict[str, Any]:
        return self.cluster.get(ARGO, "Rollout", self.name)

    def status(self) -> tuple[str | None, str]:
        """Phase and message; phase None until the controller has seen what was applied."""
        rollout = self.rollout()
        status = rollout.get("status", {})
        if status.get("observedGeneration") != str(rollout["metadata"]["generation"]):
            return None, "not seen yet"
        return status.get("phase"), status.get("message", "")

    def wait(self, phase: str, seconds: float = PATIENCE, message: str = "") -> float:
        """Wait for a phase, and a part of its message; the time. Fails at once where Healthy cannot come any more."""

        def enough(status: tuple[str | None, str]) -> bool:
            if status[0] == phase and message in status[1]:
                return True
            if phase == "Healthy":
                self._check_under_way(status)
            return False

        wait_for(self.status, enough, f"{phase} {message} of {self.name}", seconds)
        return time.time()

    def wait_weight(self, weight: int, seconds: float = PATIENCE) -> float:
        """Wait until both routes give the canary a weight; the time. Fails at once where it cannot come any more."""

        def enough(weights: dict[str, int]) -> bool:
            if set(weights.values()) == {weight}:
                return True
            if weight:
                self._check_under_way(self.status())
            return False

        wait_for(self.weights, enough, f"weight {weight} of {self.name}", seconds, every=0.2)
        return time.time()

    def wait_inconclusive(self, seconds: float = PATIENCE) -> float:
        """Wait until an inconclusive verdict pauses the release; the time."""
        wait_for(
            lambda: [c["reason"] for c in self.rollout()["status"].get("pauseConditions") or ()],
            lambda reasons: "InconclusiveAnalysisRun" in reasons,
            f"an inconclusive verdict on {self.name}",
            seconds,
        )
        return time.time()

    def _check_under_way(self, status: tuple[str | None, str]) -> None:
        ended = status[0] == "Degraded" or "Inconclusive" in status[1]
        assert not ended, f"{self.name}: {status}; the last verdict: {self.verdict()}"

    def verdict(self) -> dict[str, str]:
        """What the last gate published."""
        found: dict[str, str] = self.cluster.get("v1", "ConfigMap", f"{self.name}-verdict").get("data") or {}
        return {key: value for key, value in found.items() if key != "verdict"}

    def weights(self) -> dict[str, int]:
        """The canary's weight on each protocol's route, in percent."""
        found = {}
        for protocol, kind in _ROUTES.items():
            name = self.name if protocol == "rest" else f"{self.name}-grpc"
            backends = self.cluster.get(GATEWAY, kind, name)["spec"]["rules"][0]["backendRefs"]
            found[protocol] = next(b["weight"] for b in backends if b["name"].endswith("-canary"))
        return found

    def hashes(self) -> tuple[str, str]:
        """Pod template hashes of the stable version and of the newest."""
        status = self.rollout()["status"]
        return status["stableRS"], status["currentPodHash"]

    def pods(self, pod_hash: str) -> list[dict[str, Any]]:
        """The live pods of a version."""
        selector = f"app.kubernetes.io/name={self.name},rollouts-pod-template-hash={pod_hash}"
        return [p for p in self.cluster.list("v1", "Pod", selector) if not p["metadata"].get("deletionTimestamp")]

    def restarts_and_ready(self, pod_hash: str) -> tuple[int, int]:
        """Of a version's live pods: how often their servers were restarted, and how many are ready."""
        statuses = [status for pod in self.pods(pod_hash) for status in pod["status"].get("containerStatuses", [])]
        return sum(s["restartCount"] for s in statuses), sum(s["ready"] for s in statuses)

    def replicas(self) -> int:
        """How many stable pods the autoscaler asks for."""
        return int(self.rollout()["spec"]["replicas"])

    def usage(self) -> str:
        """CPU and memory of the busiest live pod, as metrics-server last saw it; waits until it has seen all of them."""
        selector = f"app.kubernetes.io/name={self.name}"
        found = wait_for(
            lambda: self.cluster.list("metrics.k8s.io/v1beta1", "PodMetrics", selector),
            lambda pods: len(pods) >= self.replicas(),
            "the pods' resource metrics",
        )
        used = [container["usage"] for pod in found for container in pod["containers"]]
        cpu, memory = (max(parse_quantity(u[what]) for u in used) for what in ("cpu", "memory"))  # type: ignore[no-untyped-call]
        return f"{1000 * cpu:.0f} mCPU, {memory / 2**20:.0f} MiB"

    def stable_load(self) -> float:
        """The CPU that the stable pods use together, as metrics-server last saw it, in requests of one pod."""
        stable, _ = self.hashes()
        pods = self.pods(stable)
        names = {pod["metadata"]["name"] for pod in pods}
        found = wait_for(
            lambda: [m for m in self.cluster.list("metrics.k8s.io/v1beta1", "PodMetrics") if m["metadata"]["name"] in names],
            lambda metrics: len(metrics) == len(names),
            "the stable pods' resource metrics",
        )
        used = sum(parse_quantity(c["usage"]["cpu"]) for pod in found for c in pod["containers"])  # type: ignore[no-untyped-call]
        asked = parse_quantity(pods[0]["spec"]["containers"][0]["resources"]["requests"]["cpu"])  # type: ignore[no-untyped-call]
        return float(used / asked)

    def running_gates(self) -> list[str]:
        """The names of the gate's running pods."""
        pods = self.cluster.list("v1", "Pod", f"app.kubernetes.io/name={self.name}-gate")
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]

    def analysis_runs(self) -> list[dict[str, Any]]:
        """Those of this Rollout's, the oldest first."""
        mine = [r for r in self.cluster.list(ARGO, "AnalysisRun") if r["metadata"]["name"].startswith(f"{self.name}-")]
        return sorted(mine, key=lambda r: str(r["metadata"]["creationTimestamp"]))

    def gate_ended(self) -> float:
        """When the last gate's Job ended."""
        jobs = [j for j in self.cluster.list("batch/v1", "Job") if j["metadata"]["name"] and _end(j)]
        return max(_end(j) for j in jobs)

    @staticmethod
    def settle(moment: float) -> None:
        """Wait until a time in seconds since 1970, for whatever might still come."""
        time.sleep(max(0.0, moment - time.time()))

    # Who calls.

    @contextmanager
    def callers(self, **plan: Any) -> Iterator[Callers]:
        recording = self._folder / f"calls-{time.monotonic_ns()}.ndjson"
        plan = {"gateway": self.cluster.gateway, "rest_host": self.rest_host, "grpc_host": self.grpc_host, **plan}
        with call(Plan(recording=str(recording), **plan)) as callers:
            yield callers

    def burst(self, count: int, weight: int) -> Account:
        """Many requests over both protocols as fast as they are answered, as long as the canary has this weight."""
        with self.callers(count=count, in_flight=6) as callers:
            until = time.time()
            while callers.running and set(self.weights().values()) == {weight}:
                until = time.time()
                time.sleep(0.2)
            return callers.stop().since(0, until)


def _named(name: str, top: str) -> dict[str, Any]:
    """What k8s/components/name asks of an overlay."""
    options = {"disableNameSuffixHash": True, "annotations": {"config.kubernetes.io/local-config": "true"}}
    generator = {"name": "model", "literals": [f"name={name}"], "options": options}
    return {"configMapGenerator": [generator], "components": [f"{top}/components/name"]}


def _end(job: dict[str, Any]) -> float:
    conditions = job.get("status", {}).get("conditions", [])
    ended = [c for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"]
    return max((seconds(c["lastTransitionTime"]) for c in ended), default=0.0)


def seconds(moment: str) -> float:
    """A Kubernetes time in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
