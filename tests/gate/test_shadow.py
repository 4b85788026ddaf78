"""The comparer as a process of its own, between real servers and faulty ones: every copy is accounted for, none waits."""

import json
import math
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st

from canari import store as model_store
from canari.cli import main
from canari.gate.rules import Rules
from canari.gate.shadow.answers import Tolerance, compare, infer_fields, predict_fields
from canari.gate.shadow.judging import judge_shadow
from tests.conftest import ROWS, bentoml_home, make_classifier, make_toy, toy_probability
from tests.serving.conftest import serving

RECORDS: list[dict[str, Any]] = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of a real server of a tag: toy:1, the same as toy:2, toy:3 with another intercept, iris:1."""
    with bentoml_home(tmp_path_factory.mktemp("home")):
        for model in (make_toy(), make_toy(version="2"), make_toy(version="3", intercept=-2.0, proved=False), make_classifier()):
            model_store.put(model)
        with serving("toy:1") as first, serving("toy:2") as same, serving("toy:3") as other, serving("iris:1") as iris:
            yield {server.tag: server.url for server in (first, same, other, iris)}.__getitem__


@contextmanager
def shadow(stable: str, candidate: str, *options: str) -> Iterator[str]:
    """The comparer on a free port; its URL. It ends well when it is asked to."""
    command = [sys.executable, "-m", "canari", "gate", "shadow", "--stable", stable, "--candidate", candidate, "--port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"(http://127\.0\.0\.1:\d+)/summary", process.stdout.readline())
            assert found, f"not ready, exit code {process.poll()}"
            yield found[1]
            process.terminate()
            said = process.communicate(timeout=10)
            assert (process.returncode, *said) == (0, "", "")
        finally:
            process.kill()


def summary(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/summary").json()
    return found


def until(url: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The summary, once it is `enough`."""
    deadline = time.monotonic() + 30
    while not enough(found := summary(url)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def compared(url: str, requests: int) -> dict[str, Any]:
    """The newest comparison, once each of so many requests has its outcome."""
    newest: dict[str, Any] = until(url, lambda found: sum(found["comparisons"][0]["outcomes"].values()) >= requests)[
        "comparisons"
    ][0]
    return newest


def comparing(url: str) -> str:
    until(url, lambda found: found["state"] == "comparing")
    return url


def send(url: str, rows: Any, count: int = 1, path: str = "/predict", **how: Any) -> None:
    with httpx.Client() as client:
        for _ in range(count):
            answer = client.post(url + path, **({"json": rows} | how))
            assert (answer.status_code, answer.content) == (204, b"")


def outcomes(comparison: dict[str, Any]) -> dict[str, int]:
    return {outcome: count for outcome, count in comparison["outcomes"].items() if count}


class Fake:
    """A candidate, toy:2, that does to each POST what `fault` does to the handler and the rows."""

    def __init__(self, fault: Callable[[BaseHTTPRequestHandler, Any], Any]) -> None:
        self.fault = fault
        fake, signature = self, msgspec.json.encode(make_toy(version="2").signature)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                say(self, 200, signature)

            def do_POST(self) -> None:
                fake.fault(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Fake":
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()
        return self

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __exit__(self, *_: object) -> None:
        self.stop()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def predict(handler: BaseHTTPRequestHandler, predictions: list[Any]) -> None:
    say(handler, 200, json.dumps({"model": "toy", "version": "2", "predictions": predictions}).encode())


def right(rows: Any) -> list[Any]:
    return [{"prediction": toy_probability(**row)} for row in rows]


@pytest.fixture(scope="module")
def faulty(real: Callable[[str], str]) -> Iterator[tuple[str, Fake]]:
    """One comparer for many faults of its candidate."""
    with Fake(lambda handler, rows: None) as candidate, shadow(real("toy:1"), candidate.url, "--rate", "1000") as url:
        yield comparing(url), candidate


def test_while_both_serve_the_same_version_nothing_is_sent(real: Callable[[str], str]) -> None:
    with shadow(real("toy:2"), real("toy:2")) as url:
        found = until(url, lambda found: found["state"] == "idle")
        send(url, RECORDS, count=20)
        assert (found["why"], summary(url)["comparisons"]) == ("both serve toy:2", [])
        assert 'fate="idle"} 20.0' in httpx.get(f"{url}/metrics").text
    assert 'route="/predict"' not in httpx.get(real("toy:2") + "/metrics").text


def test_the_same_model_answers_the_same(real: Callable[[str], str]) -> None:
    with shadow(real("toy:1"), real("toy:2")) as url:
        send(comparing(url), RECORDS, count=20)
        found = compared(url, 20)
        assert (found["stable"], found["candidate"], found["ended"]) == ("toy:1", "toy:2", None)
        assert (outcomes(found), found["received"], found["dropped"]) == ({"same": 20}, 20, 0)
        (field,) = found["fields"]
        assert (field["field"], field["rows"], field["different"], field["largest"]) == ("prediction", 100, 0, 0.0)
        assert 'compared_total{candidate="toy:2",outcome="same"} 20.0' in httpx.get(f"{url}/metrics").text
    for tag in ("toy:1", "toy:2"):
        counted = [
            line for line in httpx.get(real(tag) + "/metrics").text.splitlines() if "count{" in line and "/predict" in line
        ]
        assert counted
        assert all('synthetic="true"' in line for line in counted)


def test_another_model_differs_by_what_it_differs(real: Callable[[str], str]) -> None:
    def other(row: dict[str, Any]) -> float:  # the intercept is -2 instead of -2.5
        p = toy_probability(**row)
        assert p is not None
        return 1 / (1 + math.exp(-(math.log(p / (1 - p)) + 0.5)))

    known = [row for row in RECORDS if row["age"] is not None]
    shifts = [other(row) - float(toy_probability(**row) or 0) for row in known]
    with shadow(real("toy:1"), real("toy:3")) as url:
        send(comparing(url), RECORDS, count=5)
        found = compared(url, 5)
        assert outcomes(found) == {"different": 5}
        (field,) = found["fields"]
        assert (field["rows"], field["different"]) == (25, 20)  # both predict nothing where the age is missing
        assert field["mean_shift"] == pytest.approx(np.mean(shifts))
        assert field["p50"] == pytest.approx(np.median(shifts))
        assert field["largest"] == pytest.approx(max(shifts))
        (example,) = found["examples"]
        assert example["kind"] == "number"
        assert example["by"] == pytest.approx(max(shifts))
        assert RECORDS[example["row"] - 1] == known[int(np.argmax(shifts))]
    with shadow(real("toy:1"), real("toy:3"), "--absolute", str(max(shifts) * 1.01)) as url:
        send(comparing(url), RECORDS, count=5)
        assert outcomes(compared(url, 5)) == {"same": 5}


@pytest.mark.parametrize("binary", [False, True])
def test_inference_requests_of_another_protocols_client_are_compared(real: Callable[[str], str], binary: bool) -> None:
    row = RECORDS[0]
    inputs = []
    for name, datatype, values in (
        ("age", "FP64", np.array([[row["age"]]])),
        ("visits", "INT64", np.array([[row["visits"]]])),
        ("smoker", "BOOL", np.array([[row["smoker"]]])),
        ("exercise", "BYTES", np.array([[row["exercise"]]], np.object_)),
    ):
        tensor = triton.InferInput(name, [1, 1], datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    outputs = [triton.InferRequestedOutput("prediction", binary_data=binary)]
    body, json_length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
    headers = {"Inference-Header-Content-Length": str(json_length)} if json_length is not None else {}
    for candidate, expected in (("toy:2", "same"), ("toy:3", "different")):
        with shadow(real("toy:1"), real(candidate)) as url:
            send(comparing(url), None, path="/v2/models/toy/infer", json=None, content=body, headers=headers)
            # A caller who insists on version 1 would be refused by the candidate.
            send(url, None, path="/v2/models/toy/versions/1/infer", json=None, content=body, headers=headers)
            found = compared(url, 2)
            assert outcomes(found) == {expected: 1, "candidate_failed": 1}, found
            assert found["reasons"] == {"candidate: HTTP 404": 1}
            assert [field["field"] for field in found["fields"]] == ["prediction"]


def test_answers_of_several_fields_are_compared_label_by_label(real: Callable[[str], str]) -> None:
    body = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [0.5, 1.75]}]}
    answer = httpx.post(real("iris:1") + "/v2/models/iris/infer", json=body).content
    plain = httpx.post(real("iris:1") + "/predict", json=[{"x": 0.5}, {"x": 1.75}]).content
    assert infer_fields(answer) == predict_fields(plain)
    assert list(predict_fields(plain)) == [
        "class",
        *(f"probabilities of {label}" for label in ("setosa", "versi color", "Ümlaut")),
    ]
    moved = {**predict_fields(plain), "class": ["Ümlaut", "setosa"]}
    results = compare(predict_fields(plain), moved, Tolerance())
    assert [(one.field, one.different) for one in results if one.different] == [("class", 1)]


