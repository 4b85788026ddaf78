"""HTTP/1.1 on a connection: uvicorn's protocol, in which the model's own paths are answered without ASGI.

ASGI would cost a one-row prediction more than the model does: a task, a scope, and two writes, each of which may wake the caller.
Here a request is parsed (by httptools), queued, and answered with one write. Paths that are not the model's go uvicorn's way.
"""

import asyncio
import re
from collections import deque
from time import perf_counter
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from canari.serving.app import App
from canari.serving.exchange import Exchange
from canari.serving.http import UNKNOWN, Answer, HttpError, Request, Route, too_large

# Of a request's line and headers together. What callers and proxies send is a few kB.
_MAX_HEAD: Final = 64 * 2**10

# Of a chunked body, what is not the body itself (sizes, extensions, trailers) may be so many times as long.
_MAX_FRAMING: Final = 8

# So many bodies of the largest size may be in the making at once, on all connections together.
_MAX_BODIES: Final = 8

# After the last answer on a connection, what still comes is read and dropped for so long: a connection that is closed with unread
# data is reset, and the caller may never see the answer.
_LINGER_SECONDS: Final = 2.0

_ASKS_FOR_UPGRADE: Final = (b"upgrade", b"connection", b"http2-settings")

# A name or an address, and a port (RFC 9110, 7.2); may be empty.
_is_host = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:%]*\])(?::\d*)?", re.ASCII).fullmatch

_to_authority = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*").match


_HEAD_TOO_LARGE: Final = HttpError(431, f"the request's headers are larger than {_MAX_HEAD // 2**10} KiB")

# Where trailers go: nobody reads them, and they must not pass for headers.
_NO_TRAILERS: Final = deque[tuple[bytes, bytes]](maxlen=0)


