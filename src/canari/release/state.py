"""How a release stands, told from the cluster's objects: versions, weights, step, phase and why, gates, and what a person may do.

The phases are Argo Rollouts' own (utils/rollout/rolloututil.go, `GetRolloutPhase`); a pause is told apart by its reason.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from canari.gate.verdict import Outcome
from canari.release import verdicts
from canari.release.cluster import (
    ANALYSIS_RUN,
    CONFIG_MAP,
    EXPERIMENT,
    GRPC_ROUTE,
    HTTP_ROUTE,
    POD,
    REPLICA_SET,
    Cluster,
    Kind,
)
from canari.release.objects import (
    GATEWAY_PLUGIN,
    AnalysisRun,
    Canary,
    ConfigMap,
    ContainerStatus,
    Experiment,
    Owner,
    Pod,
    ReplicaSet,
    Rollout,
    Route,
)

Phase: TypeAlias = Literal[
    "healthy",  # the version that is wanted is stable and has all callers
    "progressing",
    "pausing",  # a planned pause, which ends by itself
    "waiting",  # a planned pause that a person ends
    "inconclusive",  # a gate could not decide: a person does
    "stopped",  # `spec.paused`: a person stopped it
    "aborted",  # all callers are on the stable version
    "degraded",
]

_DIGEST_SHOWN = 12
_ABORTED = re.compile(r"^RolloutAborted: Rollout aborted update to revision \d+:?\s*")
_RUNNING = ("", "Pending", "Running")
_ENDED_BADLY = ("Failed", "Error")
_INCONCLUSIVE = ("InconclusiveAnalysisRun", "InconclusiveExperiment")
_PROBLEM_SHOWN = 200
_QUIET = ("ContainerCreating", "PodInitializing")


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the cluster saw."""

    rollout: Rollout
    replica_sets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    analysis_runs: tuple[AnalysisRun, ...] = ()
    http_routes: dict[str, Route | None] = {}  # by the name that the Rollout gives; None where there is none
    grpc_routes: dict[str, Route | None] = {}
    verdict_map: ConfigMap | None = None

    @property
    def gates(self) -> list[verdicts.Gate]:
        """The gates that are recorded, oldest first."""
        return verdicts.history(self.verdict_map.binary_data) if self.verdict_map else []

    def replica_set(self, pod_hash: str) -> ReplicaSet | None:
        """The Rollout's ReplicaSet of a version, where it is still kept."""
        return next((rs for rs in self.replica_sets if rs.hash == pod_hash and rs.belongs_to(self.rollout)), None)


class PodState(msgspec.Struct, frozen=True, kw_only=True):
    """One pod."""

    name: str
    ready: bool
    restarts: int
    problem: str  # why it is not ready, in the cluster's words; empty where nothing is known


class VersionState(msgspec.Struct, frozen=True, kw_only=True):
    """One version in the cluster."""

    role: Literal["stable", "candidate", "former"]
    image: str
    model: str | None  # NAME:VERSION where a gate said so
    hash: str
    revision: int
    pods: tuple[PodState, ...]

    @property
    def shown(self) -> str:
        """How a person tells it from others."""
        return self.model or short(self.image)


class RouteState(msgspec.Struct, frozen=True, kw_only=True):
    """Where one route sends its callers, in percent as it stands in the route; None where the route is not there."""

    kind: str
    name: str
    hostnames: tuple[str, ...]
    stable: float | None
    candidate: float | None


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """One gate of the release."""

    experiment: str
    step: int | None  # from 1
    outcome: Outcome | Literal["running", "error"]
    why: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """How a release stands."""

    name: str
    namespace: str
    phase: Phase
    why: str
    wanted: str  # hash of the version that the Rollout asks for; empty until Argo Rollouts has seen the newest change
    stable: str
    step: int  # steps that are done
    steps: tuple[str, ...]
    versions: tuple[VersionState, ...]
    gate_pods: tuple[PodState, ...]
    routes: tuple[RouteState, ...]
    gates: tuple[GateState, ...]
    next: tuple[str, ...]  # commands, where a person must decide

    def version(self, role: str) -> VersionState | None:
        """The version in a role, if there is one."""
        return next((version for version in self.versions if version.role == role), None)

    @property
    def where(self) -> str:
        """The step, in words."""
        if self.step < len(self.steps):
            return f"step {self.step + 1} of {len(self.steps)}: {self.steps[self.step]}"
        return f"all {len(self.steps)} steps are done" if self.steps else "no steps"