def test_a_candidate_that_is_wrong_for_some_rows(real: Callable[[str], str]) -> None:
    def wrong_for_smokers(handler: BaseHTTPRequestHandler, rows: Any) -> None:
        predict(
            handler, [{"prediction": p["prediction"] + 0.25 * row["smoker"]} for row, p in zip(rows, right(rows), strict=True)]
        )

    with Fake(wrong_for_smokers) as candidate, shadow(real("toy:1"), candidate.url) as url:
        comparing(url)
        for row in RECORDS[:3]:
            send(url, [row], count=4)
        found = compared(url, 12)
        assert outcomes(found) == {"same": 4, "different": 8}
        assert found["fields"][0]["largest"] == pytest.approx(0.25)
        assert found["fields"][0]["mean_shift"] == pytest.approx(0.25 * 8 / 12)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda h, rows: predict(h, [{"risk": p["prediction"]} for p in right(rows)]), {"different": 3}),
        (lambda h, rows: predict(h, right(rows) * 2), {"different": 3}),
        (lambda h, rows: predict(h, [{"prediction": None} for _ in rows]), {"different": 3}),
        (lambda h, rows: predict(h, [{"prediction": "Inf"} for _ in rows]), {"different": 3}),
        (lambda h, rows: predict(h, [{"prediction": "yes"} for _ in rows]), {"different": 3}),
        (lambda h, rows: predict(h, [{"prediction": [1]} for _ in rows]), {"candidate_failed": 3}),
        (lambda h, rows: predict(h, [{"prediction": 10**400} for _ in rows]), {"candidate_failed": 3}),
        (lambda h, rows: predict(h, right(rows) * 10_001), {"candidate_failed": 3}),
        (lambda h, rows: say(h, 200, b"<html>"), {"candidate_failed": 3}),
        (lambda h, rows: say(h, 200, b"[" * 100_000), {"candidate_failed": 3}),
        (lambda h, rows: say(h, 200, b" " * (9 * 2**20)), {"candidate_failed": 3}),
        (lambda h, rows: say(h, 500, b"age 21.5 is too young"), {"candidate_failed": 3}),
        (lambda h, rows: say(h, 400, b"{}"), {"candidate_failed": 3}),
        (lambda h, rows: h.connection.close(), {"candidate_failed": 3}),
    ],
)
def test_each_fault_has_its_outcome_and_quotes_nothing(
    faulty: tuple[str, Fake], answer: Callable[[BaseHTTPRequestHandler, Any], None], expected: dict[str, int]
) -> None:
    url, candidate = faulty
    candidate.fault = answer
    before = summary(url)["comparisons"][0]["outcomes"]
    send(url, RECORDS[:1], count=3)
    found = compared(url, sum(before.values()) + 3)
    assert {outcome: n - before[outcome] for outcome, n in found["outcomes"].items() if n != before[outcome]} == expected
    assert "21.5" not in json.dumps(found)
    assert "young" not in json.dumps(found)


