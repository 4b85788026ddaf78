"""The ASGI application: which path answers what, and what every answer has in common.

It is raw ASGI because a framework around it costs more than the model does.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import NamedTuple, TypeAlias

import msgspec

from canari.errors import CanariError
from canari.runtime import Runtime
from canari.serving import metrics
from canari.serving.http import (
    Answer,
    Application,
    ClientGoneError,
    Headers,
    HttpError,
    Message,
    Receive,
    Scope,
    Send,
    check_content,
    read_body,
)
from canari.serving.oip_rest import OipRest
from canari.serving.openapi import openapi
from canari.serving.rows import RecordEncoder, RowDecoder

log = logging.getLogger("canari.serving")

# A body up to this size is decoded and predicted at once, in well under a millisecond; a larger one on another thread, so
# that the small ones need not wait for it.
INLINE_BYTES = 32 * 2**10

# A load test marks its requests with this header; they are counted apart.
SYNTHETIC = b"x-canari-synthetic"

Handler: TypeAlias = Callable[[bytes, Headers], Answer]

_PATHS = ("/predict", "/signature", "/openapi.json", "/metrics", "/livez", "/readyz", "/healthz", "/v2")
_UNKNOWN = "unknown"


def is_model_path(path: str) -> bool:
    """Whether a path is the model's to answer, if only by saying that there is no such model."""
    return path in _PATHS or path.startswith("/v2/")


class _Route(NamedTuple):
    """A path's handlers by method; `template` is what metrics call it."""

    template: str
    methods: Mapping[str, Handler]


class App:
    """Answers HTTP requests for one model.

    `fallback` answers the paths that are not the model's; without one they are 404. `ready` turns false when `drain` is
    called: the health routes then say so, and every answer asks its caller to close the connection.
    """

    def __init__(self, runtime: Runtime, fallback: Application | None = None) -> None:
        signature = runtime.signature
        self.runtime = runtime
        self.metrics = metrics.Metrics(signature)
        self.ready = True
        self.pool = ThreadPoolExecutor(1, "canari-batch")
        self._fallback = fallback
        self._rows = RowDecoder(signature.inputs)
        self._records = RecordEncoder(signature)
        self._headers = [
            (b"x-canari-model", signature.name.encode()),
            (b"x-canari-version", signature.version.encode()),
        ]
        if not signature.proved:
            self._headers.append((b"x-canari-unproved", b"true"))
        # `proof` is there even when it is null, so that nobody overlooks an unproved model.
        described = {"proof": None, **msgspec.to_builtins(signature)}
        self._routes = {
            "/predict": _Route("/predict", {"POST": self._predict}),
            "/signature": _Route("/signature", _get(_constant(described))),
            "/openapi.json": _Route("/openapi.json", _get(_constant(openapi(signature)))),
            "/metrics": _Route("/metrics", _get(self._metrics)),
            "/livez": _Route("/livez", _get(_constant({"live": True}))),
            "/readyz": _Route("/readyz", _get(self._readiness)),
            "/healthz": _Route("/healthz", _get(self._readiness)),
        }
        for path, (template, method, handler) in OipRest(runtime, is_ready=lambda: self.ready).routes().items():
            self._routes[path] = _Route(template, _get(handler) if method == "GET" else {method: handler})

    def drain(self) -> None:
        """Say from now on that the server is going away; requests are still answered."""
        self.ready = False
        self._headers.append((b"connection", b"close"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI calls it."""
        if scope["type"] != "http":
            await (self._fallback or _without_lifespan)(scope, receive, send)
            return
        started = perf_counter()
        path, method, headers = scope["path"], scope["method"], dict(scope["headers"])
        route = self._routes.get(path)
        if route is None and self._fallback is not None and not is_model_path(path):
            await self._fallback(scope, receive, self._with_headers(send))
            return
        try:
            handler = self._handler(route, path, method)
            body = await read_body(headers, receive) if method == "POST" else b""
            if len(body) <= INLINE_BYTES:
                answer = handler(body, headers)
            else:
                answer = await asyncio.get_running_loop().run_in_executor(self.pool, handler, body, headers)
        except HttpError as error:
            answer = error.answer()
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001  the caller gets an answer whatever happens
            log_failure(error)
            answer = Answer(b'{"error":"the server failed to answer; its log says where"}', 500)
        length = b"%d" % len(answer.body)
        own = [(b"content-type", answer.content_type), (b"content-length", length), *self._headers, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": own})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
        self.metrics.observe(
            "http",
            _UNKNOWN if route is None else route.template,
            "2xx" if answer.status == 200 else f"{answer.status // 100}xx",
            perf_counter() - started,
            synthetic=SYNTHETIC in headers,
            rows=answer.rows,
        )

    def _handler(self, route: _Route | None, path: str, method: str) -> Handler:
        if route is None:
            raise HttpError(404, self._not_found(path))
        handler = route.methods.get(method)
        if handler is None:
            allowed = ", ".join(route.methods)
            raise HttpError(405, f"{path} takes {allowed}, came {method[:20]}", ((b"allow", allowed.encode()),))
        return handler

    def _not_found(self, path: str) -> str:
        if path.startswith("/v2/models/"):
            return f"no such model, version or action here: this server serves {self.runtime.signature.tag}"
        return f"no such path; there is {', '.join(_PATHS)}"

    def _predict(self, body: bytes, headers: Headers) -> Answer:
        check_content(headers, b"application/json")
        feeds, rows = self._rows.feeds(body)
        return Answer(self._records.encode(self.runtime.predict(feeds)), rows=rows)

    def _metrics(self, _body: bytes, _headers: Headers) -> Answer:
        return Answer(self.metrics.text(), content_type=metrics.CONTENT_TYPE)

    def _readiness(self, _body: bytes, _headers: Headers) -> Answer:
        return Answer(b'{"ready":true}') if self.ready else Answer(b'{"ready":false}', 503)

    def _with_headers(self, send: Send) -> Send:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        return send_named


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
    return lambda _body, _headers: answer


async def _without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """What there is to do besides answering requests: nothing at start and end, and no websockets."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
