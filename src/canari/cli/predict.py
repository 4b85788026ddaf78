"""`canari predict`: score a CSV file with a model of the store."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from canari import store
from canari.errors import CanariError, UsageError
from canari.runtime.onnx import OnnxRuntime
from canari.runtime.tabular import read_csv, write_csv


@click.command()
@click.argument("tag", metavar="NAME:VERSION")
@click.argument("rows", metavar="ROWS.csv", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--out", metavar="OUT.csv", type=click.Path(path_type=Path, allow_dash=True), default="-", help="Default: standard output."
)
def predict(tag: str, rows: Path, out: Path) -> None:
    """Predict each row of a CSV file (- is standard input).

    The header names the columns, in any order; others are ignored. OUT.csv gets one line a row, in the same order.
    """
    model = store.get(tag)
    runtime = OnnxRuntime(model.signature, model.onnx)
    with _reading(rows) as lines:
        table = read_csv(lines, model.signature.inputs, str(rows))
    if not model.signature.proved:
        click.echo(f"canari: warning: {tag} is UNPROVED: its predictions were never compared with its source's own", err=True)
    if table.ignored:
        click.echo(f"canari: warning: ignored {', '.join(map(repr, table.ignored))}: no inputs of {tag}", err=True)
    predictions = runtime.predict(table.feeds)
    with _writing(out) as file:
        write_csv(file, model.signature.outputs, predictions)


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield open(sys.stdin.fileno(), encoding="utf-8", newline="", closefd=False)  # noqa: SIM115  not ours to close
        return
    try:
        file = path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    """The file appears whole or not at all; what is no ordinary file (a pipe, /dev/stdout) is written to as it is."""
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                yield file  # type: ignore[misc]
                file.close()
                mask = os.umask(0)
                os.umask(mask)
                Path(file.name).chmod(0o666 & ~mask)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CanariError(f"{path}: {error.strerror}") from None
