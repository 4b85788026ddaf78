"""Small samples of the long proofs, by the same code; and whether that code would notice what it is there for."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from proofs import fuzzing, results, rolling_stop
from proofs.callers import Callers, Row
from proofs.fuzzing import Memory, grown
from proofs.grpc_cases import GrpcCases
from proofs.http_caller import send
from proofs.http_cases import HttpCase, HttpCases
from proofs.mutations import MARKED, MARKER
from tests.conftest import make_toy

_HEADERS = b"x-request-id: 1\r\nx-canari-model: toy\r\n"
_SENTENCE = b'{"error":"row 0 is wrong"}'


@pytest.mark.alone
def test_malformed_requests_are_refused(tmp_path: Path) -> None:
    found = fuzzing.run(1_500, 7, tmp_path / "fuzzing.json", batch=600)
    assert found.refused >= 1_500
    assert found.http["400"] > 600
    assert found.grpc["INVALID_ARGUMENT"] > 120
    assert found.lines + found.dropped > found.next * 0.9  # requests without a whole head get no line
    assert not list(tmp_path.glob("*.log"))


@pytest.mark.alone
def test_no_request_is_lost_in_rolling_stops(tmp_path: Path) -> None:
    found = rolling_stop.run(2, tmp_path / "rolling_stop.json")
    assert found.stops == 2
    assert set(found.answered) == {"HTTP", "HTTP through Envoy", "gRPC through Envoy"}


@pytest.mark.parametrize(
    "found",
    [
        fuzzing.Found(1, "abc", next=6_000, http={"400": 5}, grpc={"OK": 1}, memory=[Memory("toy:1", [1, 2])]),
        rolling_stop.Found("abc", 3, {"HTTP": 4}, 0, 1.5, 2.5),
    ],
)
def test_a_proof_goes_on_where_it_was(tmp_path: Path, found: msgspec.Struct) -> None:
    results.save(tmp_path / "found.json", found)
    assert results.load(tmp_path / "found.json", type(found)) == found
    assert results.load(tmp_path / "nothing.json", type(found)) is None


def test_a_request_is_made_from_its_number() -> None:
    for cases in (HttpCases, GrpcCases):
        one, other = cases(make_toy(), 3), cases(make_toy(), 3)
        assert [one[n] for n in range(200)] == [other[n] for n in range(200)]
        assert len({one[n] for n in range(200)}) > 190


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers everything with the same bytes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def reply(status: bytes, body: bytes, headers: bytes = _HEADERS) -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, headers, len(body), body)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (reply(b"400 Bad Request", _SENTENCE), None),
        (reply(b"503 Service Unavailable", _SENTENCE, _HEADERS + b"retry-after: 1\r\n"), None),
        (reply(b"503 Service Unavailable", _SENTENCE), "Retry-After"),
        (reply(b"500 Internal Server Error", _SENTENCE), "answered with 500"),
        (reply(b"200 OK", b"{}"), "answered with 200"),
        (reply(b"400 Bad Request", b"no"), "no error object"),
        (reply(b"400 Bad Request", b'{"error":"%b"}' % (b"a" * 600)), "no sentence"),
        (reply(b"400 Bad Request", b'{"error":"one\\ntwo"}'), "no sentence"),
        (reply(b"400 Bad Request", _SENTENCE, b""), "no request id"),
        (reply(b"400 Bad Request", _SENTENCE) * 2, "2 answers"),
        (reply(b"400 Bad Request", _SENTENCE)[:-3], "came b'HTTP"),
        (b"", "without an answer"),
    ],
)
def test_a_wrong_answer_is_noticed(answer: bytes, complaint: str | None) -> None:
    case = HttpCase("a case", b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")
    with answering(answer) as port:
        judged = send(port, port, [(4, case)])
    if complaint is None:
        assert not judged.wrong
        assert judged.refused == ("400" in judged.statuses)
    else:
        assert list(judged.wrong) == [4]
        assert complaint in judged.wrong[4]


def test_a_lost_request_is_noticed() -> None:
    body = b'{"predictions":[{"prediction":0.5}]}'
    with answering(reply(b"200 OK", body)) as right, answering(reply(b"200 OK", body.replace(b"5", b"6"))) as wrong:
        row = Row(b"[{}]", b"", 0.5)
        with Callers([row], wrong, 1, lambda: [right]) as callers:
            while not (callers.answered and any("0.6" in lost for lost in callers.lost)):
                assert len(callers.lost) < 1_000
    assert set(callers.answered) == {"HTTP"}
    assert any("0.6 was predicted" in lost for lost in callers.lost)
    assert any("UNAVAILABLE" in lost for lost in callers.lost)


@pytest.mark.parametrize("text", [(MARKER % 77).encode(), b'"x":7731042911581234', b"7.731042911580125e+16", b"773104291158.125"])
def test_a_callers_value_is_noticed(text: bytes) -> None:
    assert re.search(MARKED, b'{"status":400,"duration":0.25}\n{"path":"%b"}\n' % text)


def test_growth_is_what_comes_after_a_server_has_settled() -> None:
    assert grown(Memory("toy:1", [90, 120, 130, *[140] * 9])) == 0
    assert grown(Memory("toy:1", list(range(100, 140)))) == 20
    assert grown(Memory("toy:1", [90])) == 0


def test_a_section_takes_the_place_of_its_last_one(tmp_path: Path) -> None:
    document = tmp_path / "proofs.md"
    for title, text in (("One", "1"), ("Two", "2"), ("One", "1 again")):
        results.write_section(title, text, document)
    _, one, two = document.read_text().split("\n## ")
    assert (one, two) == ("One\n\n1 again\n", "Two\n\n2\n")
