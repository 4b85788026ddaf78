"""The generator's way to send the same kind of request thousands of times a second, with Locust's parts.

Locust's own client builds each request anew: it parses the URL, merges the headers three times, keeps cookies for redirects.
That is most of what a request costs the generator, and none of it changes from one request to the next.
"""

# ruff: noqa: I001 - Locust first: it patches what the others import
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ErrorResponse, FastHttpSession, FastResponse, LocustBadStatusCode
from locust.exception import CatchResponseError

import errno
import time
from collections.abc import Callable, Mapping
from typing import Any

from geventhttpclient.response import HTTPSocketPoolResponse
from geventhttpclient.url import URL

_BAD_STATUS = 400
_BLOCK = 2**16
_PEEK = 2  # socket.MSG_PEEK


class Connections:
    """Kept connections to one server: the one used last is used first. Nothing but their user limits how many are open."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._idle: list[Any] = []

    def get(self) -> Any:
        """An idle connection that the server has not closed meanwhile, or a new one; raises what connecting raises."""
        while self._idle:
            kept = self._idle.pop()
            try:
                kept._sock.recv(1, _PEEK)  # the plain socket under gevent's, which does not block
            except BlockingIOError:
                return kept
            except OSError:
                pass
            kept.close()
        return self._connect()

    def return_socket(self, connection: Any) -> None:
        """Keep one whose answer was whole; geventhttpclient's response calls this."""
        self._idle.append(connection)

    def release_socket(self, connection: Any) -> None:
        """Close one that cannot be used again; likewise."""
        connection.close()


class Endpoint:
    """One path of a session's host that bodies are posted to: the request's head is built once.

    It has the session's connections' settings, and headers, and fires its request event. It keeps no cookies: each request
    is another caller's.
    """

    def __init__(self, session: FastHttpSession, path: str, headers: Mapping[str, str]) -> None:
        self._session = session
        self._path = path
        self._url = f"{session.base_url}{path}"
        url = URL(self._url)
        client = session.client.clientpool.get_client(url)
        own = {"Authorization": session.auth_header} if session.auth_header else {}
        every = {"Accept-Encoding": "gzip, deflate, br", **session.client.default_headers, **own, **headers}
        head = client._build_request("POST", url.quoted_uri, b"", every)
        self._head = head.removesuffix("0\r\n\r\n").encode("latin-1")  # ends with "Content-Length: "
        self._connections = Connections(client._connection_pool._create_socket)

    def post(self, body: bytes, check: Callable[[bytes], object]) -> None:
        """Send `body`, wait for the whole answer, and fire Locust's request event once.

        An answer of 400 or more is a failure, and any other for which `check` raises ValueError.
        """
        started, clock = time.time(), time.perf_counter()
        error: BaseException | None = None
        content = b""
        try:
            response = FastResponse(self._exchange(body))
            content = response.content
        except FAILURE_EXCEPTIONS as failed:
            response, error = ErrorResponse(None, failed), failed  # type: ignore[arg-type]
        else:
            if response.status_code >= _BAD_STATUS:
                error = LocustBadStatusCode(self._url, code=response.status_code)
            else:
                try:
                    check(content)
                except ValueError as wrong:
                    error = CatchResponseError(str(wrong))
        self._session.request_event.fire(
            request_type="POST",
            name=self._path,
            response_time=(time.perf_counter() - clock) * 1e3,
            response_length=len(content),
            response=response,
            context={},
            exception=error,
            start_time=started,
            url=self._url,
        )

    def _exchange(self, body: bytes) -> HTTPSocketPoolResponse:
        connection = self._connections.get()
        try:
            connection.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.EPIPE):
                connection.close()
                raise
            # The server may have answered before it closed: too large, too many.
        except BaseException:
            connection.close()
            raise
        pool: Any = self._connections
        return HTTPSocketPoolResponse(connection, pool, method="POST", block_size=_BLOCK)
