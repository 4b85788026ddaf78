"""`canari release undo`: back to the version that was stable before."""

from pathlib import Path

import click

from canari.cli.release.options import MODEL, TIMEOUT, cluster_options, exit_code, find_release, watch_and_show
from canari.release.undoing import find_undo, run_undo


@click.command()
@MODEL
@cluster_options
@TIMEOUT
@click.option("--no-watch", is_flag=True, help="Return once the cluster has been told.")
def undo(
    model: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, timeout: float | None, no_watch: bool
) -> int:
    """Go back to the last version that passed: in the middle of a release to the stable one, else to the one before it.

    Never to a version that a gate rejected. Each further undo goes one version further back. Exits with 0 where every caller is
    on that version.
    """
    cluster, name = find_release(model, namespace, context, kubeconfig)
    plan, seen = find_undo(cluster, name)
    run_undo(cluster, plan, seen)
    click.echo(f"{cluster.namespace}/{plan.rollout}: back to {plan.shown} ({plan.image})")
    code = 0
    if not no_watch:
        code = exit_code(watch_and_show(cluster, plan.rollout, wanted=plan.to, timeout=timeout))
    click.echo(
        "git still names the version that was left: revert that commit (git revert), so that the overlay names "
        f"{plan.image} as `model` again, or the next apply brings it back"
    )
    return code
