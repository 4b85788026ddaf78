"""The open loop: it counts what callers wait for, also where a server keeps them from sending."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from time import sleep

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from load import Request, open_loop
from servers import Server

PAUSE = 0.05


class Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"hang up":
            self.close_connection = True
            return
        sleep(PAUSE)
        self.send_response(503 if body == b"too much" else 200)
        if body == b"too much":
            self.send_header("Retry-After", "1")
        if body == b"the last":
            self.send_header("Connection", "close")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield Server("slow", http.server_address[1], [])
        http.shutdown()
        thread.join()


def test_waiting_for_a_connection_counts(server: Server) -> None:
    # One connection answers 20 a second; 100 a second are due.
    found = open_loop(server, Request("/", b"one"), [(100, 0.1)], connections=1)
    assert found.status.tolist() == [200] * 10
    waited = found.due + found.latency
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(waited))
    assert found.latency[-1] >= 10 * PAUSE - found.due[-1]


def test_phases_follow_one_another(server: Server) -> None:
    found = open_loop(server, Request("/", b"one"), [(20, 0.1), (40, 0.1)], connections=8)
    assert found.due.tolist() == pytest.approx([0, 0.05, 0.1, 0.125, 0.15, 0.175])


def test_refusals_and_their_retry_after_are_counted(server: Server) -> None:
    found = open_loop(server, Request("/", b"too much"), [(40, 0.1)], connections=4)
    assert (found.status.tolist(), found.retry_after) == ([503] * 4, 4)
    with pytest.raises(RuntimeError, match="slow: 4 of 4 requests failed"):
        found.check(server.name)


def test_a_broken_connection_is_no_answer(server: Server) -> None:
    assert open_loop(server, Request("/", b"hang up"), [(40, 0.1)], connections=1).status.tolist() == [0] * 4


def test_a_closed_connection_is_made_anew(server: Server) -> None:
    assert open_loop(server, Request("/", b"the last"), [(40, 0.1)], connections=1).status.tolist() == [200] * 4
