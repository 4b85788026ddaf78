"""Undoing a release: back to the version that was stable before, never to one that a gate rejected.

`kubectl argo rollouts undo` takes the revision before the newest, which after one undo is the version that was just left. Here
the gates' records say what was stable when: a gate names the version that the candidate was measured against, and callers were on
that one. What an undo has left is written on the Rollout, so that a second undo goes one version further back.
"""

import copy
import re
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from canari.errors import CanariError
from canari.release.cluster import Cluster, ConflictError
from canari.release.objects import HASH_LABEL, ReplicaSet
from canari.release.state import Objects, model_name, observe, short, template_image

LEFT = "canari/undone"  # annotation
_LEFT = re.compile(r"(?P<hash>[a-z0-9]+)=(?P<revision>\d+)")
_KEPT = 20  # versions that the annotation remembers


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """Where an undo goes, and from where."""

    rollout: str
    to: str  # pod template hash
    shown: str  # the version as a person reads it
    image: str
    left: dict[str, int]  # the versions that an undo has left, this one too, with the Rollout's revision then
    under_way: bool  # in the middle of a release, or after an abort


def plan_undo(seen: Objects) -> Undo:
    """What an undo would do; raises `CanariError` where there is nothing to go back to."""
    rollout, status = seen.rollout, seen.rollout.status
    name, of = rollout.name, f"-n {rollout.metadata.namespace} {rollout.name}"
    if not status.stable_hash:
        raise CanariError(f"Rollout {name} has no stable version yet: there is nothing to go back to")
    left = left_by_undo(seen)
    if status.current_pod_hash != status.stable_hash:
        return _undo_to(seen, status.stable_hash, left, under_way=True)
    target = before(seen, status.stable_hash, left)
    if target is None:
        raise CanariError(
            f"nothing to go back to: no gate of Rollout {name} recorded which version callers were on before this one; see "
            f"`canari release history {of}`, and choose a revision yourself by `kubectl argo rollouts undo {of} --to-revision=N`"
        )
    return _undo_to(seen, target, {**left, status.stable_hash: rollout.revision}, under_way=False)


def left_by_undo(seen: Objects) -> dict[str, int]:
    """The versions that an undo has left, with the Rollout's revision then, but for those that callers came back to since."""
    written = seen.rollout.metadata.annotations.get(LEFT, "")
    left = {found["hash"]: int(found["revision"]) for found in _LEFT.finditer(written)}
    return {pod_hash: revision for pod_hash, revision in left.items() if not _came_back(seen, pod_hash, revision)}


def _came_back(seen: Objects, pod_hash: str, revision: int) -> bool:
    """Whether a version was released again after that revision, and callers were on it then."""
    if pod_hash == seen.rollout.status.stable_hash:
        return True
    gates = seen.gates
    again = [place for place, gate in enumerate(gates) if gate.release == pod_hash and (gate.revision or 0) > revision]
    return bool(again) and any(gate.stable == pod_hash for gate in gates[again[0] :])


def before(seen: Objects, pod_hash: str, left: Container[str]) -> str | None:
    """The version that callers were on before a version, as its newest gate recorded it; none that an undo has left."""
    predecessors = [gate.stable for gate in reversed(seen.gates) if gate.release == pod_hash]
    return next((stable for stable in predecessors if stable != pod_hash and stable not in left), None)


def run_undo(cluster: Cluster, undo: Undo, seen: Objects) -> None:
    """Give the Rollout the version's pod template again; raises `ConflictError` where the release has moved since it was read."""
    rollout, replica_set = seen.rollout, seen.replica_set(undo.to)
    if replica_set is None:
        raise CanariError(f"ReplicaSet {rollout.name}-{undo.to} is gone")
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/generation", "value": rollout.metadata.generation},
        {"op": "test", "path": "/status/stableRS", "value": rollout.status.stable_hash},
        {"op": "replace", "path": "/spec/template", "value": pod_template(replica_set)},
    ]
    if undo.left:
        annotation = f"/metadata/annotations/{LEFT.replace('/', '~1')}"
        operations.append({"op": "add", "path": annotation, "value": write_left(undo.left)})
    try:
        cluster.patch_rollout(rollout.name, operations)
    except ConflictError as error:
        raise ConflictError(f"the release moved on at this very moment: look at it again, then undo ({error})") from None


def write_left(left: Mapping[str, int]) -> str:
    """As the annotation holds it: `HASH=REVISION`, separated by commas, the newest last."""
    return ",".join(f"{pod_hash}={revision}" for pod_hash, revision in list(left.items())[-_KEPT:])


def pod_template(replica_set: ReplicaSet) -> dict[str, Any]:
    """A version's pod template as the Rollout had it: without the hash that Argo Rollouts adds."""
    template = copy.deepcopy(replica_set.spec.template)
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def find_undo(cluster: Cluster, name: str | None) -> tuple[Undo, Objects]:
    """Look at the release and plan the undo."""
    seen = observe(cluster, name)
    return plan_undo(seen), seen


def _undo_to(seen: Objects, pod_hash: str, left: dict[str, int], *, under_way: bool) -> Undo:
    replica_set = seen.replica_set(pod_hash)
    if replica_set is None:
        raise CanariError(
            f"the version before ({model_name(seen.gates, pod_hash) or pod_hash}) is known, but its ReplicaSet "
            f"{seen.rollout.name}-{pod_hash} is gone (revisionHistoryLimit): release its image again, by "
            "`canari release start OVERLAY --image REF`"
        )
    image = template_image(replica_set.spec.template)
    return Undo(
        rollout=seen.rollout.name,
        to=pod_hash,
        shown=model_name(seen.gates, pod_hash) or short(image),
        image=image,
        left=left,
        under_way=under_way,
    )
