"""HTTP/1.1 as it is on the wire: framing, order, limits, and what must never be taken for a request."""

import json
import random
import re
import select
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canari import store as model_store
from tests.conftest import make_toy
from tests.serving.conftest import Server, serving
from tests.serving.wire import BODY, PREDICTED, Response, Wire, chunked, connected, exchange, get, request

MAX_BODY = 65536

LIVE = get("/livez")
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("store")))
        patch.setenv("CANARI_READ_TIMEOUT", "1")
        patch.setenv("CANARI_MAX_BODY", str(MAX_BODY))
        model_store.put(make_toy())
        with serving("toy:1") as one:
            yield one


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    return server.url


def statuses(responses: list[Response]) -> list[int]:
    return [response.status for response in responses]


def refused(responses: list[Response], status: int = 400) -> str:
    """The one error that is the whole answer, whose connection is closed."""
    assert statuses(responses) == [status]
    [response] = responses
    assert response.headers["connection"] == "close"
    assert "\n" not in response.error
    assert "Traceback" not in response.error
    return response.error


def post(headers: bytes, body: bytes = BODY, line: bytes = b"POST /predict HTTP/1.1", host: bytes = b"Host: canari\r\n") -> bytes:
    return line + b"\r\n" + host + headers + b"\r\n" + body


# Framing


def test_requests_that_come_together_are_answered_in_their_order(url: str) -> None:
    mixed = [
        (request(), 200),
        (LIVE, 200),
        (get("/nothing"), 404),
        (request(body=b"[]"), 400),
        (chunked(BODY[:7], BODY[7:]), 200),
        (request(method="PUT"), 405),
        (request(body=json.dumps([json.loads(BODY)[0]] * 900).encode()), 200),  # a thread answers this one
        (request(X_Request_Id="last"), 200),
    ]
    answers = exchange(url, b"".join(data for data, _ in mixed) * 3)
    assert statuses(answers) == [status for _, status in mixed] * 3
    assert [answer.headers["x-request-id"] == "last" for answer in answers] == ([False] * 7 + [True]) * 3
    assert all(PREDICTED in answers[i].body for i in (0, 4, 7))


def test_thousands_in_one_go(url: str) -> None:
    """Those after a prediction wait for it, and are then answered at once."""
    answers = exchange(url, request() + LIVE * 5000 + request())
    assert statuses(answers) == [200] * 5002
    assert PREDICTED in answers[-1].body


def test_one_byte_at_a_time(url: str) -> None:
    with connected(url) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for data in (request(), chunked(BODY[:5], BODY[5:], trailers=b"Foo: bar\r\n")):
            for byte in data:
                wire.send(bytes([byte]))
            answer = wire.response()
            assert answer
            assert PREDICTED in answer.body


def test_head_is_get_without_a_body(url: str) -> None:
    for target in ("/livez", "/openapi.json", "/nothing", "/predict"):
        with connected(url) as wire:
            wire.send(request(target, None, "HEAD") + LIVE)
            head, live = wire.response(head=True), wire.response()
            assert head
            assert live
            assert live.body == b'{"live":true}'
            if target != "/predict":
                [got] = exchange(url, get(target))
                assert (head.status, head.headers["content-length"]) == (got.status, str(len(got.body)))


