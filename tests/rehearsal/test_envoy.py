"""A real Envoy: the weights that callers feel, changes under traffic, an arm that is not there."""

import collections
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from canari.errors import CanariError
from canari.rehearsal.envoy import Gateway
from canari.rehearsal.processes import free_ports


class Echo(BaseHTTPRequestHandler):
    """Answers with its own port."""

    protocol_version = "HTTP/1.1"
    wbufsize = 4096  # head and body in one packet

    def do_GET(self) -> None:
        body = str(self.connection.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def arms() -> Iterator[dict[str, int]]:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Echo) for _ in range(2)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    yield dict(zip(("stable", "candidate"), (server.server_address[1] for server in servers), strict=True))
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(client: httpx.Client, url: str, times: int) -> collections.Counter[tuple[int, str]]:
    answers = [client.get(url) for _ in range(times)]
    return collections.Counter((answer.status_code, answer.headers["x-canari-arm"]) for answer in answers)


def test_callers_follow_the_weights_while_they_change(arms: dict[str, int], tmp_path: Path) -> None:
    port, admin_port = free_ports(2)
    gateway = Gateway(tmp_path, tmp_path, port, admin_port, arms)
    with gateway.start(), httpx.Client() as client:
        assert ask(client, gateway.url, 50) == {(200, "stable"): 50}
        gateway.weights({"stable": 50, "candidate": 50})
        both = ask(client, gateway.url, 400)
        assert set(both) == {(200, "stable"), (200, "candidate")}
        assert 140 < both[200, "candidate"] < 260  # six standard deviations
        gateway.weights({"stable": 0, "candidate": 100})
        assert ask(client, gateway.url, 50) == {(200, "candidate"): 50}
        assert client.get(gateway.url).text == str(arms["candidate"])
        gateway.weights({"stable": 100, "candidate": 0})
        assert ask(client, gateway.url, 50) == {(200, "stable"): 50}


def test_answers_of_envoy_itself_name_the_arm_that_is_not_there(arms: dict[str, int], tmp_path: Path) -> None:
    port, admin_port, nobody = free_ports(3)
    gateway = Gateway(tmp_path, tmp_path, port, admin_port, {**arms, "candidate": nobody})
    with gateway.start(), httpx.Client() as client:
        gateway.weights({"stable": 0, "candidate": 100})
        assert ask(client, gateway.url, 5) == {(503, "candidate"): 5}


def test_port_that_is_taken_is_said(arms: dict[str, int], tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, tmp_path, arms["stable"], free_ports(1)[0], arms)
    with pytest.raises(CanariError, match="Envoy does not start"):
        gateway.start()
