"""What the commands about a release in a cluster have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.live import Live

from canari.cli.number import POSITIVE
from canari.release.cluster import Access, Cluster, connect
from canari.release.kubectl import is_overlay, rendered_rollout
from canari.release.overlay import Overlay
from canari.release.state import Release
from canari.release.view import lines, screen
from canari.release.watching import EXIT_CODES, Outcome, watch

F = TypeVar("F", bound=Callable[..., Any])

NAMESPACE = "models"
_LOG_WIDTH = 200

_OPTIONS = (
    click.option(
        "--namespace", "-n", metavar="NAMESPACE", help=f"Where the Rollout is [default: the overlay's, or {NAMESPACE}]."
    ),
    click.option("--context", metavar="NAME", help="Of the kubeconfig; else its current one."),
    click.option("--kubeconfig", type=click.Path(path_type=Path), help="Else as kubectl: $KUBECONFIG or ~/.kube/config."),
)

OVERLAY = click.argument("overlay", metavar="OVERLAY", type=click.Path(path_type=Path))
MODEL = click.argument("model", metavar="[MODEL|OVERLAY]", required=False)
TIMEOUT = click.option("--timeout", type=POSITIVE, metavar="SECONDS", help="Give up watching after that.")


def cluster_options(command: F) -> F:
    """The options that say which cluster, and where in it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def console() -> Console:
    """The terminal; where the output is none, one that is wide enough for a file or a log."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_LOG_WIDTH)


def find_release(
    model: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None
) -> tuple[Cluster, str | None]:
    """The cluster and the Rollout's name, from a model's name or an overlay's folder; no name where none was given."""
    access = Access(kubeconfig, context)
    if model is not None and is_overlay(Path(model)):
        rollout = rendered_rollout(Path(model))
        return connect(access, namespace or rollout.metadata.namespace or NAMESPACE), rollout.name
    return connect(access, namespace or NAMESPACE), model


def watch_and_show(cluster: Cluster, name: str, *, wanted: str = "", timeout: float | None = None, wait: bool = False) -> Outcome:
    """Watch until the end: one screen that is kept up to date, or the changes as lines where the output is no terminal."""
    terminal = console()
    before: Release | None = None

    if not terminal.is_terminal:

        def say(release: Release) -> None:
            nonlocal before
            for line in lines(before, release):
                click.echo(line)
            before = release

        outcome = watch(cluster, name, wanted=wanted, timeout=timeout, wait=wait, seen=say, troubled=complain)
    else:
        with Live(console=terminal, auto_refresh=False, transient=False) as live:
            outcome = watch(
                cluster,
                name,
                wanted=wanted,
                timeout=timeout,
                wait=wait,
                seen=lambda release: live.update(screen(release), refresh=True),
                troubled=terminal.print,
            )
    click.echo(outcome.sentence)
    return outcome


def complain(text: str) -> None:
    """Something that the person should know and that stops nothing."""
    click.echo(f"canari: {text}", err=True)


def exit_code(outcome: Outcome) -> int:
    """What the command exits with."""
    return EXIT_CODES[outcome.ending]


def follow_up(outcome: Outcome, overlay: Overlay) -> None:
    """Say what git should learn of how a release ended."""
    match outcome.ending:
        case "promoted":
            click.echo(f"{overlay.file} names it as stable too: commit it")
        case "aborted" | "degraded":
            click.echo(
                f"{overlay.file} still names the version that failed: `canari release undo {overlay.folder}`, and take the file "
                "back (git checkout, or git revert where it is committed)"
            )
        case "undone" | "replaced":
            click.echo(f"{overlay.file} names a version that the cluster no longer asks for: see `canari release status`")
