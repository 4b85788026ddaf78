"""`canari release watch`: a release, live, until it is decided."""

from pathlib import Path

import click

from canari.cli.release.options import MODEL, TIMEOUT, cluster_options, exit_code, find_release, watch_and_show


@click.command()
@MODEL
@cluster_options
@TIMEOUT
@click.option("--wait", is_flag=True, help="Go on watching through an inconclusive gate, until a person has decided.")
def watch(
    model: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, timeout: float | None, wait: bool
) -> int:
    """Watch a release until it is decided; watching changes nothing, and the release does not need it.

    Exits with 0 where the version was promoted, 10 where it was aborted, undone or replaced, 11 where a gate was inconclusive
    and a person must decide, 1 where SECONDS were over first.
    """
    cluster, name = find_release(model, namespace, context, kubeconfig)
    name = name or cluster.rollout().name
    return exit_code(watch_and_show(cluster, name, timeout=timeout, wait=wait))
