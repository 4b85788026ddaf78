"""`canari import`: bring a fitted model into the store, proved."""

from pathlib import Path

import click

from canari.intake.importer import Imported, import_file
from canari.signature import Input, Output


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The model's name; by default the one that the file gives itself, or the file's name.")
@click.option("--version", help="The model's version; by default the first 12 digits of the file's SHA-256.")
@click.option("--object", "object_name", metavar="NAME", help="Which object of an .RData is the model, where it holds several.")
@click.option("--unproved", is_flag=True, help="Accept a model without check rows; it is marked as unproved wherever it appears.")
@click.option("--trust", is_flag=True, help="The file is mine: read it even where reading runs code that is in it.")
def import_(file: Path, name: str | None, version: str | None, object_name: str | None, *, unproved: bool, trust: bool) -> None:
    """Translate the model in FILE to ONNX, prove that it predicts the same, and store it as NAME:VERSION.

    FILE is an .rds, best one that save_model() of the R package canari has written, an .RData with a model in it, or a
    scikit-learn pipeline.
    """
    imported = import_file(file, name=name, version=version, object_name=object_name, unproved=unproved, trust=trust)
    for line in _result(imported):
        click.echo(line)
    if not imported.created:
        return
    for warning in imported.warnings:
        click.echo(f"warning: {warning}", err=True)
    if imported.before is not None:
        for change in imported.breaking:
            click.echo(f"warning: breaks callers of {imported.before.tag}: {change}", err=True)


def _result(imported: Imported) -> list[str]:
    signature = imported.model.signature
    source, proof = signature.source, signature.proof
    lines = [
        f"{signature.tag}  {'imported' if imported.created else 'was there already, from the same file; nothing changed'}",
        f"  class    {source.model_class} of {source.language} {source.version}",
        f"  inputs   {', '.join(map(_input, signature.inputs))}",
        f"  outputs  {', '.join(map(_output, signature.outputs))}",
    ]
    if proof is None:
        return [*lines, "  proof    NONE: UNPROVED"]
    worst = f"worst difference {proof.worst:.1g}, limit {proof.tolerance:.0e}".replace("e-0", "e-")
    ties = f", {proof.ties} ties that {source.language} drew at random" if proof.ties else ""
    return [*lines, f"  proof    {proof.rows - proof.probes} + {proof.probes} rows (given + probes), {worst}{ties}"]


def _input(column: Input) -> str:
    what = f"{len(column.levels)} levels" if column.levels else column.kind
    return f"{column.name} ({what}{', ' + column.unit if column.unit else ''})"


def _output(output: Output) -> str:
    labels = f" of {', '.join(output.labels)}" if output.labels else ""
    return f"{output.name} ({output.kind}{labels})"