def observe(cluster: Cluster, name: str | None = None) -> Objects:
    """Read everything that a release is told from; raises `CanariError` where there is no such Rollout, or no permission."""
    rollout = cluster.rollout(name)
    experiments = [e for e in cluster.list(EXPERIMENT) if e.belongs_to(rollout)]
    runs = [run for run in cluster.list(ANALYSIS_RUN) if any(run.belongs_to(owner) for owner in (rollout, *experiments))]
    # By owner, not by label: the gate's fresh pods have labels of their own, so that no Service selects them.
    replica_sets = [rs for rs in cluster.list(REPLICA_SET) if any(rs.belongs_to(owner) for owner in (rollout, *experiments))]
    owners = {owner.metadata.uid for owner in replica_sets}
    pods = [
        pod for pod in cluster.list(POD) if any(o.uid in owners or _is_job_of(runs, o) for o in pod.metadata.owner_references)
    ]
    http_routes, grpc_routes = find_routes(cluster, rollout)
    return Objects(
        rollout=rollout,
        replica_sets=tuple(replica_sets),
        pods=tuple(pods),
        experiments=tuple(experiments),
        analysis_runs=tuple(runs),
        http_routes=http_routes,
        grpc_routes=grpc_routes,
        verdict_map=cluster.find(CONFIG_MAP, verdicts.name(rollout.name)),
    )


def describe(seen: Objects) -> Release:
    """Tell how the release stands from what was seen."""
    rollout, status = seen.rollout, seen.rollout.status
    phase, why = _phase(seen)
    steps = tuple(step_in_words(step) for step in rollout.spec.strategy.canary.steps)
    done = len(steps) if status.current_step_index is None else min(status.current_step_index, len(steps))
    return Release(
        name=rollout.name,
        namespace=rollout.metadata.namespace,
        phase=phase,
        why=why,
        wanted=status.current_pod_hash if _is_observed(rollout) else "",
        stable=status.stable_hash,
        step=done,
        steps=steps,
        versions=_versions(seen),
        gate_pods=_gate_pods(seen),
        routes=(
            *_route_states("HTTPRoute", seen.http_routes, rollout.spec.strategy.canary),
            *_route_states("GRPCRoute", seen.grpc_routes, rollout.spec.strategy.canary),
        ),
        gates=_gates(seen),
        next=_next(phase, rollout),
    )


def template_image(template: dict[str, Any]) -> str:
    """The image of a pod template's first container, the server's; empty where there is none."""
    containers = template.get("spec", {}).get("containers") or [{}]
    return str(containers[0].get("image", ""))


def short(image: str) -> str:
    """An image as a person reads it: the last part of its name, and the beginning of its digest."""
    name, _, digest = image.partition("@")
    return f"{name.rpartition('/')[2]}@{digest.removeprefix('sha256:')[:_DIGEST_SHOWN]}" if digest else name


def step_in_words(step: dict[str, Any]) -> str:
    """One step of a Rollout's canary strategy."""
    kind, value = next(iter(step.items()), ("nothing", None))
    match kind:
        case "setWeight":
            return f"{value} % of the callers on the candidate"
        case "pause":
            duration = (value or {}).get("duration")
            return "wait for a person" if duration is None else f"wait {duration}"
        case "experiment":
            names = ", ".join(str(analysis.get("name")) for analysis in (value or {}).get("analyses") or [])
            return f"experiment ({names}): fresh pods of both versions side by side" if names else "experiment"
        case "analysis":
            names = ", ".join(str(template.get("templateName")) for template in (value or {}).get("templates") or [])
            return f"analysis ({names})"
        case "setCanaryScale":
            return "size of the candidate: " + ", ".join(f"{key} {setting}" for key, setting in (value or {}).items())
        case _:
            return str(kind)


