"""One call ends in a whole answer or a reason, whatever the server does."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from canari.gate.http import LARGEST_ANSWER, NoAnswerError, call

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that hands each connection, its request read, to a function."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(behave: Callable[[socket.socket], None]) -> str:
        def accept() -> None:
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        behave(connection)
            except OSError:  # closed by the test's end, or by the client
                pass

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x"

    yield serve
    listening.close()


def test_an_answer_is_whole(serve: Serve) -> None:
    body = b"x" * 3_000_000
    answer = call(
        serve(lambda c: c.sendall(b"HTTP/1.1 418 No\r\nX-Canari: 1\r\nContent-Length: 3000000\r\n\r\n" + body)), timeout=20
    )
    assert (answer.status, answer.headers["x-canari"], answer.body) == (418, "1", body)


def test_a_body_is_posted_as_json(serve: Serve) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    assert call(serve(behave), body=b"[]", timeout=20).body == b"ok"


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")


@pytest.mark.parametrize(
    ("behave", "says"),
    [
        (lambda c: None, "connection closed"),
        (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "Incomplete"),
        (lambda c: c.sendall(b"SSH-2.0-OpenSSH\r\n"), "HTTPParseError"),
        (lambda c: threading.Event().wait(3), "no whole answer within 0.2 s"),
        (endless, f"larger than {LARGEST_ANSWER // 2**20} MiB"),
    ],
)
def test_anything_else_is_a_reason(serve: Serve, behave: Callable[[socket.socket], None], says: str) -> None:
    with pytest.raises(NoAnswerError, match=says):
        call(serve(behave), timeout=20 if behave is endless else 0.2)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/", "http://127.0.0.1:99999/", "http://[::1/"])
def test_nobody_there_is_a_reason(url: str) -> None:
    with pytest.raises(NoAnswerError):
        call(url, timeout=20)
