"""`canari serve` as a process: ports, signals, the end."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
import tritonclient.grpc as triton_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from canari import store as model_store
from canari.cli import main
from canari.errors import CanariError
from canari.serving.warmup import warm
from tests.conftest import make_toy
from tests.serving.conftest import ROW, Callers, serving
from tests.serving.test_peers import Call, typed_request

pytestmark = pytest.mark.alone


class Done(NamedTuple):
    code: int
    err: str


Serve = Callable[..., Done]


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Serve:
    """`canari serve` in this process, where it is expected not to start."""

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as stop:
            main(["serve", *arguments])
        return Done(int(stop.value.code or 0), capsys.readouterr().err)

    return run


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def test_a_port_in_use_is_one_sentence(serve: Serve, stored_toy: str, taken: str) -> None:
    for option, others in (("--http-port", ["--grpc-port", "0"]), ("--grpc-port", ["--http-port", "0"])):
        done = serve(stored_toy, option, taken, *others)
        assert done.code == 1
        assert done.err == f"canari: cannot listen on 127.0.0.1:{taken}: Address already in use; {option} chooses another port\n"


def test_two_servers_do_not_share_the_grpc_port(serve: Serve, stored_toy: str) -> None:
    with serving(stored_toy) as server:
        port = server.grpc.rpartition(":")[2]
        assert "--grpc-port chooses another port" in serve(stored_toy, "--http-port", "0", "--grpc-port", port).err


def test_what_to_serve_is_said_once(serve: Serve, stored_toy: str) -> None:
    for arguments, code, message in (
        ((), 2, "expected NAME:VERSION or --bento"),
        ((stored_toy, "--bento", "toy:1"), 2, "one of the two"),
        (("toy:9",), 2, "no model toy:9 in the store; there is: toy:1"),
        (("--bento", "nobody:1"), 2, "no bento nobody:1, neither in the store nor a folder"),
        (("--bento", "."), 2, ". is no built bento"),
        (("--bento", "not a tag"), 2, "no bento not a tag"),
        ((stored_toy, "--host", "256.0.0.1"), 1, "--host takes an address of this machine"),
    ):
        done = serve(*arguments, "--http-port", "0", "--grpc-port", "0")
        assert (done.code, done.err.count("\n")) == (code, 1), done.err
        assert message in done.err


def test_a_model_that_does_not_repeat_its_proof_is_not_served(serve: Serve, store: Path) -> None:
    wrong = make_toy(intercept=-2.4)
    with pytest.raises(CanariError, match="does not repeat its proof: check row 0, 'prediction': expected"):
        warm(wrong)
    model_store.put(wrong)
    done = serve("toy:1", "--http-port", "0", "--grpc-port", "0")
    assert (done.code, "does not repeat its proof" in done.err) == (1, True)


def test_an_unproved_model_is_served_and_said(store: Path) -> None:
    model_store.put(make_toy(proved=False))
    command = [sys.executable, "-m", "canari", "serve", "toy:1", "--http-port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url
        assert httpx.get(f"{url[0]}/readyz").headers["x-canari-unproved"] == "true"
        process.terminate()
        assert "UNPROVED" in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_loses_no_request(stored_toy: str, number: signal.Signals) -> None:
    """Callers on connections kept alive send as fast as they can until the server closes; each request has its answer."""
    with serving(stored_toy) as server:
        clients = threading.local()

        def once() -> bool:
            if not hasattr(clients, "one"):
                clients.one = httpx.Client(base_url=server.url, limits=httpx.Limits(max_keepalive_connections=1))
            answer = clients.one.post("/predict", json=[ROW])
            assert answer.status_code == 200
            return bool(answer.headers.get("connection") != "close")

        callers = Callers(once, 8)
        with grpc.insecure_channel(server.grpc) as channel:
            call = Call(channel)
            rpc_answered = 0
            stopping = threading.Timer(1.0, server.process.send_signal, [number])
            stopping.start()
            gone = None
            while gone is None:
                try:
                    call(typed_request())
                    rpc_answered += 1
                except grpc.RpcError as error:
                    gone = error.code()
        callers.join()
        assert server.process.wait(30) == 0
    assert callers.failures == []
    assert callers.answered > 50
    assert rpc_answered > 10
    # A call that comes while gRPC closes is not run; gRPC itself words that in one of two ways.
    assert gone in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_readiness_goes_before_the_server(stored_toy: str) -> None:
    with serving(stored_toy) as server, grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == health_pb2.HealthCheckResponse.SERVING
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/readyz").status_code == 200
            server.process.terminate()
            statuses: list[int] = []
            while not statuses or statuses[-1] == 200:
                statuses.append(client.get("/readyz").status_code)
                time.sleep(0.01)
            assert statuses[-1] == 503
        assert server.process.wait(30) == 0


def test_a_request_that_is_half_sent_is_waited_for(stored_toy: str) -> None:
    body = b'[{"age":30,"visits":2,"smoker":true,"exercise":"some"}]'
    head = b"POST /predict HTTP/1.1\r\nHost: canari\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(stored_toy) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head + body[:10])
            time.sleep(0.2)
            server.process.terminate()
            time.sleep(1.5)  # beyond the drain: the server now only waits for this request
            connection.sendall(body[10:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"0.334589441253186" in answer
        assert server.process.wait(30) == 0


def test_small_requests_do_not_wait_for_large_ones(stored_toy: str) -> None:
    """While large bodies are predicted, small ones are answered in between."""
    with serving(stored_toy) as server:
        large = [ROW] * 10_000
        answered: list[str] = []

        def send_large() -> None:
            assert len(httpx.post(f"{server.url}/predict", json=large, timeout=60).json()["predictions"]) == len(large)
            answered.append("large")

        threads = [threading.Thread(target=send_large) for _ in range(4)]
        for thread in threads:
            thread.start()
        with httpx.Client(base_url=server.url) as client:
            while any(thread.is_alive() for thread in threads):
                assert client.post("/predict", json=[ROW]).status_code == 200
                answered.append("small")
        for thread in threads:
            thread.join()
        last_large = len(answered) - 1 - answered[::-1].index("large")
        assert "small" in answered[:last_large]


def test_all_addresses_and_ipv6(stored_toy: str) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 address: {error}")
    with serving(stored_toy, "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        with triton_grpc.InferenceServerClient(server.grpc) as client:
            assert client.is_server_ready()
