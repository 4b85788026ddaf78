"""`canari release status`: how a release stands, on one screen."""

from pathlib import Path

import click
import msgspec

from canari.cli.release.options import MODEL, cluster_options, console, find_release
from canari.release.view import screen
from canari.release.watching import look


@click.command()
@MODEL
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def status(model: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, as_json: bool) -> None:
    """Show a release: versions, weights, step, pods, verdicts so far, and what a person may do next.

    MODEL is the Rollout's name; it may be left out where the namespace has only one.
    """
    release = look(*find_release(model, namespace, context, kubeconfig))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(release)))
    else:
        console().print(screen(release))
