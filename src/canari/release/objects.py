"""What is read of the cluster's objects: the fields that a release is told from, named as the API names them."""

from typing import Any

import msgspec

HASH_LABEL = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
EARLIER_REVISIONS = "rollout.argoproj.io/revision-history"
GATEWAY_PLUGIN = "argoproj-labs/gatewayAPI"


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of an object; fields that are not named here are ignored."""


class Owner(Part, frozen=True):
    """What an object belongs to."""

    kind: str
    name: str
    uid: str


class Metadata(Part, frozen=True):
    """Of every object."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()


class Object(Part, frozen=True):
    """An object of the API."""

    metadata: Metadata

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def hash(self) -> str:
        """The hash of the pod template that it was made from, or for."""
        return self.metadata.labels.get(HASH_LABEL, "")

    @property
    def revision(self) -> int:
        """The Rollout's revision that it belongs to; 0 where none is written on it."""
        text = self.metadata.annotations.get(REVISION, "")
        return int(text) if text.isdecimal() else 0

    def belongs_to(self, owner: "Object") -> bool:
        """Whether `owner` is among its owners."""
        return any(reference.uid == owner.metadata.uid for reference in self.metadata.owner_references)


class Canary(Part, frozen=True):
    """`spec.strategy.canary` of a Rollout."""

    stable_service: str = ""
    canary_service: str = ""
    steps: tuple[dict[str, Any], ...] = ()
    traffic_routing: dict[str, Any] = {}


class Strategy(Part, frozen=True):
    """`spec.strategy` of a Rollout."""

    canary: Canary = Canary()


class RolloutSpec(Part, frozen=True):
    """`spec` of a Rollout."""

    template: dict[str, Any]
    replicas: int = 1
    paused: bool = False
    strategy: Strategy = Strategy()


class PauseCondition(Part, frozen=True):
    """Why, and since when, a release is paused."""

    reason: str
    start_time: str


class RolloutStatus(Part, frozen=True):
    """`status` of a Rollout."""

    abort: bool = False
    pause_conditions: tuple[PauseCondition, ...] = ()
    controller_pause: bool = False
    current_pod_hash: str = ""
    current_step_index: int | None = None
    observed_generation: str = ""
    phase: str = ""
    message: str = ""
    stable_hash: str = msgspec.field(name="stableRS", default="")


class Rollout(Object, frozen=True):
    """A Rollout of Argo Rollouts, with the canary strategy."""

    spec: RolloutSpec
    status: RolloutStatus = RolloutStatus()


class ReplicaSetSpec(Part, frozen=True):
    """`spec` of a ReplicaSet."""

    template: dict[str, Any]
    replicas: int = 1


class ReplicaSet(Object, frozen=True):
    """One version's pods; its name is `ROLLOUT-HASH`."""

    spec: ReplicaSetSpec


class Waiting(Part, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Terminated(Part, frozen=True):
    """How a container ended."""

    reason: str = ""
    exit_code: int = 0


class ContainerState(Part, frozen=True):
    """What a container does."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Part, frozen=True):
    """How a container is."""

    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Condition(Part, frozen=True):
    """One of an object's `status.conditions`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatus(Part, frozen=True):
    """`status` of a pod."""

    phase: str = ""
    reason: str = ""
    container_statuses: tuple[ContainerStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Pod(Object, frozen=True):
    """A pod."""

    status: PodStatus = PodStatus()


class MetricResult(Part, frozen=True):
    """What one metric of an analysis found."""

    name: str
    phase: str = ""
    message: str = ""
    measurements: tuple[dict[str, Any], ...] = ()


class AnalysisStatus(Part, frozen=True):
    """`status` of an AnalysisRun."""

    phase: str = ""
    message: str = ""
    metric_results: tuple[MetricResult, ...] = ()


class AnalysisRun(Object, frozen=True):
    """One run of an analysis."""

    status: AnalysisStatus = AnalysisStatus()


class ExperimentStatus(Part, frozen=True):
    """`status` of an Experiment."""

    phase: str = ""
    message: str = ""


class Experiment(Object, frozen=True):
    """One experiment step: the gate's fresh pods."""

    status: ExperimentStatus = ExperimentStatus()


class BackendRef(Part, frozen=True):
    """Where a route sends callers, and which share."""

    name: str
    weight: int = 1


class RouteRule(Part, frozen=True):
    """One rule of a route."""

    backend_refs: tuple[BackendRef, ...] = ()


class ParentRef(Part, frozen=True):
    """The Gateway, and the listener, that a route hangs on."""

    name: str
    namespace: str = ""
    section_name: str = ""
    port: int | None = None


class RouteSpec(Part, frozen=True):
    """`spec` of a route."""

    parent_refs: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()


class Route(Object, frozen=True):
    """An HTTPRoute or a GRPCRoute."""

    spec: RouteSpec


class Listener(Part, frozen=True):
    """One listener of a Gateway."""

    name: str
    port: int
    protocol: str


class GatewaySpec(Part, frozen=True):
    """`spec` of a Gateway."""

    listeners: tuple[Listener, ...] = ()


class GatewayAddress(Part, frozen=True):
    """Where a Gateway is reached."""

    value: str


class GatewayStatus(Part, frozen=True):
    """`status` of a Gateway."""

    addresses: tuple[GatewayAddress, ...] = ()


class Gateway(Object, frozen=True):
    """A Gateway of the Gateway API."""

    spec: GatewaySpec
    status: GatewayStatus = GatewayStatus()


class ConfigMap(Object, frozen=True):
    """A ConfigMap; `binary_data` is base64."""

    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