def test_a_slow_candidate_slows_nobody_and_fills_a_bounded_queue(real: Callable[[str], str]) -> None:
    def late(handler: BaseHTTPRequestHandler, rows: Any) -> None:
        time.sleep(30)

    with Fake(late) as candidate, shadow(real("toy:1"), candidate.url, "--rate", "100000") as url:
        comparing(url)
        start = time.monotonic()
        flood = [threading.Thread(target=send, args=(url, RECORDS[:1], 300)) for _ in range(8)]
        for thread in flood:
            thread.start()
        for thread in flood:
            thread.join()
        assert time.monotonic() - start < 25  # the first alone would have waited 30 s
        found = summary(url)["comparisons"][0]
        assert found["received"] == 2400
        assert found["dropped"] > 1000
        found = compared(url, 8)
        assert set(outcomes(found)) == {"candidate_failed"}
        assert list(found["reasons"]) == ["candidate: no whole answer within 5 s"]


def test_a_candidate_that_goes_away_is_not_judged_by_its_silence(real: Callable[[str], str]) -> None:
    with Fake(lambda handler, rows: predict(handler, right(rows))) as candidate, shadow(real("toy:1"), candidate.url) as url:
        send(comparing(url), RECORDS[:1], count=3)
        assert outcomes(compared(url, 3)) == {"same": 3}
        candidate.stop()
        send(url, RECORDS[:1], count=3)
        found = compared(url, 6)
        assert outcomes(found) == {"same": 3, "not_comparable": 3}
        assert (found["ended"], found["reasons"]) == (None, {"nobody listens at the candidate": 3})


