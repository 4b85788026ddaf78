"""Clients that people really use, each in its own language or environment, against a live server."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from canari.serving.oip import generate
from tests.serving.clients.conftest import COLUMNS, Live

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
KSERVE = PROJECT / ".venv-clients" / "bin" / "python"

UNKNOWN_LEVEL = "row 0, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'"
DATATYPES = {"age": "FP64", "visits": "INT64", "smoker": "BOOL", "exercise": "BYTES"}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def output_of(*command: str | Path, **how: Any) -> str:
    """What a command prints; fails with what it complains of."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, **how
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


class Curl:
    """curl, as in a shell script."""

    def __init__(self, live: Live, folder: Path) -> None:
        self._url, self._folder = live.server.url, folder

    def post(self, path: str, body: bytes, *headers: str) -> tuple[int, dict[str, str], bytes]:
        sent, heads, came = (self._folder / name for name in ("sent", "heads", "came"))
        sent.write_bytes(body)
        told = [argument for header in headers for argument in ("-H", header)]
        data = ("--data-binary", f"@{sent}", "-D", heads, "-o", came)
        status = output_of("curl", "-s", "-w", "%{http_code}", *told, *data, f"{self._url}{path}")
        lines = [line.split(": ", 1) for line in heads.read_text().splitlines() if ": " in line]
        return int(status), {name.lower(): value for name, value in lines}, came.read_bytes()


@pytest.fixture
def curl(live: Live, tmp_path: Path) -> Curl:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return Curl(live, tmp_path)


def tensors(columns: dict[str, Any], **described: Any) -> list[dict[str, Any]]:
    return [{"name": n, "datatype": DATATYPES[n], "shape": [len(v), 1], **described, "data": v} for n, v in columns.items()]


def test_curl_with_records(live: Live, curl: Curl) -> None:
    json_type = "Content-Type: application/json"
    status, headers, body = curl.post("/predict", json.dumps(ROWS).encode(), json_type, "X-Request-Id: curl-1")
    assert (status, headers["x-request-id"], headers["x-canari-version"]) == (200, "curl-1", "1")
    live.agree([row["prediction"] for row in json.loads(body)["predictions"]])
    status, _, body = curl.post("/predict", json.dumps([{**ROWS[0], "exercise": "much"}]).encode(), json_type)
    assert (status, json.loads(body)["error"]) == (400, UNKNOWN_LEVEL)


def test_curl_with_columns(live: Live, curl: Curl) -> None:
    status, _, body = curl.post("/predict", json.dumps({"columns": COLUMNS}).encode(), "Content-Type: application/json")
    assert status == 200, body
    live.agree([row["prediction"] for row in json.loads(body)["predictions"]])


def test_curl_with_ndjson(live: Live, curl: Curl) -> None:
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
    status, _, body = curl.post("/predict", lines, "Content-Type: application/x-ndjson")
    assert status == 200, body
    live.agree([json.loads(line)["prediction"] for line in body.splitlines()])


def test_curl_with_tensors(live: Live, curl: Curl) -> None:
    request = {"id": "from-curl", "inputs": tensors(COLUMNS)}
    status, _, body = curl.post("/v2/models/toy/versions/1/infer", json.dumps(request).encode(), "Content-Type: application/json")
    answer = json.loads(body)
    assert (status, answer["id"], answer["model_version"]) == (200, "from-curl", "1")
    live.agree(answer["outputs"][0]["data"])


def test_curl_with_binary_tensors(live: Live, curl: Curl) -> None:
    layouts = {"age": "d", "visits": "q", "smoker": "?"}
    raw = {n: b"".join(struct.pack(f"<{layouts[n]}", v) for v in COLUMNS[n]) for n in layouts}
    texts = [str(level).encode() for level in COLUMNS["exercise"]]
    raw["exercise"] = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    inputs = [
        {"name": n, "datatype": DATATYPES[n], "shape": [len(ROWS), 1], "parameters": {"binary_data_size": len(raw[n])}}
        for n in COLUMNS
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(raw[name] for name in COLUMNS)
    own = f"Inference-Header-Content-Length: {len(head)}"
    status, headers, came = curl.post("/v2/models/toy/infer", body, "Content-Type: application/octet-stream", own)
    assert status == 200, came
    described = int(headers["inference-header-content-length"])
    live.agree(list(struct.unpack(f"<{len(ROWS)}d", came[described:])))


def test_httr2(live: Live) -> None:
    probe = ["Rscript", "-e", "library(httr2)"]
    if shutil.which("Rscript") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("R with httr2 is not installed")
    found = json.loads(output_of("Rscript", HERE / "httr2_client.R", live.server.url, live.case))
    live.agree([float(text) for text in found["records"]])
    live.agree([float(text) for text in found["infer"]])
    assert (found["request_id"], found["version"], found["id"]) == ("httr2-1", "1", "from-r")
    assert found["invalid"] == [400, UNKNOWN_LEVEL]
    assert (found["inputs"], found["ready"]) == (4, 200)


def test_go(live: Live, tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    folder = tmp_path / "client"
    shutil.copytree(HERE / "go", folder)
    stub = folder / "oip"
    stub.mkdir()
    plugins = tmp_path / "bin"
    output_of("go", "install", "tool", cwd=folder, env={**os.environ, "GOBIN": str(plugins)})
    # Neither names a package for Go in the proto nor needs one there.
    package = f"M{generate.PROTO}=canari/clients/oip"
    options = [
        f"--{out}_{what}" for out in ("go", "go-grpc") for what in (f"out={stub}", "opt=paths=source_relative", f"opt={package}")
    ]
    generate.protoc(*options, path=plugins)
    output_of("go", "build", "-o", tmp_path / "caller", ".", cwd=folder)
    found = json.loads(output_of(tmp_path / "caller", live.server.grpc, live.case))
    live.agree(found["predictions"])
    assert (found["id"], found["request_id"], found["version"]) == ("from-go", ["go-1"], ["1"])
    assert (found["live"], found["ready"], found["inputs"], found["health"]) == (True, True, 4, "SERVING")
    assert found["invalid"] == UNKNOWN_LEVEL
    assert found["codes"] == [3, 5, 4]  # INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED


def test_kserve(live: Live) -> None:
    if not KSERVE.exists():
        pytest.skip("KServe's client is not installed: make clients does it")
    server = live.server
    found = json.loads(output_of(KSERVE, HERE / "kserve_client.py", server.url, server.grpc, live.case))
    rest, over_grpc = found["rest"], found["grpc"]
    for answer in (rest["json"], rest["binary"], over_grpc["typed"], over_grpc["raw"]):
        live.agree(answer["predictions"])
        assert answer["id"] == "from-kserve"
    assert rest["json"]["request_id"] == rest["binary"]["request_id"] == "kserve-1"
    assert all(answers[what] for answers in (rest, over_grpc) for what in ("live", "ready"))
    assert rest["invalid"][0] == 400
    assert UNKNOWN_LEVEL in rest["invalid"][1]
    assert over_grpc["invalid"] == ["INVALID_ARGUMENT", UNKNOWN_LEVEL]
