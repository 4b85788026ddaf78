"""`canari show NAME:VERSION`: one model's signature, origin and proof."""

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from canari import store
from canari.signature import Input, Signature


@click.command()
@click.argument("tag", metavar="NAME:VERSION")
def show(tag: str) -> None:
    """Show what a model takes, what it answers, where it comes from and how it was proved."""
    signature = store.get(tag).signature
    console = Console()
    source = signature.source
    console.print(f"[bold]{signature.tag}[/]  {escape(source.model_class)}, {source.language} {source.version}")
    console.print(f"file sha256 {source.sha256}" + (f", written {source.created}" if source.created else ""))
    if source.packages:
        console.print("with " + ", ".join(f"{name} {version}" for name, version in source.packages.items()))
    console.print(_proof(signature))
    inputs = Table("input", "kind", "unit", "values", "missing", box=None, pad_edge=False)
    for column in signature.inputs:
        missing = "yes" if column.missing else "no"
        inputs.add_row(escape(column.name), column.kind, escape(column.unit or ""), escape(_values(column)), missing)
    console.print(inputs)
    outputs = Table("output", "kind", "labels", box=None, pad_edge=False)
    for output in signature.outputs:
        outputs.add_row(escape(output.name), output.kind, escape(", ".join(output.labels)))
    console.print(outputs)
    if source.metrics:
        console.print("training metrics: " + ", ".join(f"{escape(name)} {value:.4g}" for name, value in source.metrics.items()))


def _values(column: Input) -> str:
    if column.range is not None:
        return f"{column.range[0]:g} to {column.range[1]:g}"
    if column.shares and column.levels:
        return ", ".join(f"{level} ({share:.0%})" for level, share in zip(column.levels, column.shares, strict=True))
    return ", ".join(column.levels)


def _proof(signature: Signature) -> str:
    proof = signature.proof
    if proof is None:
        return "[bold red]UNPROVED[/]: its predictions were never compared with the source's own"
    ties = f", {proof.ties} ties that the source drew at random" if proof.ties else ""
    return (
        f"proved on {proof.rows} rows ({proof.probes} of them probes): worst difference {proof.worst:.1e}, "
        f"independent evaluator {proof.worst_evaluator:.1e}, limit {proof.tolerance:g}{ties}"
    )