def test_a_stable_version_that_fails_says_nothing_of_the_candidate(real: Callable[[str], str]) -> None:
    with Fake(lambda handler, rows: say(handler, 503, b"")) as stable, shadow(stable.url, real("toy:1")) as url:
        send(comparing(url), RECORDS[:1], count=3)
        assert outcomes(compared(url, 3)) == {"stable_failed": 3}


def test_without_a_candidate_it_waits(real: Callable[[str], str]) -> None:
    with shadow(real("toy:1"), NOWHERE) as url:
        found = until(url, lambda found: "refused" in found["why"])
        send(url, RECORDS)
        assert (found["state"], summary(url)["comparisons"]) == ("waiting", [])


def test_garbage_and_what_is_no_callers_prediction(real: Callable[[str], str]) -> None:
    with shadow(real("toy:1"), real("toy:3"), "--rate", "1000") as url:
        comparing(url)
        send(url, None, json=None, content=b"{not json")
        send(url, [{"age": "personal-value"}])
        send(url, RECORDS, headers={"X-Canari-Synthetic": "1"})
        send(url, RECORDS, path="/elsewhere")
        send(url, RECORDS, path="/v2/models/personal%20name%20%C3%A9/infer")
        send(url, None, json=None, content=b"[" * (9 * 2**20))
        assert httpx.get(f"{url}/predict").status_code == 204
        host, port = url.removeprefix("http://").split(":")
        for noise in (b"\x00\xff" * 4000 + b"\r\n\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"POST /pred"):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(noise)
        found = compared(url, 3)
        assert (found["received"], found["dropped"]) == (4, 1)
        assert found["reasons"] == {"both: HTTP 400": 2, "both: HTTP 404": 1}
        assert httpx.get(f"{url}/livez").json() == {"live": True}
        assert "personal" not in httpx.get(f"{url}/summary").text + httpx.get(f"{url}/metrics").text


def test_more_than_the_rate_is_sampled(real: Callable[[str], str]) -> None:
    with shadow(real("toy:1"), real("toy:2"), "--rate", "5") as url:
        send(comparing(url), RECORDS, count=100)
        found = compared(url, 5)
        assert found["received"] == 100
        assert found["sampled_out"] > 80


def test_a_comparison_ends_with_its_release(real: Callable[[str], str]) -> None:
    serves = {"version": "1"}

    def signature(version: str) -> bytes:
        return msgspec.json.encode(make_toy(version=version).signature)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            say(self, 200, signature(serves["version"]))

        def do_POST(self) -> None:
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(right(rows)).encode()
            self.send_response(200)
            self.send_header("X-Canari-Model", "toy")
            self.send_header("X-Canari-Version", serves["version"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        with shadow(real("toy:1"), f"http://127.0.0.1:{server.server_port}") as url:
            until(url, lambda found: found["state"] == "idle")
            for version in ("2", "1", "2"):
                serves["version"] = version
                state = "idle" if version == "1" else "comparing"
                until(url, lambda found, state=state: found["state"] == state)  # type: ignore[misc]
                send(url, RECORDS[:1], count=2)
                if state == "comparing":
                    compared(url, 2)
            serves["version"] = "1"  # for two seconds nobody has noticed
            send(url, RECORDS[:1])
            found = until(url, lambda found: found["state"] == "idle")
            newest, former = found["comparisons"]
            assert outcomes(former) == {"same": 2}
            assert newest["outcomes"]["same"] == 2
            assert newest["ended"]
            assert former["ended"]
    finally:
        server.shutdown()
        server.server_close()


def rules(**limits: float) -> Rules:
    return Rules(file="rules.yaml", sha256="0", limits={name: {"max": limit} for name, limit in limits.items()})


@pytest.mark.parametrize(
    ("candidate", "limits", "expected"),
    [
        ("toy:2", {"shadow_difference": 0.05, "shadow_errors": 0.05}, {"shadow_difference": "pass", "shadow_errors": "pass"}),
        ("toy:2", {"shadow_errors": 0.001}, {"shadow_errors": "inconclusive"}),  # too few
        ("toy:3", {"shadow_difference": 0.05, "shadow_errors": 0.05}, {"shadow_difference": "fail", "shadow_errors": "pass"}),
        ("toy:3", {"error_rate": 0.05}, {}),
    ],
)
def test_the_gates_rules(real: Callable[[str], str], candidate: str, limits: dict[str, float], expected: dict[str, str]) -> None:
    with shadow(real("toy:1"), real(candidate), "--rate", "1000") as url:
        send(comparing(url), RECORDS[:1], count=200)
        compared(url, 200)
        results = judge_shadow(url, rules(**limits), "toy:1", candidate)
        assert {result.name: result.outcome for result in results} == expected
        assert all(result.samples == 200 for result in results)
        # Another candidate's comparison, or none, decides nothing.
        strange = judge_shadow(url, rules(shadow_errors=0.5), "toy:1", "toy:9")
        assert [result.outcome for result in strange] == ["inconclusive"]
        assert "does not compare toy:9 with toy:1" in strange[0].why
        assert judge_shadow(url, rules(shadow_errors=0.5), "toy:1", "toy:1") == []


def test_failures_that_only_the_candidate_has_fail_the_gate(real: Callable[[str], str]) -> None:
    with Fake(lambda h, rows: say(h, 500, b"")) as candidate, shadow(real("toy:1"), candidate.url) as url:
        send(comparing(url), RECORDS[:1], count=20)
        compared(url, 20)
        (result,) = judge_shadow(url, rules(shadow_errors=0.05), "toy:1", "toy:2")
    assert (result.outcome, result.value, result.samples) == ("fail", 1.0, 20)
    assert "most often: HTTP 500" in result.why


@pytest.mark.parametrize("url", [NOWHERE, None])
def test_a_shadow_that_gives_no_summary_is_inconclusive(real: Callable[[str], str], url: str | None) -> None:
    (result,) = judge_shadow(url or real("toy:1"), rules(shadow_errors=0.5), "toy:1", "toy:2")
    assert result.outcome == "inconclusive"
    assert "no summary" in result.why


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--stable", "localhost"), 2, "expected a URL"),
        (("--rate", "0"), 2, "rate"),
        (("--host", "203.0.113.1"), 1, "cannot listen on 203.0.113.1"),
    ],
)
def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, says: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["gate", "shadow", "--stable", NOWHERE, "--candidate", NOWHERE, *options])
    assert end.value.code == code
    assert says in capsys.readouterr().err