def model_name(gates: Sequence[verdicts.Gate], pod_hash: str) -> str | None:
    """The model that a version is, as the servers told the newest gate that measured it."""
    for gate in reversed(gates):
        for measured, version in ((gate.release, gate.verdict.candidate), (gate.stable, gate.verdict.baseline)):
            if measured == pod_hash and version.version is not None:
                return version.name
    return None


def find_routes(cluster: Cluster, rollout: Rollout) -> tuple[dict[str, Route | None], dict[str, Route | None]]:
    """The HTTPRoutes and the GRPCRoutes that a Rollout's traffic routing names; None where one is not there."""
    return _routes(cluster, rollout, HTTP_ROUTE, "httpRoute"), _routes(cluster, rollout, GRPC_ROUTE, "grpcRoute")


def _routes(cluster: Cluster, rollout: Rollout, kind: Kind[Route], key: str) -> dict[str, Route | None]:
    """Those that the plugin's settings name: one under `httpRoute`, or several under `httpRoutes`."""
    plugin = (rollout.spec.strategy.canary.traffic_routing.get("plugins") or {}).get(GATEWAY_PLUGIN) or {}
    names = [str(route["name"]) for route in plugin.get(f"{key}s") or []] + [str(name) for name in [plugin.get(key)] if name]
    namespace = plugin.get("namespace") or cluster.namespace
    return {name: cluster.find(kind, name, namespace) for name in names}


def _is_job_of(runs: Sequence[AnalysisRun], owner: Owner) -> bool:
    """Whether a pod's owner is the Job of an analysis, which Argo Rollouts names `UID-OF-THE-RUN.METRIC.NUMBER`."""
    return owner.kind == "Job" and owner.name.partition(".")[0] in {run.metadata.uid for run in runs}


def _is_observed(rollout: Rollout) -> bool:
    """Whether the status is of the newest `spec`; as in rolloututil.go, a status that is no number is taken for so."""
    seen = rollout.status.observed_generation
    return bool(rollout.status.phase) and (not seen.isdecimal() or int(seen) >= rollout.metadata.generation)


def _phase(seen: Objects) -> tuple[Phase, str]:
    rollout, status = seen.rollout, seen.rollout.status
    if not _is_observed(rollout):
        return "progressing", "Argo Rollouts has not seen the newest change yet"
    if status.controller_pause and not status.pause_conditions:
        return "progressing", "a person has let it go on"
    match status.phase:
        case "Healthy":
            return "healthy", ""
        case "Degraded" if status.abort or status.message.startswith("RolloutAborted"):
            return "aborted", _why_aborted(seen)
        case "Degraded":
            return "degraded", status.message
        case "Paused" if rollout.spec.paused:
            return "stopped", "spec.paused is set"
        case "Paused" if any(condition.reason in _INCONCLUSIVE for condition in status.pause_conditions):
            return "inconclusive", _why_inconclusive(seen)
        case "Paused":
            steps, index = rollout.spec.strategy.canary.steps, status.current_step_index or 0
            pause = (steps[index].get("pause") if index < len(steps) else None) or {}
            since = status.pause_conditions[0].start_time if status.pause_conditions else ""
            planned = pause.get("duration") is not None
            return ("pausing", f"since {since}") if planned else ("waiting", f"the plan waits for a person, since {since}")
        case _:
            return "progressing", status.message


def _why_aborted(seen: Objects) -> str:
    if (gate := _last_gate(seen, "fail")) is not None:
        return f"the gate {_at_step(gate)}failed: {gate.why}"
    said = _ABORTED.sub("", seen.rollout.status.message).rstrip(".")
    found = _reasons(seen, _ENDED_BADLY) or [said]
    if found == [""]:
        return "by a person: no gate failed and no deadline passed"
    wanted = seen.rollout.status.current_pod_hash
    problems = [pod.problem for pod in (*_pods(seen, wanted), *_gate_pods(seen)) if pod.problem]
    return "; ".join(dict.fromkeys([*found, *problems]))


