"""Rebuilding a release in an empty cluster from git: the stable version first, then the candidate from step 0.

A Rollout's very first revision skips its steps: applying an overlay that names a candidate would give it every caller at once.
"""

from collections.abc import Callable

import msgspec

from canari.errors import CanariError
from canari.release.cluster import ROLLOUT, Cluster
from canari.release.kubectl import apply, find_rollout, is_overlay, render
from canari.release.overlay import Image, Overlay
from canari.release.starting import check_render, stable_image
from canari.release.state import observe, short, template_image

INSTALL = "install"


class Restore(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore will do; nothing is changed yet."""

    cluster: Cluster
    name: str
    overlay: Overlay
    installation: str  # manifests
    stable: str  # manifests, with the stable version in the candidate's place
    candidate: str  # manifests, as git has them; empty where git names one version only
    begun: bool  # by an earlier restore: the stable version is there

    def install(self) -> None:
        """Apply the installation, then the stable version."""
        if self.begun:
            return
        apply(self.installation, self.cluster.access)
        apply(self.stable, self.cluster.access)

    def release(self) -> None:
        """Apply the overlay as git has it: the candidate begins at step 0. The stable version must have its callers by then."""
        apply(self.candidate, self.cluster.access)


def prepare(overlay: Overlay, cluster_of: Callable[[str], Cluster]) -> Restore:
    """Render both versions and look at the cluster; raises `CanariError` where there is a Rollout of that name already."""
    candidate = render(overlay.folder)
    rollout = find_rollout(candidate, overlay.folder)
    check_render(rollout, overlay.model, overlay)
    stable = render(overlay.folder, (overlay.model, overlay.stable))
    check_render(find_rollout(stable, overlay.folder), overlay.stable, overlay)
    if not is_overlay(overlay.folder / INSTALL):
        raise CanariError(f"{overlay.folder / INSTALL}: expected a kustomization with the installation: namespace and routes")
    cluster = cluster_of(rollout.metadata.namespace)
    found = cluster.find(ROLLOUT, rollout.name)
    begun = found is not None
    if found is not None and not _is_begun(cluster, found.name, overlay.stable, template_image(found.spec.template)):
        raise CanariError(
            f"namespace {cluster.namespace} has a Rollout {rollout.name} already, so there is nothing to restore: see "
            f"`canari release status {overlay.folder}`, and release by `canari release start`"
        )
    return Restore(
        cluster=cluster,
        name=rollout.name,
        overlay=overlay,
        installation=render(overlay.folder / INSTALL),
        stable=stable,
        candidate=candidate if overlay.model != overlay.stable else "",
        begun=begun,
    )


def _is_begun(cluster: Cluster, name: str, stable: Image, wanted: str) -> bool:
    """Whether the Rollout is what an interrupted restore leaves: git's stable version alone, with all callers or on its way."""
    seen = observe(cluster, name)
    if wanted != str(stable) or seen.rollout.revision > 1:
        return False
    return not seen.rollout.status.stable_hash or stable_image(seen) == stable


def describe_restore(restore: Restore) -> list[str]:
    """What will be done, a line each."""
    stable, model = restore.overlay.stable, restore.overlay.model
    first = "is there already" if restore.begun else "first"
    lines = [f"stable version {short(str(stable))}: {first}"]
    if restore.candidate:
        lines.append(f"candidate {short(str(model))}: then, from step 0")
    return lines
