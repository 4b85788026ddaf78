"""The application as ASGI: how `bentoml serve` brings its requests. `canari serve` has a quicker door, protocol.py."""

import asyncio
from typing import TYPE_CHECKING

from canari.serving.exchange import Exchange
from canari.serving.http import UNKNOWN, Answer, HttpError, Message, Receive, Request, Route, Scope, Send, too_large

if TYPE_CHECKING:
    from canari.serving.app import App


async def answer_asgi(app: "App", scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, as ASGI calls an application."""
    if scope["type"] != "http":
        await (app.fallback or _without_lifespan)(scope, receive, send)
        return
    route = app.route(scope["path"])
    if route is None and app.fallback is not None:
        await app.fallback(scope, receive, _with_headers(app, send))
        return
    exchange = _AsgiExchange(app, route or UNKNOWN)
    headers = dict(scope["headers"])
    request = Request(scope["method"], scope["path"], headers, b"", scope.get("query_string", b""))
    try:
        if request.method == "POST":
            body = await _read_body(headers, receive, app.settings.max_body)
            request = request._replace(body=body)
    except HttpError as error:
        exchange.decline(request, error)
    except _ClientGoneError:
        return
    else:
        exchange.begin(request)
    answer = await exchange.answered
    own = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", exchange.id),
        *app.headers,
        *answer.headers,
        *(() if app.ready else ((b"connection", b"close"),)),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": own})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})


class _AsgiExchange(Exchange):
    __slots__ = ("answered",)

    def __init__(self, app: "App", route: Route) -> None:
        super().__init__(app, route)
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def gone(self) -> bool:
        return self.answered.done()

    def send(self, answer: Answer) -> None:
        if not self.answered.done():
            self.answered.set_result(answer)


class _ClientGoneError(Exception):
    """The caller closed the connection before the request was whole."""


async def _read_body(headers: dict[bytes, bytes], receive: Receive, most: int) -> bytes:
    """The request's body; raises `HttpError` 413 beyond `most` bytes, without keeping more than that."""
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > most:
        raise too_large(most)
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_large(most)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _with_headers(app: "App", send: Send) -> Send:
    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *app.headers]}
        await send(message)

    return send_named


async def _without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """What there is to do besides answering requests: nothing at start and end, and no websockets."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