def _why_inconclusive(seen: Objects) -> str:
    if (gate := _last_gate(seen, "inconclusive")) is not None:
        return f"the gate {_at_step(gate)}could not decide: {gate.why}"
    found = _reasons(seen, ("Inconclusive",))
    return "; ".join(found) or "an analysis could not decide, and there is no verdict of a gate of this release"


def _last_gate(seen: Objects, outcome: Outcome) -> verdicts.Gate | None:
    """The newest gate of the release, where that was its outcome."""
    gates = _own_gates(seen, seen.rollout.status.current_pod_hash)
    return gates[-1] if gates and gates[-1].outcome == outcome else None


def _own_gates(seen: Objects, pod_hash: str) -> list[verdicts.Gate]:
    """The recorded gates of a version's newest release: the same version released again has a higher revision."""
    gates = [gate for gate in seen.gates if gate.release == pod_hash]
    newest = seen.rollout.revision if pod_hash == seen.rollout.status.current_pod_hash else None
    if newest is not None and (current := [gate for gate in gates if gate.revision in (None, newest)]):
        return current
    return gates if seen.rollout.status.stable_hash == pod_hash else []


def _own_experiments(seen: Objects) -> list[Experiment]:
    """The experiments of the release that is under way, or of the last one."""
    rollout = seen.rollout
    return [e for e in seen.experiments if e.hash == rollout.status.current_pod_hash and e.revision == rollout.revision]


def _at_step(gate: verdicts.Gate) -> str:
    return "" if gate.step is None else f"at step {gate.step + 1} "


def _reasons(seen: Objects, phases: Sequence[str]) -> list[str]:
    """What the analyses and experiments of this release say that ended in one of `phases`."""
    rollout = seen.rollout
    current = _own_experiments(seen)
    runs = [
        run
        for run in seen.analysis_runs
        if any(run.belongs_to(experiment) for experiment in current)
        or (run.belongs_to(rollout) and run.hash == rollout.status.current_pod_hash and run.revision in (0, rollout.revision))
    ]
    reasons = [
        f"analysis {run.name}: {_metrics(run, phases) or run.status.message or run.status.phase}"
        for run in runs
        if run.status.phase in phases
    ]
    if not reasons:
        reasons = [f"experiment {e.name}: {e.status.message or e.status.phase}" for e in current if e.status.phase in phases]
    return reasons


def _metrics(run: AnalysisRun, phases: Sequence[str]) -> str:
    said = []
    for metric in run.status.metric_results:
        if metric.phase in phases:
            last = metric.measurements[-1] if metric.measurements else {}
            said.append(f"{metric.name} {metric.phase.lower()}: {metric.message or last.get('message') or 'no reason given'}")
    return ", ".join(said)


def _versions(seen: Objects) -> tuple[VersionState, ...]:
    rollout, gates = seen.rollout, seen.gates
    stable, wanted = rollout.status.stable_hash, rollout.status.current_pod_hash
    versions = []
    for replica_set in sorted(seen.replica_sets, key=lambda rs: -rs.revision):
        if not replica_set.belongs_to(rollout):
            continue
        pods = _pods(seen, replica_set.hash)
        role: Literal["stable", "candidate", "former"] = (
            "stable" if replica_set.hash == stable else "candidate" if replica_set.hash == wanted else "former"
        )
        if role == "former" and not pods:
            continue
        versions.append(
            VersionState(
                role=role,
                image=template_image(replica_set.spec.template),
                model=model_name(gates, replica_set.hash),
                hash=replica_set.hash,
                revision=replica_set.revision,
                pods=pods,
            )
        )
    order = ("stable", "candidate", "former")
    return tuple(sorted(versions, key=lambda version: order.index(version.role)))


def _gate_pods(seen: Objects) -> tuple[PodState, ...]:
    """The fresh pods of the experiment that runs now, and the pod that loads them."""
    running = [e for e in _own_experiments(seen) if e.status.phase in _RUNNING]
    owners = [rs for rs in seen.replica_sets if any(rs.belongs_to(experiment) for experiment in running)]
    runs = [run for run in seen.analysis_runs if any(run.belongs_to(experiment) for experiment in running)]
    return tuple(
        _pod_state(pod)
        for pod in seen.pods
        if pod.status.phase != "Succeeded"
        and (any(pod.belongs_to(rs) for rs in owners) or any(_is_job_of(runs, o) for o in pod.metadata.owner_references))
    )


