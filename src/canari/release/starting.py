"""Starting a release: every check first, then one file and one apply."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from canari.errors import CanariError
from canari.release.cluster import ROLLOUT, Cluster
from canari.release.kubectl import apply, find_rollout, render
from canari.release.objects import Rollout
from canari.release.overlay import Image, Overlay, parse_image
from canari.release.registry import RegistryUnreachableError, check_image
from canari.release.state import Objects, Release, describe, find_routes, observe, short, template_image


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A release that has passed every check, and has changed nothing yet."""

    cluster: Cluster
    name: str
    overlay: Overlay
    image: Image
    stable: Image  # what callers are on now; the image itself at a first deployment
    first: bool

    def run(self) -> None:
        """Write the overlay and apply it; where the cluster refuses it the file is put back as it was."""
        try:
            self.overlay.name_images(self.image, self.stable)
            manifests = render(self.overlay.folder)
            check_render(find_rollout(manifests, self.overlay.folder), self.image, self.overlay)
            apply(manifests, self.cluster.access)
        except BaseException:
            self.overlay.put_back()
            raise

    def settle(self) -> None:
        """After promotion: what callers are on is now the image."""
        self.overlay.name_images(self.image, self.image)


def prepare(
    overlay: Overlay,
    image: Image,
    cluster_of: Callable[[str], Cluster],
    *,
    replace: bool = False,
    insecure_registry: bool = False,
    warn: Callable[[str], None],
) -> Start | None:
    """Check all that can be checked without a change; None where the image is already what every caller is on.

    `cluster_of` connects, given the overlay's namespace. With `replace` a release that is under way or was aborted is replaced.
    Raises `CanariError` with the next step; `warn` is told where the registry cannot be asked from here.
    """
    manifests = render(overlay.folder, (overlay.model, image))
    wanted = find_rollout(manifests, overlay.folder)
    check_render(wanted, image, overlay)
    cluster = cluster_of(wanted.metadata.namespace)
    first = cluster.find(ROLLOUT, wanted.name) is None
    stable = image
    if not first:
        seen = observe(cluster, wanted.name)
        release = describe(seen)
        stable = stable_image(seen)
        if release.phase == "healthy" and stable == image:
            return None
        if release.phase != "healthy" and not replace:
            raise CanariError(_under_way(release))
    check_routes(cluster, wanted, overlay.folder)
    try:
        check_image(image, insecure=insecure_registry)
    except RegistryUnreachableError as error:
        warn(f"whether {image} exists was not checked: {error}")
    apply(manifests, cluster.access, dry_run=True)
    return Start(cluster=cluster, name=wanted.name, overlay=overlay, image=image, stable=stable, first=first)


def stable_image(seen: Objects) -> Image:
    """The image that the stable version runs; raises `CanariError` where it is not named by digest, or no longer known."""
    name = seen.rollout.name
    replica_set = seen.replica_set(seen.rollout.status.stable_hash)
    if replica_set is None:
        raise CanariError(f"Rollout {name} has no stable version yet: see `canari release status`")
    reference = template_image(replica_set.spec.template)
    if "@sha256:" not in reference:
        raise CanariError(
            f"Rollout {name} runs {reference}, which is not named by digest: apply the overlay with that image's digest first"
        )
    return parse_image(reference)


def check_routes(cluster: Cluster, rollout: Rollout, folder: Path) -> None:
    """Return where the routes that the Rollout shares out are there; else raise `CanariError`."""
    for kind, routes in zip(("HTTPRoute", "GRPCRoute"), find_routes(cluster, rollout), strict=True):
        if missing := [name for name, route in routes.items() if route is None]:
            raise CanariError(
                f"{kind} {', '.join(missing)} is not in namespace {cluster.namespace}: the installation comes first, "
                f"`kubectl apply -k {folder / 'install'}`"
            )


def check_render(rollout: Rollout, image: Image, overlay: Overlay) -> None:
    """Return where the server's container runs the image; else raise `CanariError`."""
    if (runs := template_image(rollout.spec.template)) != str(image):
        raise CanariError(
            f"{overlay.file}: with `model` as {short(str(image))} the pods would run {runs}: the server's container is the "
            "Rollout's first, and its image in the base is `model`"
        )


def _under_way(release: Release) -> str:
    of = f"-n {release.namespace} {release.name}"
    candidate = release.version("candidate")
    version = candidate.shown if candidate else "a version"
    match release.phase:
        case "aborted" | "degraded" if candidate:
            return (
                f"the release of {version} was aborted, and the Rollout still asks for it ({release.why}): "
                f"`canari release undo {of}` first, or --replace to release over it"
            )
        case "aborted" | "degraded":
            return f"the Rollout is degraded ({release.why}): see `canari release status {of}`, or --replace to release over it"
        case "inconclusive" | "waiting" | "stopped":
            decide = " or ".join(f"`{command}`" for command in release.next)
            return f"the release of {version} waits for a person ({release.why}): {decide} first, or --replace to release over it"
        case _:
            return (
                f"a release of {version} is under way ({release.where}): `canari release watch {of}` until it has ended, or "
                "--replace to release over it"
            )
