"""Sends bytes that may be no HTTP, on a few connections at once, and judges what comes back."""

import re
import select
import socket
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

import msgspec

from proofs.http_cases import HttpCase

_REFUSALS = frozenset({400, 404, 405, 406, 408, 413, 414, 415, 431})
_BUSY = frozenset({503, 504})  # what the server answers on purpose when it has too much to do
_MOST_CHARACTERS = 500
_PATIENCE = 20.0

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


class Reply(NamedTuple):
    """One HTTP answer; `head` is its status line and headers, in lower case."""

    status: int
    head: bytes
    body: bytes


@dataclass
class Judged:
    """What came back, in numbers, and what was wrong with it by the number of the case."""

    statuses: Counter[str] = field(default_factory=Counter)
    refused: int = 0  # requests, not answers
    wrong: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Judged") -> None:
        """Count what another one has counted."""
        self.statuses += other.statuses
        self.refused += other.refused
        self.wrong |= other.wrong


def send(port: int, grpc_port: int, cases: Iterable[tuple[int, HttpCase]], connections: int = 8) -> Judged:
    """Send them all, `connections` at a time, each number's case on a connection of its own or on one kept alive."""
    judged = Judged()
    waiting = iter(cases)
    idle: deque[socket.socket] = deque()
    busy: dict[int, _Exchange] = {}
    active = 0
    more = True
    with select.epoll() as poll:
        while more or busy:
            while more and active < connections:
                found = next(waiting, None)
                if found is None:
                    more = False
                    break
                number, case = found
                alone = case.expected not in ("refusal", "answer")
                connection = idle.popleft() if idle and not alone else _connect(grpc_port if case.to_grpc else port)
                exchange = _Exchange(number, case, connection, alone)
                busy[connection.fileno()] = exchange
                active += not case.slow
                exchange.write()
                poll.register(connection, select.EPOLLIN | (select.EPOLLOUT if exchange.unsent else 0))
            for descriptor, _ in poll.poll(0.2):
                exchange = busy[descriptor]
                if exchange.unsent:
                    exchange.write()
                    if not exchange.unsent:
                        poll.modify(descriptor, select.EPOLLIN)
                if exchange.read():
                    poll.unregister(descriptor)
                    del busy[descriptor]
                    active -= not exchange.case.slow
                    _judge(judged, exchange)
                    if exchange.closed:
                        exchange.connection.close()
                    else:
                        idle.append(exchange.connection)
            for exchange in [e for e in busy.values() if monotonic() > e.until]:
                judged.wrong[exchange.number] = f"{exchange.case.what}: no answer within {_PATIENCE:g} seconds"
                poll.unregister(exchange.connection)
                del busy[exchange.connection.fileno()]
                active -= not exchange.case.slow
                exchange.connection.close()
    for connection in idle:
        connection.close()
    return judged


class _Exchange:
    """One case on its connection."""

    def __init__(self, number: int, case: HttpCase, connection: socket.socket, alone: bool) -> None:
        self.number = number
        self.case = case
        self.connection = connection
        self.unsent = memoryview(case.raw)
        self.replies: list[Reply] = []
        self.rest = b""
        self.closed = False
        self.until = monotonic() + _PATIENCE
        self._alone = alone  # all that comes until the connection closes is an answer to it
        self._head = case.raw.startswith(b"HEAD ")

    def write(self) -> None:
        """Send what the connection takes."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:  # closed already; the answer may still be there
            self.unsent = self.unsent[:0]
        if self._alone:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)

    def read(self) -> bool:
        """Take what has come; whether that was all."""
        try:
            data = self.connection.recv(2**18)
        except BlockingIOError:
            return False
        except OSError as error:
            self.rest += f" (connection: {error.strerror})".encode()
            data = b""
        self.closed = not data
        self.rest += data
        while (taken := _reply(self.rest)) is not None:
            reply, self.rest = taken
            if reply.status >= 200:
                self.replies.append(reply)
        if self._alone or not self.replies:
            return self.closed
        self.closed = self.closed or b"\r\nconnection: close\r\n" in self.replies[-1].head
        return True


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection


def _reply(data: bytes) -> tuple[Reply, bytes] | None:
    """The first answer in `data` and what follows it; None where it is not whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found or not head.startswith(b"HTTP/1.1 "):
        return None
    status, head = int(head[9:12]), head.lower() + b"\r\n"
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    if len(rest) < size:
        return None
    return Reply(status, head, rest[:size]), rest[size:]


def _judge(judged: Judged, exchange: _Exchange) -> None:
    case, replies = exchange.case, exchange.replies
    if case.expected == "whatever":
        judged.statuses["HTTP/1.1 to the port of gRPC"] += 1
        judged.refused += 1
        return
    judged.statuses.update(str(reply.status) for reply in replies)
    refused = any(reply.status in _REFUSALS for reply in replies)
    # Of a head that never came whole nobody expects an answer.
    judged.refused += refused or not replies
    complaint = None
    if exchange.rest:
        complaint = f"after {len(replies)} answers came {exchange.rest[:100]!r}"
    elif len(replies) > 1 and case.expected in ("refusal", "answer"):
        complaint = f"one request got {len(replies)} answers"
    elif not replies:
        if case.expected != "answers":
            complaint = "the connection was closed without an answer"
        else:
            judged.statuses["closed without an answer"] += 1
    elif case.expected in ("refusal", "refusals") and not all(r.status in _REFUSALS | _BUSY for r in replies):
        complaint = f"it was answered with {' and '.join(str(r.status) for r in replies)}: {replies[-1].body[:100]!r}"
    complaint = complaint or next(filter(None, map(_complaint, replies)), None)
    if complaint is not None:
        judged.wrong[exchange.number] = f"{case.what}: {complaint}"


def _complaint(reply: Reply) -> str | None:
    """What is wrong with an answer."""
    if b"\r\nx-request-id: " not in reply.head or b"\r\nx-canari-model: " not in reply.head:
        return f"the {reply.status} has no request id or no model in its headers"
    if reply.status == 200:
        return None
    if reply.status not in _REFUSALS | _BUSY:
        return f"it was answered with {reply.status}: {reply.body[:200]!r}"
    if reply.status == 503 and b"\r\nretry-after: " not in reply.head:
        return "the 503 has no Retry-After"
    return sentence_complaint(reply.status, reply.body)


def sentence_complaint(status: object, body: bytes) -> str | None:
    """What is wrong with an error's body, which is to be the protocol's error object with one sentence in it."""
    try:
        error = msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        return f"the {status} is no error object: {body[:100]!r}"
    if list(error) != ["error"]:
        return f"the {status} has the keys {list(error)}"
    return text_complaint(status, error["error"])


def text_complaint(status: object, text: str) -> str | None:
    """What is wrong with an error's text."""
    if not text or len(text) > _MOST_CHARACTERS or "\n" in text or "Traceback" in text:
        return f"the {status}'s text is no sentence: {text[:_MOST_CHARACTERS]!r}, {len(text)} characters"
    return None
