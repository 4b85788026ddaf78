"""The versions that a Rollout still knows, and what came of each: from its ReplicaSets and the recorded gates."""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from canari.errors import CanariError
from canari.release import verdicts
from canari.release.objects import EARLIER_REVISIONS
from canari.release.state import Objects, describe, model_name, template_image
from canari.release.undoing import left_by_undo

Fate: TypeAlias = Literal["stable", "under way", "was stable", "undone", "rejected", "aborted", "unknown"]


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One version."""

    revision: int
    earlier_revisions: tuple[int, ...]  # the same version's, before it was released again
    model: str | None
    image: str  # empty where its ReplicaSet is gone
    hash: str
    created: str  # ISO 8601; empty where its ReplicaSet is gone
    gates: tuple[verdicts.Gate, ...]
    fate: Fate


def history(seen: Objects) -> list[Revision]:
    """Every version that the Rollout's ReplicaSets or the recorded gates know, the newest first."""
    gates = seen.gates
    kept = {rs.hash: rs for rs in seen.replica_sets if rs.belongs_to(seen.rollout)}
    revisions = []
    for pod_hash in dict.fromkeys([*kept, *(h for gate in gates for h in (gate.stable, gate.release))]):
        replica_set = kept.get(pod_hash)
        own = tuple(gate for gate in gates if gate.release == pod_hash)
        earlier = replica_set.metadata.annotations.get(EARLIER_REVISIONS, "") if replica_set else ""
        revisions.append(
            Revision(
                revision=replica_set.revision if replica_set else max((gate.revision or 0 for gate in own), default=0),
                earlier_revisions=tuple(sorted((int(part) for part in earlier.split(",") if part.isdecimal()), reverse=True)),
                model=model_name(gates, pod_hash),
                image=template_image(replica_set.spec.template) if replica_set else "",
                hash=pod_hash,
                created=replica_set.metadata.creation_timestamp if replica_set else "",
                gates=own,
                fate=_fate(seen, pod_hash, own),
            )
        )
    return sorted(revisions, key=lambda revision: -revision.revision)


def write_reports(seen: Objects, folder: Path) -> list[Path]:
    """Write the gates' reports that are still kept as `EXPERIMENT.html`; returns the files."""
    kept = seen.verdict_map.binary_data if seen.verdict_map else {}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for gate in seen.gates:
            if (page := verdicts.report(kept, gate)) is not None:
                file = folder / f"{gate.experiment}.html"
                file.write_bytes(page)
                written.append(file)
    except OSError as error:
        raise CanariError(f"{folder}: reports cannot be written: {error.strerror}") from None
    return written


def _fate(seen: Objects, pod_hash: str, own: tuple[verdicts.Gate, ...]) -> Fate:
    status = seen.rollout.status
    if pod_hash == status.stable_hash:
        return "stable"
    if pod_hash == status.current_pod_hash:
        return "aborted" if describe(seen).phase in ("aborted", "degraded") else "under way"
    if pod_hash in left_by_undo(seen):
        return "undone"
    if any(gate.stable == pod_hash for gate in seen.gates):
        return "was stable"
    return "rejected" if own and own[-1].outcome == "fail" else "unknown"
