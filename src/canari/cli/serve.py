"""`canari serve`: one model over HTTP and gRPC, from the store or out of a bento."""

from functools import partial

import click

from canari import store
from canari.errors import UsageError
from canari.serving.app import App
from canari.serving.mounted import load_bento
from canari.serving.server import serve as serve_until_stopped
from canari.serving.warmup import warm


@click.command()
@click.argument("tag", metavar="NAME:VERSION", required=False)
@click.option(
    "--bento", metavar="TAG_OR_DIRECTORY", help="Serve the model of a built bento instead, with the bento's own endpoints."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="0 takes a free one.")
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0 takes a free one.")
def serve(tag: str | None, bento: str | None, host: str, http_port: int, grpc_port: int) -> None:
    """Serve a model over HTTP and gRPC until SIGTERM or Ctrl-C."""
    if (tag is None) == (bento is None):
        raise UsageError("expected NAME:VERSION or --bento TAG_OR_DIRECTORY, one of the two")
    load = partial(load_bento, bento) if bento else lambda: App(warm(store.get(str(tag))))
    serve_until_stopped(load, host, http_port, grpc_port, partial(_announce, bento))


def _announce(bento: str | None, app: App, url: str, grpc_address: str) -> None:
    signature = app.runtime.signature
    if not signature.proved:
        click.secho(f"{signature.tag} is UNPROVED: its predictions were never compared with its source's own", fg="red", err=True)
    origin = f" from bento {bento}" if bento else ""
    click.echo(f"serving {signature.tag}{origin} on {url} and, over gRPC, on {grpc_address}")