@given(
    body=st.binary()
    | st.recursive(st.none() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)).map(
        lambda v: json.dumps(v).encode()
    ),
    length=st.none() | st.text(max_size=4),
)
def test_hostile_answers_are_no_predictions_at_worst(body: bytes, length: str | None) -> None:
    for read in (predict_fields, lambda body: infer_fields(body, length)):
        try:
            fields = read(body)
        except ValueError:
            continue
        assert all(result.different == 0 for result in compare(fields, fields, Tolerance()))


TENSOR = st.fixed_dictionaries(
    {
        "name": st.text(max_size=3),
        "datatype": st.sampled_from(["FP64", "BYTES", "BOOL", "INT8", "UINT64", "other"]),
        "shape": st.lists(st.integers(-2, 3), max_size=3),
    },
    optional={
        "data": st.lists(st.none() | st.floats() | st.text() | st.lists(st.integers(), max_size=2), max_size=4),
        "parameters": st.fixed_dictionaries(
            {}, optional={"binary_data_size": st.none() | st.integers(-1, 20) | st.text(), "labels": st.none() | st.text()}
        ),
    },
)


@given(outputs=st.lists(TENSOR, max_size=3), raw=st.binary(max_size=30))
def test_hostile_tensors_are_no_predictions_at_worst(outputs: list[Any], raw: bytes) -> None:
    head = json.dumps({"outputs": outputs}).encode()
    try:
        fields = infer_fields(head + raw, str(len(head)))
    except ValueError:
        return
    assert all(result.different == 0 for result in compare(fields, fields, Tolerance()))