class ModelProtocol(HttpToolsProtocol):
    """One connection. Requests that came together are answered one after the other, in their order.

    uvicorn keeps in `cycle` the newest request that has begun, in `pipeline` those that wait for the ones before them; the
    model's requests are there as `_Exchange`, beside uvicorn's own.
    """

    cycle: Any
    pipeline: Any
    headers: Any

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.model: App = config.app  # type: ignore[assignment]
        # By perf_counter, 0.0 for never: a request is being read, there is nothing to do, the caller does not read,
        # or sends what nobody reads any more, since then.
        self._reading_since = 0.0
        self._idle_since = perf_counter()
        self._stuck_since = 0.0
        self._lingering_since = 0.0
        self._segment = 0  # bytes that came last
        self._length = 0  # of the request that is being read, without those of its first segment, nor, in this, of the last
        self._in_head = False
        self._host = b""  # the last one that was valid
        self._answering: Any = None  # whose turn it is; all others are in `pipeline`, or answered
        self._going_on = False
        self._route: Route | None = None
        self._date: Any = None
        self._ok = b""

    # What the transport says

    def data_received(self, data: bytes) -> None:
        """Parse what came; the parser calls the methods below."""
        if self._lingering_since:
            return
        self._segment = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(HttpError(400, f"this is no HTTP/1.1 request: {error or type(error).__name__}"))
        else:
            if self._reading_since:
                self._length += len(data)
                self._check_length()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection while there is something to answer; the last answer closes it."""
        if self._reading_since:
            self._give_up(HttpError(400, "the request ends before it is whole"))
        if self._lingering_since or (self._answering is None and not self.pipeline):
            return False
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not answered."""
        for cycle in (self._answering, *(cycle for cycle, _ in self.pipeline)):
            if isinstance(cycle, _Exchange):
                cycle.release()
            elif cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self.cycle = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The caller reads more slowly than it asks."""
        self._stuck_since = perf_counter()
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """The caller has read."""
        self._stuck_since = 0.0
        super().resume_writing()
        self._go_on()

    # What the server says

    def shutdown(self) -> None:
        """Close when there is nothing to answer; requests that are being read or answered close with the last answer."""
        if not self._reading_since and self._answering is None and not self.pipeline:
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def sweep(self, now: float) -> None:
        """Close a connection on which nothing moves any more; the server asks each about once a second."""
        read_timeout = self.model.settings.read_timeout
        if _older(self._lingering_since, now, _LINGER_SECONDS):
            self.transport.close()
        elif _older(self._stuck_since, now, read_timeout):
            self.transport.abort()
        elif _older(self._reading_since, now, read_timeout) and not self.flow.read_paused:
            self._give_up(HttpError(408, f"the request did not come whole within {read_timeout:g} seconds"))
        elif _older(self._idle_since, now, self.timeout_keep_alive):
            self.transport.close()

    # What the parser says

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._lingering_since:
            raise _NoMoreError
        self.url = b""
        self.headers = []
        self._reading_since = perf_counter()
        self._idle_since = 0.0
        self._length = -self._segment
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what it means is asked when all are there."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Find out whose request it is."""
        self._in_head = False
        parser = self.parser
        if parser.should_upgrade():
            return
        headers, self.headers = self.headers, _NO_TRAILERS
        named = dict(headers)
        version = parser.get_http_version()
        target = self.url.decode("latin-1")
        if target[0] != "/":
            target = _origin_form(target)
        error = self._objection(version, headers, named)
        self._route = route = self.model.route(target) if error is None else UNKNOWN
        if route is None:
            self._hand_to_uvicorn(headers)
            return
        exchange = self._take_turn(_Exchange(self, route))
        exchange.head_complete(parser.get_method().decode("latin-1"), target, named)
        exchange.keep_alive = version != "1.0" and parser.should_keep_alive()
        if error is not None:
            exchange.give_up(error)
        elif b"expect" in named and version != "1.0":
            exchange.expects_continue()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._route is None:
            super().on_body(body)
        elif not self._lingering_since:
            self.cycle.add(body)

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for those before it."""
        if self.parser.should_upgrade():
            return
        self._reading_since = 0.0
        if self._route is None:
            super().on_message_complete()
        elif not self._lingering_since:
            self.cycle.complete()

    def _take_turn(self, exchange: "_Exchange") -> "_Exchange":
        self.cycle = exchange
        if self._answering is None and not self.pipeline and not self._stuck_since:
            self._answering = exchange
            exchange.current = True
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, None))
        return exchange

    def _objection(self, version: str, headers: list[tuple[bytes, bytes]], named: dict[bytes, bytes]) -> HttpError | None:
        """What is wrong with a request's head, though it can be parsed."""
        if (self._segment > _MAX_HEAD or self._length >= 0) and len(self.url) + _length(headers) > _MAX_HEAD:
            return _HEAD_TOO_LARGE
        if version == "1.1":
            host = named.get(b"host")
            if host is None or (len(named) != len(headers) and sum(name == b"host" for name, _ in headers) > 1):
                return HttpError(400, "this is no HTTP/1.1 request: expected one Host header")
            if host != self._host:
                if not _is_host(host):
                    return HttpError(400, "this is no HTTP/1.1 request: its Host header names no host")
                self._host = host
        elif version != "1.0":
            return HttpError(400, f"expected HTTP/1.1 or HTTP/1.0, came HTTP/{version}")
        if b"transfer-encoding" in named:
            codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
            if codings != [b"chunked"] or version != "1.1":
                return HttpError(400, "the body's Transfer-Encoding is not taken: expected chunked alone, in HTTP/1.1")
        elif b"content-length" in named:
            most = self.model.settings.max_body
            if int(named[b"content-length"]) > most:
                return too_large(most)
        return None

    def _check_length(self) -> None:
        """Give up a request of which too much has come, but neither headers nor body."""
        if self._in_head:
            if self._length > _MAX_HEAD:
                self._give_up(_HEAD_TOO_LARGE)
        elif self._route is not None and self._length > _MAX_HEAD + _MAX_FRAMING * self.cycle.held:
            self._give_up(HttpError(400, "the body's chunks are too small, or their extensions and trailers too long"))

    def _hand_to_uvicorn(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Tell uvicorn what it has missed."""
        url = self.url
        super().on_message_begin()
        self.url = url
        for header in headers:
            super().on_header(*header)
        self.headers = _NO_TRAILERS
        super().on_headers_complete()
        if not self.model.ready:
            self.cycle.keep_alive = False

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request that asks for another protocol, as Java's client does for HTTP/2, once more, without that wish.

        It may be ignored (RFC 9110, 7.8), but the parser takes all that follows the headers for the other protocol.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._give_up(HttpError(405, "this server is no proxy: it does not take CONNECT", ((b"allow", b"GET, HEAD, POST"),)))
            return
        head = [b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _ASKS_FOR_UPGRADE]
        if not self.parser.should_keep_alive():
            head.append(b"connection: close\r\n")
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    # Answers

    @property
    def expected(self) -> bool:
        """Whether requests that have begun follow the one that is answered now."""
        return bool(self.pipeline or self._reading_since)

    def on_response_complete(self) -> None:
        """Go on with the next request. No timer is set, as uvicorn would for each answer: `sweep` looks at idle connections."""
        self.server_state.total_requests += 1
        self._answering = None
        if self.pipeline or self.flow.read_paused or self._lingering_since:
            self._go_on()
        elif not self._reading_since:
            self._idle_since = perf_counter()

    def _go_on(self) -> None:
        """Begin with the requests that wait, while they are answered at once and the caller reads; then read on."""
        if self._stuck_since or self._going_on or self._lingering_since or self.transport.is_closing():
            return
        if self.pipeline:
            self._going_on = True
            while self.pipeline and self._answering is None and not self._stuck_since and not self._lingering_since:
                self._start_asgi_task(*self.pipeline.pop())
            self._going_on = False
            if self.pipeline or self._stuck_since:
                return
        if self.flow.read_paused:
            if self._reading_since:
                self._reading_since = perf_counter()
            self.flow.resume_reading()
        if self._answering is None and not self._reading_since:
            self._idle_since = perf_counter()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin with a request whose turn it is."""
        self._answering = cycle
        if isinstance(cycle, _Exchange):
            cycle.take_turn()
        else:
            super()._start_asgi_task(cycle, app)

    def respond(self, answer: Answer, identifier: bytes, *, body: bool, close: bool) -> None:
        """Write an answer, all of it at once; then close where the caller is told so."""
        if self.server_state.default_headers is not self._date:  # a new one each second
            self._date = self.server_state.default_headers
            self._ok = self._head(200, b"application/json")
        if answer.status == 200 and answer.content_type == b"application/json":
            head = self._ok
        else:
            head = self._head(answer.status, answer.content_type)
        more = [b"%b: %b\r\n" % header for header in answer.headers]
        if close:
            more.append(b"connection: close\r\n")
        self.transport.write(
            b"%bx-request-id: %b\r\ncontent-length: %d\r\n%b\r\n%b"
            % (head, identifier, len(answer.body), b"".join(more) if more else b"", answer.body if body else b"")
        )
        if close:
            self._linger()

    def _head(self, status: int, content_type: bytes) -> bytes:
        named = (*self._date, (b"content-type", content_type), *self.model.headers)
        return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % header for header in named)

    def _linger(self) -> None:
        self._lingering_since = perf_counter()
        self._reading_since = 0.0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _give_up(self, error: HttpError) -> None:
        """Answer a request that cannot be read to its end, after those before it, and read no further."""
        self._reading_since = 0.0
        if self._lingering_since or self.transport.is_closing():
            return
        cycle = self.cycle
        if isinstance(cycle, _Exchange) and not cycle.whole:
            cycle.give_up(error)
        elif cycle is not None and not cycle.response_complete and not isinstance(cycle, _Exchange) and cycle.more_body:
            self.transport.close()  # uvicorn's, in the middle of its body
        else:
            exchange = self._take_turn(_Exchange(self, UNKNOWN))
            exchange.head_complete("", "", {})
            exchange.give_up(error)


