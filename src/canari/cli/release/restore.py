"""`canari release restore`: an empty cluster, back to where git says that the release was."""

from pathlib import Path

import click

from canari.cli.release.options import NAMESPACE, OVERLAY, TIMEOUT, cluster_options, exit_code, watch_and_show
from canari.release.cluster import Access, connect
from canari.release.overlay import Overlay
from canari.release.restoring import describe_restore, prepare


@click.command()
@OVERLAY
@cluster_options
@TIMEOUT
@click.option("--no-watch", is_flag=True, help="Return once the candidate's release has begun. It goes on by itself.")
@click.option("--wait", is_flag=True, help="Go on watching through an inconclusive gate, until a person has decided.")
def restore(
    overlay: Path,
    namespace: str | None,
    context: str | None,
    kubeconfig: Path | None,
    timeout: float | None,
    no_watch: bool,
    wait: bool,
) -> int:
    """Rebuild a release in an empty cluster from OVERLAY: the stable version first, then the candidate from step 0.

    Applies OVERLAY/install and the overlay with `model-stable` in the place of `model`, waits until that version has every
    caller, and applies the overlay as it is. Run again after an interruption it goes on. Exits like `canari release watch`.
    """
    access = Access(kubeconfig, context)
    plan = prepare(Overlay(overlay), lambda rendered: connect(access, namespace or rendered or NAMESPACE))
    for line in describe_restore(plan):
        click.echo(line)
    plan.install()
    stable = watch_and_show(plan.cluster, plan.name, timeout=timeout)
    if stable.ending != "promoted" or not plan.candidate:
        return exit_code(stable)
    plan.release()
    click.echo(f"{overlay} applied: the candidate begins")
    if no_watch:
        return 0
    return exit_code(watch_and_show(plan.cluster, plan.name, timeout=timeout, wait=wait))