@pytest.mark.parametrize(
    ("line", "headers", "closes"),
    [
        (b"HTTP/1.1", b"", False),
        (b"HTTP/1.1", b"Connection: close\r\n", True),
        (b"HTTP/1.1", b"Connection: foo, Close\r\n", True),
        (b"HTTP/1.0", b"", True),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_which_connections_are_kept(url: str, line: bytes, headers: bytes, closes: bool) -> None:
    with connected(url) as wire:
        wire.send(post(headers + LENGTH, line=b"POST /predict " + line))
        answer = wire.response()
        assert answer
        assert PREDICTED in answer.body
        assert ("connection" in answer.headers) is closes
        wire.send(LIVE)
        assert (wire.response() is None) is closes


def test_nothing_is_answered_after_close(url: str) -> None:
    assert statuses(exchange(url, request(Connection="close") + LIVE + request())) == [200]
    assert statuses(exchange(url, request("/livez", None, "GET", Connection="close") + LIVE * 3)) == [200]


def test_the_answer_comes_though_the_caller_has_said_that_it_sends_no_more(url: str) -> None:
    assert statuses(exchange(url, request())) == [200]
    assert "before it is whole" in refused(exchange(url, request()[:-5]))
    assert statuses(exchange(url, request() + request()[:-5])) == [200, 400]
    assert statuses(exchange(url, LIVE + b"POST /pre")) == [200, 400]
    assert exchange(url, b"") == []


def test_expect_continue(url: str) -> None:
    data = request(Expect="100-continue")
    with connected(url) as wire:
        wire.send(data[: -len(BODY)])
        answers = [wire.response()]
        wire.send(data[-len(BODY) :])
        answers.append(wire.response())
        assert [answer and answer.status for answer in answers] == [100, 200]
    with connected(url) as wire:  # its turn comes later
        wire.send(request() + data[: -len(BODY)])
        assert [answer and answer.status for answer in (wire.response(), wire.response())] == [200, 100]
        wire.send(data[-len(BODY) :] + LIVE)
        assert [answer and answer.status for answer in (wire.response(), wire.response())] == [200, 200]
    refusal = post(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % (MAX_BODY + 1), b"")
    refused(exchange(url, refusal, end=False), 413)
    old = post(b"Expect: 100-continue\r\n" + LENGTH, line=b"POST /predict HTTP/1.0")
    assert statuses(exchange(url, old)) == [200]


# What Java's HttpClient sends with its first request.
JAVA = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize("length", [LENGTH, CHUNKED])
@pytest.mark.parametrize(
    ("asks", "closes"),
    [
        (JAVA, False),
        (b"Connection: upgrade\r\nUpgrade: websocket\r\n", False),
        (b"Connection: close, upgrade\r\nUpgrade: h2c\r\n", True),
    ],
)
def test_other_protocols_are_not_spoken(url: str, asks: bytes, length: bytes, closes: bool) -> None:
    data = post(asks + length, BODY if length is LENGTH else CHUNKS)
    for cut in (0, 30, data.index(b"\r\n\r\n") + 2, data.index(b"\r\n\r\n") + 4, len(data) - 3):
        with connected(url) as wire:
            wire.send(data[:cut])
            time.sleep(0.005)
            wire.send(data[cut:] + LIVE)
            answer = wire.response()
            assert answer
            assert PREDICTED in answer.body
            assert (wire.response() is None) is closes


def test_no_proxy(url: str) -> None:
    [answer] = exchange(url, b"CONNECT canari:80 HTTP/1.1\r\nHost: canari\r\n\r\n" + LIVE)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


# What could be taken for something else by a proxy: never two answers, and the connection is closed

SMUGGLED = {
    "both lengths": post(LENGTH + CHUNKED, CHUNKS),
    "both lengths, the other way round": post(CHUNKED + LENGTH, CHUNKS),
    "both lengths, the body empty for one": post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"),
    "both lengths and another protocol": post(CHUNKED + LENGTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n", CHUNKS),
    "a length in the trailers": post(CHUNKED, CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n"),
    "two equal lengths": post(LENGTH + LENGTH),
    "two lengths": post(LENGTH + b"Content-Length: 5\r\n"),
    "two lengths in one": post(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY))),
    "no chunks in HTTP/1.0": post(CHUNKED, CHUNKS, b"POST /predict HTTP/1.0"),
    "lines that end in LF": post(LENGTH).replace(b"\r\n", b"\n"),
    "a header that ends in LF": post(b"Foo: bar\n" + LENGTH),
    "headers that end in LF": post(LENGTH)[: -len(BODY) - 2] + b"\n" + BODY,
    "CR in a header": post(b"Foo: bar\rBaz: foo\r\n" + LENGTH),
    "a folded header": post(b"Foo: bar\r\n baz\r\n" + LENGTH),
    "a folded length": post(b"Content-Length:\r\n %d\r\n" % len(BODY)),
    "a folded first header": b"POST /predict HTTP/1.1\r\n Host: canari\r\n" + LENGTH + b"\r\n" + BODY,
    "a header without a colon": post(b"Foo\r\n" + LENGTH),
    "a header without a name": post(b": foo\r\n" + LENGTH),
    "NUL in a header": post(b"Foo: b\0r\r\n" + LENGTH),
    "NUL in a name": post(b"F\0o: bar\r\n" + LENGTH),
    "space before the colon": post(LENGTH.replace(b":", b" :")),
    "tab before the colon": post(CHUNKED.replace(b":", b"\t:"), CHUNKS),
    "no Host": post(LENGTH, host=b""),
    "two Hosts": post(b"Host: other\r\n" + LENGTH),
    "the same Host twice": post(b"Host: canari\r\n" + LENGTH),
    "a Host with a space": post(LENGTH, host=b"Host: canari other\r\n"),
    "a Host with a path": post(LENGTH, host=b"Host: canari/other\r\n"),
    "a Host with a user": post(LENGTH, host=b"Host: me@canari\r\n"),
    "authority-form": post(b"", b"", b"GET canari:80 HTTP/1.1"),
    "a relative target": post(b"", b"", b"GET livez HTTP/1.1"),
    "a target with a space": post(LENGTH, line=b"POST /predict x HTTP/1.1"),
    "tabs between": post(LENGTH, line=b"POST\t/predict\tHTTP/1.1"),
    "bytes above ASCII in the path": post(b"", b"", b"GET /\xff\xe9 HTTP/1.1"),
    "another protocol": post(LENGTH, line=b"POST /predict HTTQ/1.1"),
    "a small name": post(LENGTH, line=b"post /predict HTTP/1.1"),
    "an unknown method": post(LENGTH, line=b"SMUGGLE /predict HTTP/1.1"),
    "HTTP/1.2": post(LENGTH, line=b"POST /predict HTTP/1.2"),
    "HTTP/1.10": post(LENGTH, line=b"POST /predict HTTP/1.10"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
SMUGGLED |= {
    f"Content-Length {value}": post(b"Content-Length: %b\r\n" % value.encode())
    for value in ("-5", "+5", "0x37", "5 5", "5.0", "", "99999999999999999999999", "18446744073709551671", "٥٥", "5;", '"5"')
}
SMUGGLED |= {
    f"Transfer-Encoding {value!r}": post(b"Transfer-Encoding: %b\r\n" % value.encode("latin-1"), CHUNKS)
    for value in (
        *("xchunked", "chunkedx", "identity", "chunked, identity", "gzip, chunked", "chunked, chunked", "chunked,", ",chunked"),
        *(
            '"chunked"',
            "chunked;q=1",
            "\x0bchunked",
            "chunked\x0c",
            "\xa0chunked",
            "\r\n chunked",
            "x\r\nTransfer-Encoding: chunked",
        ),
        *("chunked\r\nTransfer-Encoding: chunked", "chunked\r\nTransfer-Encoding: identity", ""),
    )
}
SMUGGLED |= {
    f"chunk size {size!r}": post(CHUNKED, CHUNKS.replace(b"37\r\n", size, 1))
    for size in (
        *(
            b"+37\r\n",
            b"-37\r\n",
            b"0x37\r\n",
            b"10000000000000037\r\n",
            b"37 \r\n",
            b" 37\r\n",
            b"\r\n",
            b"37\n",
            b"37\r",
            b"3 7\r\n",
        ),
        *(b"37;a\nb\r\n", b"37;a\rb\r\n", b'37;a="b\r\nc"\r\n', b"37;\0\r\n", b"36\r\n", b"38\r\n"),
    )
}
SMUGGLED |= {
    "LF after a chunk": post(CHUNKED, CHUNKS.replace(b"]\r\n", b"]\n")),
    "nothing after a chunk": post(CHUNKED, CHUNKS.replace(b"]\r\n", b"]")),
    "LF at the end": post(CHUNKED, CHUNKS[:-3] + b"\n\n"),
    "a trailer that is none": post(CHUNKED, CHUNKS[:-2] + b"Foo bar\r\n\r\n"),
}


@pytest.mark.parametrize("shape", SMUGGLED)
def test_what_can_be_read_in_two_ways_is_not_read(url: str, shape: str) -> None:
    data = SMUGGLED[shape] + LIVE
    assert refused(exchange(url, data))
    with connected(url) as wire:  # the same with another request before it, and in two pieces
        wire.send(LIVE + data[:40])
        time.sleep(0.005)
        wire.send(data[40:])
        wire.socket.shutdown(socket.SHUT_WR)
        assert statuses(wire.responses()) == [200, 400]


def test_http_2_is_another_version(url: str) -> None:
    for version in ("2.0", "0.9"):
        refused(exchange(url, post(LENGTH, line=f"POST /predict HTTP/{version}".encode()) + LIVE), 400)


@pytest.mark.parametrize(
    "data",
    [
        post(LENGTH, line=b"POST http://canari/predict HTTP/1.1"),
        post(LENGTH, line=b"POST HTTPS://other:99/predict?a=http://b/ HTTP/1.1"),
        post(LENGTH, line=b"POST /%70redict?a=1 HTTP/1.1"),
        post(LENGTH, host=b"Host:\r\n"),
        post(LENGTH, host=b"Host: [::1]:3000\r\n"),
        post(b"Transfer-Encoding:\tCHUNKED \r\n", CHUNKS),
        post(b"Transfer_Encoding: x\r\nX-Foo: \xff\xe9\r\n" + LENGTH),
        post(b"Content-Length: 00%d\r\n" % len(BODY)),
        post(CHUNKED, b"000" + CHUNKS.replace(b"37\r\n", b'37;name="value"\r\n')),
        post(CHUNKED, CHUNKS[:-2] + b"Foo: bar\r\nContent-Encoding: gzip\r\n\r\n"),
        b"\r\n\r\n" + request(),
    ],
)
def test_what_is_unusual_but_right_is_answered(url: str, data: bytes) -> None:
    predicted, live = exchange(url, data + LIVE)
    assert PREDICTED in predicted.body
    assert live.body == b'{"live":true}'


@pytest.mark.parametrize(
    "target", ["//predict", "/predict/", "/v2/../predict", "/predict%2f", "/%zz", "/%0d%0aFoo:bar", "*", "http://canari/no"]
)
def test_paths_are_taken_literally(url: str, target: str) -> None:
    answers = exchange(url, request(target) + LIVE)
    assert statuses(answers) == [404, 200]
    assert "foo" not in answers[0].headers


def test_methods_that_a_path_does_not_take(url: str) -> None:
    for method, target, allowed in (
        ("PUT", "/predict", "POST"),
        ("OPTIONS", "/predict", "POST"),
        ("DELETE", "/livez", "GET, HEAD"),
        ("PROPFIND", "/v2", "GET, HEAD"),
    ):
        answer, live = exchange(url, request(target, None, method) + LIVE)
        assert (answer.status, answer.headers["allow"], live.status) == (405, allowed, 200)


# Limits


def test_headers_have_a_limit(url: str) -> None:
    for data in (
        request(Foo="b" * 70_000),
        post(b"".join(b"X-%d: bbbbbbbbbb\r\n" % number for number in range(5000)) + LENGTH),
        get("/" + "a" * 70_000),
        request(Foo="b" * 900_000),
    ):
        assert "larger than 64 KiB" in refused(exchange(url, data + LIVE), 431)
    many = post(b"".join(b"X-%d: b\r\n" % number for number in range(2000)) + LENGTH)
    assert statuses(exchange(url, many + LIVE)) == [200, 200]
    # Nor are many small requests one of many headers.
    assert statuses(exchange(url, LIVE * 10_000)) == [200] * 10_000


@pytest.mark.parametrize("target", ["/predict", "/v2/models/toy/infer", "/livez", "/nothing"])
def test_bodies_have_a_limit(url: str, target: str) -> None:
    """Also where the caller goes on sending: it can read the answer."""
    large = b" " * (20 * MAX_BODY)
    announced = request(target, large)
    in_chunks = chunked(*[large[:8000]] * 160).replace(b"/predict", target.encode())
    for data in (announced, in_chunks):
        assert "larger than 65536 bytes" in refused(exchange(url, data + LIVE), 413)
    assert statuses(exchange(url, LIVE + announced + LIVE)) == [200, 413]
    largest = BODY[:-1] + b" " * (MAX_BODY - len(BODY)) + b"]"
    assert statuses(exchange(url, request(body=largest) + chunked(largest[:100], largest[100:]))) == [200, 200]


def test_chunks_have_limits_besides_the_body(url: str) -> None:
    for data in (
        chunked(BODY)[:-2] + b"Foo: bar\r\n" * 100_000 + b"\r\n",
        chunked(BODY)[:-2] + b"Foo: " + b"b" * 1_000_000 + b"\r\n\r\n",
        chunked(BODY).replace(b"37\r\n", b"37;" + b"a" * 1_000_000 + b"\r\n"),
    ):
        assert "extensions and trailers" in refused(exchange(url, data))
    assert statuses(exchange(url, chunked(*(BODY[i : i + 1] for i in range(len(BODY)))))) == [200]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_bodies_are_not_expanded(url: str, coding: str) -> None:
    bomb = zlib.compress(b"[" * 20_000_000, wbits=31 if "gzip" in coding else 15)
    assert len(bomb) < MAX_BODY
    answers = exchange(url, request(body=bomb, Content_Encoding=coding) + LIVE)
    assert statuses(answers) == [415, 200]
    assert "compressed" in answers[0].error


def test_who_does_not_send_the_whole_request_is_told(url: str) -> None:
    beginnings = [
        request()[:-5],
        request()[:30],
        b"G",
        chunked(BODY)[:-4],
        request()[: -len(BODY)],
        request(Expect="100-continue")[: -len(BODY)],
    ]
    wires = []
    for data in beginnings:
        connection = connected(url)
        wire = connection.__enter__()
        wires.append((connection, wire))
        wire.send(data)
    for connection, wire in wires:
        answers = [answer for answer in wire.responses() if answer.status != 100]
        assert "did not come whole within 1 seconds" in refused(answers, 408)
        connection.__exit__(None, None, None)


def test_many_who_send_slowly_harm_nobody(url: str) -> None:
    """A slow loris: each connection sends a byte now and then; all are told to go, and others are answered meanwhile."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    slow = [socket.create_connection((host, int(port)), timeout=15) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: canari\r\n")
        with httpx.Client(base_url=url) as client:
            for _ in range(8):
                for connection in slow:
                    try:
                        connection.sendall(b"X: y\r\n")
                    except OSError:  # told already, and closed
                        continue
                assert client.post("/predict", content=BODY, headers={"content-type": "application/json"}).status_code == 200
                time.sleep(0.25)
        for connection in slow:
            assert Wire(connection).responses()[0].status == 408
    finally:
        for connection in slow:
            connection.close()


def test_who_does_not_read_is_cut_off(url: str) -> None:
    with connected(url) as wire:
        wire.socket.setblocking(False)
        flood, sent = get("/openapi.json") * 1000, 0
        until = time.monotonic() + 15
        gone = False
        while not gone and time.monotonic() < until:
            try:
                sent += wire.socket.send(flood[sent % len(flood) :])
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                gone = True
        assert gone
    assert httpx.get(f"{url}/livez").status_code == 200


def test_large_bodies_together_have_a_limit_and_are_let_go(url: str) -> None:
    """Callers that leave, in whatever way, leave nothing behind."""
    large = request(body=b"[" + b" " * (MAX_BODY - 3) + b"]")
    nearly = large[:-1]
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(url)) for _ in range(9)]
        for wire in wires:
            wire.send(nearly)
        ready, _, _ = select.select([wire.socket for wire in wires], [], [], 15)
        answer = next(wire for wire in wires if wire.socket in ready).response()
        assert answer
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        for wire in wires:
            wire.reset()
    for _ in range(10):
        with connected(url) as wire:
            wire.send(large * 3 + nearly)
            wire.reset()
    time.sleep(0.1)
    with ExitStack() as stack:  # all of it is free again
        for _ in range(7):
            stack.enter_context(connected(url)).send(nearly)
        assert statuses(exchange(url, large)) == [400]


def test_who_leaves_harms_nobody(url: str) -> None:
    for data in (request()[:-5], request(), request() * 50, request()[:20], chunked(BODY)[:-8], b"GET"):
        for _ in range(5):
            with connected(url) as wire:
                wire.send(data)
                wire.reset()
    assert statuses(exchange(url, request())) == [200]


# Every answer

EVERY = ("date", "content-type", "x-canari-model", "x-canari-version", "x-request-id", "content-length")


def test_what_every_answer_says_of_itself(url: str) -> None:
    for data in (request(), get("/nothing"), request(body=b"["), request(method="PUT"), SMUGGLED["no Host"], SMUGGLED["TLS"]):
        [answer] = exchange(url, data)
        assert [name for name in EVERY if name not in answer.headers] == []
        assert (answer.headers["x-canari-model"], answer.headers["x-canari-version"]) == ("toy", "1")
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_request_id_cannot_write_headers(url: str) -> None:
    for given_id, kept in (
        ("order-17", True),
        ("a b", False),
        ("a" * 129, False),
        ("é", False),
        ("a\tFoo: bar", False),
        ("", False),
    ):
        [answer] = exchange(url, request(X_Request_Id=given_id))
        assert (answer.headers["x-request-id"] == given_id) is kept
        assert answer.status == 200


# Whatever comes

PIPELINE = [
    request(),
    LIVE,
    get("/nothing"),
    chunked(BODY[:9], BODY[9:]),
    request(body=b"[]"),
    request(method="PUT"),
    request(body=b"x" * 40_000),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIPELINE), min_size=1, max_size=8), st.data())
def test_how_the_bytes_are_cut_does_not_matter(url: str, requests: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    with connected(url) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            wire.send(whole[begin:end])
            time.sleep(0.001)
        wire.socket.shutdown(socket.SHUT_WR)
        answers = wire.responses()
    assert [(answer.status, answer.body) for answer in answers] == [
        (answer.status, answer.body) for part in requests for answer in exchange(url, part)
    ]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.tuples(st.integers(0, 10**9), st.integers(1, 6))))
def test_no_bytes_are_an_error_of_the_server(url: str, noise: bytes | tuple[int, int]) -> None:
    if isinstance(noise, tuple):
        random_ = random.Random(noise[0])
        data = bytearray(b"".join(random_.choices([*PIPELINE[:-1], *SMUGGLED.values()], k=3)))
        for _ in range(noise[1]):
            data[random_.randrange(len(data))] = random_.randrange(256)
        noise = bytes(data)
    answers = exchange(url, noise)
    assert all(answer.status < 500 for answer in answers), statuses(answers)
    assert all("connection" not in answer.headers for answer in answers[:-1])
