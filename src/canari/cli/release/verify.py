"""`canari release verify`: who answers at the gateway."""

from pathlib import Path

import click
import msgspec

from canari.cli.release.options import MODEL, cluster_options, console, find_release
from canari.errors import ExitCode
from canari.release.verifying import ENVIRONMENT, parse_address
from canari.release.verifying import verify as verify_release
from canari.release.view_answers import verification


@click.command()
@MODEL
@cluster_options
@click.option(
    "--gateway", metavar="HOST:PORT", help=f"Where the gateway listens [default: ${ENVIRONMENT}, or as the Gateway says]."
)
@click.option("--requests", type=click.IntRange(1), default=400, show_default=True, help="Over each protocol.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate authority of a gateway with TLS."
)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def verify(
    model: str | None,
    namespace: str | None,
    context: str | None,
    kubeconfig: Path | None,
    gateway: str | None,
    requests: int,
    ca: Path | None,
    as_json: bool,
) -> int:
    """Ask through the gateway, over REST and gRPC, which versions answer, and compare their shares with the routes' weights.

    The requests are marked as synthetic. Exits with 0 where every request was answered, in the shares that the weights ask for,
    10 where not, 11 where the weights changed meanwhile.
    """
    cluster, name = find_release(model, namespace, context, kubeconfig)
    found = verify_release(cluster, name, requests=requests, gateway=parse_address(gateway) if gateway else None, authority=ca)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        console().print(verification(found))
    if found.moved:
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK if all(answers.right for answers in found.answers) else ExitCode.FAILED