def _pods(seen: Objects, pod_hash: str) -> tuple[PodState, ...]:
    return tuple(_pod_state(pod) for pod in seen.pods if pod_hash and pod.hash == pod_hash and pod.status.phase != "Succeeded")


def _pod_state(pod: Pod) -> PodState:
    containers = pod.status.container_statuses
    ready = bool(containers) and all(container.ready for container in containers)
    return PodState(
        name=pod.name,
        ready=ready,
        restarts=sum(container.restart_count for container in containers),
        problem="" if ready else _problem(pod),
    )


def _problem(pod: Pod) -> str:
    for container in pod.status.container_statuses:
        if text := _trouble(container):
            return text
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason}: {condition.message}".strip(": ")
    return pod.status.reason


def _trouble(container: ContainerStatus) -> str:
    """Why a container does not run: what it waits for, or how it ended; a crash loop is told by its last end."""
    waiting, ended = container.state.waiting, container.state.terminated or container.last_state.terminated
    if waiting is None and (container.state.terminated is None or container.state.terminated.exit_code == 0):
        return ""
    reason = waiting.reason if waiting else "Terminated"
    if reason in _QUIET:
        return ""
    if ended and (waiting is None or reason == "CrashLoopBackOff"):
        message = f"exit code {ended.exit_code}, {ended.reason}"
    else:
        message = " ".join(waiting.message.split())[:_PROBLEM_SHOWN] if waiting else ""
    return f"{reason}: {message}" if message else reason


def _route_states(kind: str, routes: dict[str, Route | None], canary: Canary) -> list[RouteState]:
    states = []
    for name, route in routes.items():
        stable, candidate = _weights(route, canary) if route else (None, None)
        hostnames = route.spec.hostnames if route else ()
        states.append(RouteState(kind=kind, name=name, hostnames=hostnames, stable=stable, candidate=candidate))
    return states


def _weights(route: Route, canary: Canary) -> tuple[float | None, float | None]:
    """The first rule that names both Services: Argo Rollouts sets the same weights in all of them."""
    for rule in route.spec.rules:
        weights = {backend.name: backend.weight for backend in rule.backend_refs}
        if canary.stable_service in weights and (total := sum(weights.values())):
            return 100 * weights[canary.stable_service] / total, 100 * weights.get(canary.canary_service, 0) / total
    return None, None


def _gates(seen: Objects) -> tuple[GateState, ...]:
    """The gates of the release that is under way, or of the last one: those with a verdict, then one that runs or could not."""
    rollout = seen.rollout
    recorded = _own_gates(seen, rollout.status.current_pod_hash)
    gates = [
        GateState(
            experiment=gate.experiment, step=None if gate.step is None else gate.step + 1, outcome=gate.outcome, why=gate.why
        )
        for gate in recorded
    ]
    told = {gate.experiment for gate in recorded}
    for experiment in _own_experiments(seen):
        if experiment.name in told:
            continue
        number = experiment.name.rpartition("-")[2]
        step = int(number) + 1 if number.isdecimal() else None
        if experiment.status.phase in _RUNNING:
            gates.append(GateState(experiment=experiment.name, step=step, outcome="running", why=""))
        elif experiment.status.phase in _ENDED_BADLY:
            why = "; ".join(_reasons(seen, _ENDED_BADLY)) or experiment.status.message
            gates.append(GateState(experiment=experiment.name, step=step, outcome="error", why=f"no verdict: {why}"))
    return tuple(gates)


def _next(phase: Phase, rollout: Rollout) -> tuple[str, ...]:
    of = f"-n {rollout.metadata.namespace} {rollout.name}"
    match phase:
        case "inconclusive" | "waiting" | "stopped":
            return (f"kubectl argo rollouts promote {of}", f"kubectl argo rollouts abort {of}")
        case "aborted" | "degraded" if rollout.status.current_pod_hash != rollout.status.stable_hash:
            return (f"canari release undo {of}",)
        case _:
            return ()