class _Exchange(Exchange):
    """A request on a connection, from its headers on; has of uvicorn's cycles what uvicorn asks of them."""

    __slots__ = (
        "_body",
        "_error",
        "_expects",
        "_protocol",
        "_request",
        "current",
        "held",
        "keep_alive",
        "response_complete",
        "whole",
    )

    def __init__(self, protocol: ModelProtocol, route: Route) -> None:
        super().__init__(protocol.model, route)
        self._protocol = protocol
        self._body: bytes | bytearray = b""
        self._error: HttpError | None = None
        self._expects = False  # whether the caller waits for "100 Continue" before it sends the body
        self.held = 0  # bytes of the body that have come
        self.current = False  # whether all requests before it are answered
        self.whole = False  # whether it was read to its end
        self.keep_alive = True
        self.response_complete = False

    @property
    def gone(self) -> bool:
        return self.response_complete or self._protocol.transport.is_closing()

    def head_complete(self, method: str, target: str, headers: dict[bytes, bytes]) -> None:
        """Keep what is known of the request before there is a body."""
        path, _, query = target.partition("?")
        self._request = Request(method, path, headers, b"", query.encode("latin-1"))

    def expects_continue(self) -> None:
        """The caller waits to be told to send the body, which it is when it is this request's turn."""
        self._expects = self._request.headers[b"expect"].lower() == b"100-continue"
        if self.current:
            self._continue()

    def add(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._error is not None:
            return
        app = self.app
        self.held += len(body)
        app.held_bytes += len(body)
        if self.held > app.settings.max_body:
            self.give_up(too_large(app.settings.max_body))
        elif app.held_bytes > _MAX_BODIES * app.settings.max_body:
            error = "the server reads too many large requests at this moment: try again later"
            self.give_up(HttpError(503, error, ((b"retry-after", b"1"),)))
        elif not self._body:
            self._body = body
        else:
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += body

    def complete(self) -> None:
        """The request has come whole."""
        if self._error is None:
            self.whole = True
            if self.current:
                self.take_turn()

    def take_turn(self) -> None:
        """All requests before this one are answered."""
        self.current = True
        if self._error is not None:
            self.decline(self._request, self._error)
        elif self.whole:
            method, path, headers, _, query = self._request
            self.begin(Request(method, path, headers, bytes(self._body), query))
        else:
            self._continue()

    def give_up(self, error: HttpError) -> None:
        """Answer with an error when it is its turn, and read no further."""
        if self._error is None and not self.response_complete:
            self._error = error
            if self.current:
                self.take_turn()

    def send(self, answer: Answer) -> None:
        """Write the answer, and go on with the next request."""
        if self.response_complete:
            return
        self.response_complete = True
        self.release()
        protocol = self._protocol
        if not protocol.transport.is_closing():
            close = not (self.whole and self.keep_alive and (self.app.ready or protocol.expected))
            protocol.respond(answer, self.id, body=self._request.method != "HEAD", close=close)
        protocol.on_response_complete()

    def release(self) -> None:
        """Let go of the body."""
        self.app.held_bytes -= self.held
        self.held = 0
        self._body = b""

    def _continue(self) -> None:
        if self._expects and not self.held:
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class _NoMoreError(Exception):
    """Stops the parser: after the last answer on a connection nothing is a request."""


def _origin_form(target: str) -> str:
    """Path and query of a target in absolute form, which every server takes (RFC 9112, 3.2.2); others are left."""
    authority = _to_authority(target)
    if authority is None:
        return target
    rest = target[authority.end() :]
    return rest if rest.startswith("/") else f"/{rest}"


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def _older(since: float, now: float, seconds: float) -> bool:
    return since > 0.0 and now - since > seconds
