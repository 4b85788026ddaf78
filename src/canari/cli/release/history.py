"""`canari release history`: the versions that a Rollout knows, and what came of each."""

from pathlib import Path

import click
import msgspec

from canari.cli.release.options import MODEL, cluster_options, console, find_release
from canari.release.past import history as read_history
from canari.release.past import write_reports
from canari.release.state import observe
from canari.release.view import past


@click.command()
@MODEL
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="For a program; with every gate's whole verdict.")
@click.option(
    "--reports", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write the gates' reports there."
)
def history(
    model: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, as_json: bool, reports: Path | None
) -> None:
    """Show the versions of a Rollout: revision, image, when, each gate's verdict, and what came of it."""
    seen = observe(*find_release(model, namespace, context, kubeconfig))
    revisions = read_history(seen)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(revisions)))
    else:
        console().print(past(revisions))
    if reports is not None:
        files = write_reports(seen, reports)
        for file in files:
            click.echo(str(file), err=as_json)
        if not files:
            click.echo("no gate's report is kept", err=True)
