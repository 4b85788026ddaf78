"""`canari models`: what is in the store."""

import click
from rich.console import Console
from rich.table import Table

from canari import store


@click.command()
def models() -> None:
    """List the models on this machine."""
    signatures = store.signatures()
    if not signatures:
        click.echo("no models yet; `canari import FILE` brings one in")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "class", "inputs", "answers", "proof"):
        table.add_column(heading)
    for signature in signatures:
        proof = signature.proof
        table.add_row(
            signature.tag,
            signature.source.model_class,
            str(len(signature.inputs)),
            ", ".join(output.name for output in signature.outputs),
            "[bold red]UNPROVED[/]" if proof is None else f"{proof.rows} rows, worst difference {proof.worst:.1e}",
        )
    Console(soft_wrap=True).print(table)
