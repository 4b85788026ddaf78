"""`canari loadtest` against real servers: canari's own over REST and gRPC, a foreign one, faulty ones."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import numpy as np
import pytest

from canari import store as model_store
from canari.cli import main
from canari.gate.recording import Request, read
from canari.serving.oip import open_inference_pb2 as pb
from tests.conftest import bentoml_home, make_toy
from tests.gate.faulty import server
from tests.loadtest.limited import limited
from tests.serving.conftest import Server, serving

pytestmark = pytest.mark.alone

OBJECTIVES = "objectives: {error_rate: {max: 0.02}, p95: {max_ms: 900}, generator: {max_cpu: 0.98, max_delay_ms: 500}}\n"
STEADY = "format: 1\nstages: [{seconds: 1.6, rate: 150}]\ntimeout: 1\n" + OBJECTIVES


class Ran:
    """What a run left behind."""

    def __init__(self, code: int, out: Path, said: str, errors: str) -> None:
        self.code, self.out, self.said, self.errors = code, out, said, errors

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "result.json").read_text())
        return found

    @property
    def requests(self) -> list[Request]:
        return read(self.out / "requests.ndjson")

    @property
    def report(self) -> str:
        return (self.out / "report.html").read_text("utf-8")


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def once(url: str, scenario: str, *more: str) -> Ran:
        (tmp_path / "mine.yaml").write_text(scenario)
        out = tmp_path / "out"
        with pytest.raises(SystemExit) as stopped:
            main(["loadtest", url, "--scenario", str(tmp_path / "mine.yaml"), "--out", str(out), *more])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Ran(int(stopped.value.code or 0), out, said.out, said.err)

    return once


@pytest.fixture(scope="module")
def canari_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with bentoml_home(tmp_path_factory.mktemp("home") / "bentoml"):
        toy = make_toy()
        model_store.put(toy)
        with serving(toy.signature.tag) as running:
            yield running


def counted(server: Server, protocol: str) -> tuple[float, float]:
    """The server's own count of requests for predictions over a protocol: a load test's, and callers'."""
    text = httpx.get(f"{server.url}/metrics").text
    counts = {"true": 0.0, "false": 0.0}
    for labels, value in re.findall(r"canari_request_duration_seconds_count\{(.*?)\} (\S+)", text):
        if f'protocol="{protocol}"' in labels and ("predict" in labels or "ModelInfer" in labels):
            counts["true" if 'synthetic="true"' in labels else "false"] += float(value)
    return counts["true"], counts["false"]


def test_batches_over_rest(run: Run, canari_server: Server) -> None:
    batches = "batches: [{rows: 1, share: 0.7}, {rows: 100, share: 0.2}, {rows: 1000, share: 0.1}]\n"
    before = counted(canari_server, "http")
    ran = run(canari_server.url, STEADY + batches)
    assert (ran.code, ran.result["outcome"]) == (0, "pass"), ran.said
    assert ran.result["step"]["failures"] == {}
    assert {request.status for request in ran.requests} == {200}
    after = counted(canari_server, "http")
    assert after[0] - before[0] == len(ran.requests) > 150
    assert after[1] == before[1]
    assert "<script" not in ran.report
    assert "http://www" not in ran.report
    assert "toy:1" in ran.report


def test_grpc(run: Run, canari_server: Server) -> None:
    batches = "batches: [{rows: 1, share: 0.9}, {rows: 200, share: 0.1}]\nprotocol: grpc\n"
    before = counted(canari_server, "grpc")
    ran = run(f"grpc://{canari_server.grpc}", STEADY + batches, "--signature", canari_server.url)
    assert ran.code == 0, ran.said
    assert {request.error for request in ran.requests} == {None}
    assert {request.version for request in ran.requests} == {"1"}
    after = counted(canari_server, "grpc")
    assert after[0] - before[0] == len(ran.requests) > 150
    assert after[1] == before[1]


def test_what_a_grpc_server_refuses_is_failed_with_its_own_words(run: Run, canari_server: Server) -> None:
    ran = run(f"grpc://{canari_server.grpc}", STEADY, "--signature", canari_server.url, "--model", "other", "--duration", "1")
    assert ran.code == 10
    (reason,) = ran.result["step"]["failures"]
    assert reason.startswith("gRPC NOT_FOUND: ")
    assert "other" in reason
    nobody = run("grpc://127.0.0.1:1", STEADY, "--signature", canari_server.url, "--duration", "1")
    assert nobody.code == 10
    assert "gRPC UNAVAILABLE" in nobody.said


