"""`canari serve`: one model over HTTP and gRPC, from the store or out of a bento."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from canari import store
from canari.errors import UsageError
from canari.serving.app import App
from canari.serving.server import serve as serve_until_stopped
from canari.serving.settings import Settings
from canari.serving.warmup import warm


def _setting(name: str, metavar: str, help_: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that overrides one of the settings in the environment."""
    return click.option(f"--{name.replace('_', '-')}", name, metavar=metavar, help=f"{help_} [env: CANARI_{name.upper()}]")


@click.command()
@click.argument("tag", metavar="NAME:VERSION", required=False)
@click.option(
    "--bento", metavar="TAG_OR_DIRECTORY", help="Serve the model of a built bento instead, with the bento's own endpoints."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="0 takes a free one.")
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0 takes a free one.")
@_setting("max_body", "BYTES", "Largest request (8388608).")
@_setting("max_rows", "N", "Most rows of a request (10000).")
@_setting("read_timeout", "SECONDS", "From a request's first byte to its last (10).")
@_setting("answer_timeout", "SECONDS", "From its last byte to the answer of a model that takes its time (30).")
@_setting("page", "BOOLEAN", "Whether / is a page to try the model (true).")
@_setting("access_log", "SHARE", "Share of requests with a line in the access log, 0 to 1 (0.01); failures always; 0 is off.")
def serve(tag: str | None, bento: str | None, host: str, http_port: int, grpc_port: int, **given: str | None) -> None:
    """Serve a model over HTTP and gRPC until SIGTERM or Ctrl-C."""
    if (tag is None) == (bento is None):
        raise UsageError("expected NAME:VERSION or --bento TAG_OR_DIRECTORY, one of the two")
    settings = Settings.from_environment().changed({name: text for name, text in given.items() if text is not None}, "--")
    load = partial(_load_bento, bento, settings) if bento else lambda: App(warm(store.get(str(tag))), settings)
    serve_until_stopped(load, settings, host, http_port, grpc_port, partial(_announce, bento))


def _load_bento(bento: str, settings: Settings) -> App:
    from canari.serving.mounted import load_bento  # noqa: PLC0415  BentoML takes longer to import than all the rest

    return load_bento(bento, settings)


def _announce(bento: str | None, app: App, url: str, grpc_address: str) -> None:
    signature = app.runtime.signature
    if not signature.proved:
        click.secho(f"{signature.tag} is UNPROVED: its predictions were never compared with its source's own", fg="red", err=True)
    origin = f" from bento {bento}" if bento else ""
    click.echo(f"serving {signature.tag}{origin} on {url} and, over gRPC, on {grpc_address}")
