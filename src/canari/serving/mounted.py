"""The model inside a BentoML service: the application that a service class mounts, and a built bento served by canari."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match

from canari.errors import CanariError, UsageError
from canari.model import load_model
from canari.runtime import Runtime
from canari.serving.app import App
from canari.serving.http import Receive, Scope, Send
from canari.serving.oip_grpc import GrpcServer
from canari.serving.settings import Settings
from canari.serving.warmup import warm

_GRACE_SECONDS = 20


class _ModelPaths(BaseRoute):
    """Matches the paths that are the model's."""

    def __init__(self, owns: Callable[[str], bool]) -> None:
        self._owns = owns

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Full or none, as Starlette asks."""
        return Match.FULL if self._owns(scope["path"]) else Match.NONE, {}


class ModelApp(Starlette):
    """An ASGI application to mount in a `@bentoml.service` class.

    It is a Starlette application because BentoML asks only those which paths they answer: another would hide BentoML's own
    (/docs.json). Under `bentoml serve` it brings its gRPC server with it (`start`, `stop`). Under `canari serve --bento` the
    process already answers for the model, in front of BentoML: `adopt` hands it over, and starting and stopping do nothing.
    """

    def __init__(self, grpc_port: int = 3001, host: str = "0.0.0.0") -> None:  # noqa: S104  a pod listens on its own address
        super().__init__(routes=[_ModelPaths(lambda path: self._app is not None and self._app.owns(path))])
        self._grpc_address = f"{host}:{grpc_port}"
        self._grpc: GrpcServer | None = None
        self._app: App | None = None

    @property
    def ready(self) -> bool:
        """Whether requests are welcome."""
        return self._app is not None and self._app.ready

    @property
    def runtime(self) -> Runtime:
        """The model, for endpoints of one's own."""
        if self._app is None:
            raise CanariError("the model is not loaded: call `start` in a method decorated with @bentoml.on_startup")
        return self._app.runtime

    @property
    def metrics(self) -> str:
        """The counters in Prometheus's text format."""
        return self._app.metrics.text().decode() if self._app else ""

    async def start(self, model_directory: str | Path, instance: object = None) -> None:
        """Load the model in a directory of BentoML's model store and serve it over gRPC, too.

        `instance` is the service class's own, which knows the bento that it came out of.
        """
        if self._app is None:
            app = App(warm(load_model(Path(model_directory))), bento=_tag(getattr(instance, "bento_service", None)))
            self._grpc = GrpcServer(self._grpc_address, app.settings)
            await self._grpc.start(app)
            self._app = app

    async def stop(self) -> None:
        """Let gRPC calls under way finish."""
        if self._grpc is not None and self._app is not None:
            self._app.drain()
            await self._grpc.drain()
            await self._grpc.stop(_GRACE_SECONDS)
            self._app.close()

    def adopt(self, app: App) -> None:
        """Answer with an application that serves already."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI calls it."""
        if self._app is None:
            raise CanariError("the model is not loaded yet")
        await self._app(scope, receive, send)


def load_bento(tag_or_directory: str, settings: Settings) -> App:
    """The model of a built bento, with the bento's own service behind it for the paths that are not the model's.

    Raises `UsageError` where there is no such bento, `CanariError` where its service cannot be imported or mounts no `ModelApp`.
    """
    directory = Path(tag_or_directory)
    try:
        if not directory.is_dir():
            service: Any = bentoml.load(bentoml.bentos.get(tag_or_directory))
        elif (directory / "bento.yaml").is_file():
            service = bentoml.load(str(directory.resolve()))
        else:
            raise UsageError(f"{directory} is no built bento: it holds no bento.yaml")
    except (bentoml.exceptions.NotFound, ValueError):
        raise UsageError(
            f"no bento {tag_or_directory}, neither in the store nor a folder; `bentoml list` shows what is there"
        ) from None
    except bentoml.exceptions.BentoMLException as error:
        raise CanariError(f"bento {tag_or_directory}: {str(error).partition(chr(10))[0]}") from None
    mounted = next((app for app, *_ in service.mount_apps if isinstance(app, ModelApp)), None)
    stored = next((m for m in (model.stored for model in service.models) if m is not None and m.info.module == "canari"), None)
    if mounted is None or stored is None:
        raise CanariError(
            f"bento {tag_or_directory}: its service {service.name} mounts no canari model (see canari.serving.mounted.ModelApp)"
        )
    app = App(warm(load_model(Path(stored.path))), settings, bento=_tag(service), fallback=service.to_asgi())
    mounted.adopt(app)
    return app


def _tag(service: Any) -> str | None:
    """NAME:VERSION of the bento that a service came out of; None where it was not built."""
    bento = getattr(service, "bento", None)
    return None if bento is None else str(bento.tag)