def test_a_foreign_server_over_grpc(run: Run, tmp_path: Path) -> None:
    seen: list[tuple[pb.ModelInferRequest, dict[str, str]]] = []

    def metadata(request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=request.name, versions=["7"], inputs=[tensor(name="x", datatype="FP32", shape=[-1, 3]),
                                                       tensor(name="g", datatype="BYTES", shape=[-1])]
        )  # fmt: skip

    def infer(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        seen.append((request, dict(context.invocation_metadata())))
        response = pb.ModelInferResponse(model_name="iris")
        response.outputs.add(name="y", datatype="FP32", shape=[request.inputs[0].shape[0], 1])
        return response

    service = grpc.method_handlers_generic_handler(
        "inference.GRPCInferenceService",
        {
            "ModelMetadata": grpc.unary_unary_rpc_method_handler(
                metadata, pb.ModelMetadataRequest.FromString, pb.ModelMetadataResponse.SerializeToString
            ),
            "ModelInfer": grpc.unary_unary_rpc_method_handler(
                infer, pb.ModelInferRequest.FromString, pb.ModelInferResponse.SerializeToString
            ),
        },
    )
    rows = tmp_path / "rows.csv"
    rows.write_text("x.0,x.1,x.2,g\n1,2,3,ä\n")
    foreign = grpc.server(ThreadPoolExecutor(2))
    foreign.add_generic_rpc_handlers((service,))
    port = foreign.add_insecure_port("127.0.0.1:0")
    foreign.start()
    try:
        ran = run(f"grpc://127.0.0.1:{port}", STEADY + "rows: 2\n", "--model", "iris", "--rows", str(rows), "--duration", "1")
    finally:
        foreign.stop(None)
    assert ran.result["step"]["failures"] == {}
    assert ran.result["model"] == "iris:7"
    request, headers = seen[0]
    assert headers["x-canari-synthetic"] == "1"
    assert request.model_name == "iris"
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [("x", "FP32", [2, 3]), ("g", "BYTES", [2])]
    assert np.frombuffer(request.raw_input_contents[0], "<f4").tolist() == [1, 2, 3, 1, 2, 3]
    assert request.raw_input_contents[1] == b"\x02\x00\x00\x00\xc3\xa4" * 2


ROW = {"age": 30.0, "visits": 2, "smoker": True, "exercise": "some"}
REPLAY = "format: 1\nreplay: {speed: 2}\nwarmup: 0\ntimeout: 1\n" + OBJECTIVES


def recording(folder: Path, *lines: Any) -> str:
    path = folder / "recorded.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_a_replay_keeps_the_recorded_distances(run: Run, canari_server: Server, tmp_path: Path) -> None:
    seconds = [0.0, 0.5, 0.5, 1.0, 2.0]
    file = recording(tmp_path, *({"time": 1_700_000_000 + at, "rows": [ROW] * (1 + i)} for i, at in enumerate(seconds)))
    ran = run(canari_server.url, REPLAY, "--replay", file)
    due = sorted(request.intended for request in ran.requests)
    assert np.array(due) - due[0] == pytest.approx(np.array(seconds) / 2, abs=1e-5)
    step = ran.result["step"]
    assert (step["requests"], step["rows"], step["failures"]) == (5, 3, {})
    assert ran.code == 11  # five requests prove nothing


def test_a_replay_of_rows_that_do_not_fit(run: Run, tmp_path: Path) -> None:
    good = [{"time": i / 100, "row": ROW} for i in range(200)]
    file = recording(tmp_path, *good, {"time": 1, "row": {**ROW, "age": "old"}})
    with server() as url:
        refused = run(url, REPLAY, "--replay", file)
        assert refused.code == 2
        assert f"{file}, line 201, column 'age': expected a number, came 'old'" in refused.errors
        assert not (refused.out / "requests.ndjson").exists()
        skipped = run(url, REPLAY, "--replay", file, "--skip-unfit")
    assert len(skipped.requests) == 200
    assert skipped.result["skipped"] == 1
    assert "1 do not fit" in skipped.said
    assert "1 recorded requests were skipped" in skipped.report


def test_a_replay_of_rows_alone_comes_when_the_stages_say(run: Run, canari_server: Server, tmp_path: Path) -> None:
    file = recording(tmp_path, ROW, {**ROW, "age": 50})
    scenario = STEADY + "replay: {}\n"
    ran = run(canari_server.url, scenario, "--replay", file, "--duration", "1", "--rate", "80")
    assert 50 < len(ran.requests) < 120
    assert {request.error for request in ran.requests} == {None}
    timed = recording(tmp_path, {"time": 1, "row": ROW})
    assert "has stages: expected one of them" in run(canari_server.url, scenario, "--replay", timed).errors
    assert "has no times" in run(canari_server.url, REPLAY, "--replay", recording(tmp_path, ROW)).errors


@pytest.mark.parametrize(
    ("scenario", "more", "says"),
    [
        (STEADY, ("--replay", "x"), "--replay: scenario 'mine' is no replay"),
        (REPLAY, (), "names no file"),
        (REPLAY, ("--replay", "absent.ndjson"), "absent.ndjson: cannot be read"),
        (REPLAY, ("--rows", "x.csv"), "--rows"),
        (STEADY + "protocol: grpc\n", (), "expected grpc://HOST:PORT"),
        (STEADY, ("--model", "x"), "model"),
        (STEADY, ("--rows", "absent.csv"), "absent.csv: cannot be read"),
        (STEADY, ("--rate", "0"), "--rate"),
    ],
)
def test_contradictions_are_refused_in_one_line(
    run: Run, canari_server: Server, scenario: str, more: tuple[str, ...], says: str
) -> None:
    ran = run(canari_server.url, scenario, *more)
    assert ran.code == 2
    assert says in ran.errors
    assert not (ran.out / "result.json").exists()


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://x", "grpc://x", "http://", "http://x:port"])
def test_what_is_no_url_is_refused(run: Run, url: str) -> None:
    ran = run(url, STEADY)
    assert ran.code == 2
    assert "expected a URL such as http://127.0.0.1:3000" in ran.errors


def test_a_recorded_load_has_no_rate_to_change(run: Run, canari_server: Server, tmp_path: Path) -> None:
    file = recording(tmp_path, {"time": 0, "row": ROW}, {"time": 1, "row": ROW})
    for option in (("--rate", "5"), ("--highest",)):
        ran = run(canari_server.url, REPLAY, "--replay", file, *option)
        assert ran.code == 2
        assert option[0] in ran.errors


def test_nobody_there(run: Run) -> None:
    ran = run("http://127.0.0.1:1", STEADY)
    assert ran.code == 1
    assert "127.0.0.1:1" in ran.errors


def test_errors_fail_by_reason(run: Run) -> None:
    with server("errors", 0.3) as url:
        ran = run(url, STEADY)
    assert ran.code == 10
    step = ran.result["step"]
    assert list(step["failures"]) == ["HTTP 503"]
    assert 0.2 < step["failures"]["HTTP 503"] / step["requests"] < 0.4
    assert "HTTP 503" in ran.said
    assert "HTTP 503" in ran.report


def test_a_freeze_is_seen_by_all_who_came_meanwhile(run: Run) -> None:
    with server("freezes", 1.0) as url:  # for 0.2 of each second
        ran = run(url, STEADY.replace("max_ms: 900", "max_ms: 10"), "--duration", "2")
    assert ran.code != 0
    # A client that waits for the frozen server would see one slow answer in a hundred and more.
    assert ran.result["step"]["latency"]["p95"] > 80
    assert sum(request.latency_ms > 80 for request in ran.requests) > 15


def test_a_starved_generator_decides_nothing(run: Run) -> None:
    with server() as url:
        ran = run(url, STEADY.replace("max_cpu: 0.98, max_delay_ms: 500", "max_cpu: 0.000001"), "--duration", "1")
    assert ran.code == 11
    assert ran.result["step"]["starved"]
    assert "load generator was starved" in ran.report


HIGHEST = """
format: 1
arrivals: even
stages: [{seconds: 2, rate: 150}]
timeout: 1
objectives: {error_rate: {max: 0.05}, p95: {max_ms: 80}, generator: {max_cpu: 0.98, max_delay_ms: 500}}
"""


def test_the_highest_rate_is_the_servers_capacity(run: Run) -> None:
    with limited(200) as url:
        ran = run(url, HIGHEST, "--highest", "--duration", "1.5")
    assert ran.code == 0, ran.said
    highest = ran.result["highest"]
    assert 160 <= highest["rate"] <= 240, ran.said
    assert highest["rate"] < highest["broken_at"]
    assert highest["bound"] == "server"
    assert "Latency over rate" in ran.report
    assert f"kept at {highest['rate']:.4g}/s" in ran.report
    assert len(ran.requests) > max(step["requests"] for step in highest["steps"])


def test_no_rate_is_kept_by_a_server_that_only_fails(run: Run) -> None:
    with server("refuses") as url:
        ran = run(url, HIGHEST, "--highest", "--duration", "0.3", "--rate", "0.3")
    assert ran.code in (10, 11)
    assert ran.result["highest"]["rate"] is None
    assert "not kept" in ran.said


def test_a_taken_web_port_is_refused(run: Run) -> None:
    with server() as url:
        ran = run(url, STEADY, "--web-port", url.rpartition(":")[2])
    assert ran.code == 2
    assert "--web-port" in ran.errors
    assert not list(ran.out.iterdir())


def test_rest_needs_neither_grpc_nor_locust_in_this_process() -> None:
    code = "from canari.cli import loadtest; import sys; sys.exit(bool({'grpc', 'locust', 'bentoml'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
