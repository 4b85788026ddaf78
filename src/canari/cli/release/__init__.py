"""`canari release`: releases on a cluster; one file a command."""

import click

from canari.cli.lazy import LazyGroup

_COMMANDS = {
    "gate": "canari.cli.release.gate:gate",
    "history": "canari.cli.release.history:history",
    "restore": "canari.cli.release.restore:restore",
    "start": "canari.cli.release.start:start",
    "status": "canari.cli.release.status:status",
    "undo": "canari.cli.release.undo:undo",
    "verify": "canari.cli.release.verify:verify",
    "watch": "canari.cli.release.watch:watch",
}


@click.group(cls=LazyGroup, members=_COMMANDS)
def release() -> None:
    """Release a model version on Kubernetes, watch it, undo it."""
