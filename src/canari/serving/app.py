"""The application: which path answers what, and what every answer has in common, whatever brings the requests."""

import logging
import traceback
from urllib.parse import unquote

import msgspec

from canari.errors import CanariError
from canari.runtime import Runtime
from canari.serving.asgi import answer_asgi
from canari.serving.http import UNKNOWN, Answer, Application, Handler, HttpError, Receive, Request, Route, Scope, Send
from canari.serving.oip_rest import OipRest
from canari.serving.openapi import openapi
from canari.serving.page import page
from canari.serving.predict import Predict
from canari.serving.queue import Queue
from canari.serving.settings import Settings
from canari.serving.telemetry import Telemetry

log = logging.getLogger("canari.serving")

_PATHS = ("/predict", "/signature", "/openapi.json", "/metrics", "/livez", "/readyz", "/healthz", "/v2")


class App:
    """One model's answers to HTTP requests.

    `fallback` answers the paths that are not the model's; without one they are 404. `ready` turns false when `drain` is
    called: the health routes then say so, and every answer asks its caller to close the connection.
    """

    # Larger requests are answered by a thread, so that the small ones, a millisecond's work at most, need not wait for them.
    SMALL_BYTES = 32 * 2**10

    def __init__(
        self, runtime: Runtime, settings: Settings | None = None, bento: str | None = None, fallback: Application | None = None
    ) -> None:
        signature = runtime.signature
        self.runtime = runtime
        self.settings = settings = settings or Settings.from_environment()
        self.bento = bento
        self.fallback = fallback
        self.ready = True
        self.telemetry = telemetry = Telemetry(signature, settings, bento)
        self.metrics = telemetry.metrics
        self.queue = queue = Queue(runtime, self.metrics, settings.answer_timeout)
        self.metrics.watch(queued=queue.lengths, in_flight=queue.in_flight, lines_dropped=lambda: telemetry.lines_dropped)
        self.held_bytes = 0  # of bodies that have come, and are not answered
        self.headers = [(b"x-canari-model", signature.name.encode()), (b"x-canari-version", signature.version.encode())]
        if bento is not None:
            self.headers.append((b"x-canari-bento", bento.encode()))
        if not signature.proved:
            self.headers.append((b"x-canari-unproved", b"true"))
        # `proof` is there even when it is null, so that nobody overlooks an unproved model.
        described = {"proof": None, **msgspec.to_builtins(signature)}
        self._routes = {
            "/predict": Route("/predict", {"POST": Predict(runtime, settings, bento)}, predicts=True),
            "/signature": Route("/signature", _get(_constant(described))),
            "/openapi.json": Route("/openapi.json", _get(_constant(openapi(signature, settings)))),
            "/metrics": Route("/metrics", _get(self._metrics)),
            "/livez": Route("/livez", _get(_constant({"live": True}))),
            "/readyz": Route("/readyz", _get(self._readiness)),
            "/healthz": Route("/healthz", _get(self._readiness)),
        }
        if settings.page:
            shown = page(signature, docs=fallback is not None)
            self._routes["/"] = Route("/", _get(lambda _request: shown))
        oip = OipRest(runtime, bento, settings, is_ready=lambda: self.ready)
        for path, (template, method, handler) in oip.routes().items():
            self._routes[path] = Route(template, _get(handler) if method == "GET" else {method: handler}, method == "POST")

    def drain(self) -> None:
        """Say from now on that the server is going away; requests are still answered."""
        self.ready = False

    def close(self) -> None:
        """Let go of the model, and write out what is known of the requests."""
        self.queue.close()
        self.runtime.close()
        self.telemetry.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI calls it."""
        await answer_asgi(self, scope, receive, send)

    def route(self, target: str) -> Route | None:
        """What answers a request's target, its path with or without a query; None where that is not the model's to answer.

        A path of the model's that there is not is `UNKNOWN`.
        """
        route = self._routes.get(target)
        if route is None:
            path = unquote(target.partition("?")[0])
            route = self._routes.get(path)
            if route is None and (self.fallback is None or self.owns(path)):
                return UNKNOWN
        return route

    def owns(self, path: str) -> bool:
        """Whether a path is the model's to answer, if only by saying that there is no such model."""
        return path in self._routes or path.startswith("/v2/")

    def answer(self, route: Route, request: Request) -> Answer:
        """The answer to one request, whatever happens."""
        try:
            return self._handler(route, request)(request)
        except HttpError as error:
            return error.answer()
        except Exception as error:  # noqa: BLE001  the caller gets an answer whatever happens
            log_failure(error)
            return Answer(b'{"error":"the server failed to answer; its log says where"}', 500)

    def _handler(self, route: Route, request: Request) -> Handler:
        if route is UNKNOWN:
            raise HttpError(404, self._not_found(request.path))
        handler = route.methods.get(request.method)
        if handler is None:
            allowed = ", ".join(route.methods)
            raise HttpError(405, f"{route.template} takes {allowed}, came {request.method[:20]}", ((b"allow", allowed.encode()),))
        return handler

    def _not_found(self, path: str) -> str:
        if path.startswith("/v2/models/"):
            return f"no such model, version or action here: this server serves {self.runtime.signature.tag}"
        return f"no such path; there is {', '.join(_PATHS)}"

    def _metrics(self, request: Request) -> Answer:
        text, content_type = self.metrics.exposition(request.headers.get(b"accept", b"").decode("latin-1"))
        return Answer(text, content_type=content_type)

    def _readiness(self, _request: Request) -> Answer:
        return Answer(b'{"ready":true}') if self.ready else Answer(b'{"ready":false}', 503)


def log_failure(error: Exception) -> None:
    """Log where an error arose and of which type, without its message, which may quote a caller's values."""
    if isinstance(error, CanariError):
        log.error("%s", error)
        return
    trace = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s in\n%s", type(error).__name__, trace.rstrip())


def _get(handler: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler}


def _constant(content: object) -> Handler:
    answer = Answer(msgspec.json.encode(content))
    return lambda _request: answer
