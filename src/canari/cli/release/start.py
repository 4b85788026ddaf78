"""`canari release start`: a new version into an overlay, onto the cluster, and watched."""

from pathlib import Path

import click

from canari.cli.release.options import (
    NAMESPACE,
    OVERLAY,
    TIMEOUT,
    cluster_options,
    complain,
    exit_code,
    follow_up,
    watch_and_show,
)
from canari.release.cluster import Access, connect
from canari.release.overlay import Overlay, parse_image
from canari.release.starting import prepare


@click.command()
@OVERLAY
@click.option("--image", required=True, metavar="REGISTRY/NAME@sha256:...", help="The version to release.")
@cluster_options
@TIMEOUT
@click.option("--replace", is_flag=True, help="Also where a release is under way or was aborted: the newest wins.")
@click.option("--no-watch", is_flag=True, help="Return once the cluster has it. The release goes on by itself.")
@click.option("--wait", is_flag=True, help="Go on watching through an inconclusive gate, until a person has decided.")
@click.option("--insecure-registry", is_flag=True, help="The registry may be asked over plain HTTP.")
def start(
    overlay: Path,
    image: str,
    namespace: str | None,
    context: str | None,
    kubeconfig: Path | None,
    timeout: float | None,
    replace: bool,
    no_watch: bool,
    wait: bool,
    insecure_registry: bool,
) -> int:
    """Release a version: write its digest into OVERLAY, apply the overlay, watch.

    Nothing is changed until everything has been checked: the overlay, the cluster, the Rollout's state, the registry, and the API
    server's own judgement (a dry run). Exits like `canari release watch`.
    """
    wanted = parse_image(image)
    access = Access(kubeconfig, context)
    plan = prepare(
        Overlay(overlay),
        wanted,
        lambda rendered: connect(access, namespace or rendered or NAMESPACE),
        replace=replace,
        insecure_registry=insecure_registry,
        warn=complain,
    )
    if plan is None:
        click.echo(f"{wanted} is what every caller is on: nothing to do")
        return 0
    plan.run()
    click.echo(f"{plan.overlay.file} names {wanted}; applied")
    if no_watch:
        click.echo(f"watch it: canari release watch {overlay}; once it is promoted, name it as `model-stable` too and commit")
        return 0
    outcome = watch_and_show(plan.cluster, plan.name, timeout=timeout, wait=wait)
    if outcome.ending == "promoted":
        plan.settle()
    follow_up(outcome, plan.overlay)
    return exit_code(outcome)
