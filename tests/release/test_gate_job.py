"""The gate's Job: a verdict is published whole, with its history, or there is none; against a mock of the API server."""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from kubernetes import client

from canari.errors import CanariError
from canari.gate.rules import Rules, load_rules
from canari.gate.verdict import Dropped, Outcome, RuleResult, Verdict, Version
from canari.release import gate_job, verdicts
from tests.gate.faulty import CSV, server
from tests.release.conftest import listen

MODEL = "toy"
EXPERIMENT = "toy-new-2-0"


@dataclass
class MockApi:
    """One ConfigMap and pods; keeps the ConfigMap as a real API server would after merge patches (RFC 7396)."""

    config_map: dict[str, Any] | None = field(default_factory=lambda: {"metadata": {"name": "toy-verdict"}})
    pods: list[dict[str, Any]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # statuses of the next answers
    forbidden: bool = False
    selectors: list[str] = field(default_factory=list)
    patches: int = 0
    url: str = ""

    def answer(self, verb: str, url: str, content_type: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(url)
        if self.failures:
            return self.failures.pop(0), {"message": "the server is going down"}
        if self.forbidden:
            return 403, {"message": 'configmaps "toy-verdict" is forbidden: User "toy-gate" cannot get'}
        if parts.path == "/api/v1/namespaces/models/pods":
            self.selectors += parse_qs(parts.query)["labelSelector"]
            return 200, {"kind": "PodList", "items": self.pods}
        assert parts.path == "/api/v1/namespaces/models/configmaps/toy-verdict"
        if self.config_map is None:
            return 404, {"message": 'configmaps "toy-verdict" not found'}
        if verb == "PATCH":
            assert content_type == "application/merge-patch+json"
            self.patches += 1
            for part, values in json.loads(body).items():
                there = self.config_map.setdefault(part, {})
                there.update(values)
                self.config_map[part] = {key: value for key, value in there.items() if value is not None}
        return 200, self.config_map

    @property
    def api(self) -> gate_job.Api:
        settings = client.Configuration()
        settings.host, settings.retries, settings.proxy = self.url, False, None
        return gate_job.Api(client.CoreV1Api(client.ApiClient(settings)), "models", patience_s=2.5)

    def data(self) -> dict[str, str]:
        assert self.config_map is not None
        data: dict[str, str] = self.config_map.get("data", {})
        return data

    def binary(self) -> dict[str, str]:
        assert self.config_map is not None
        binary: dict[str, str] = self.config_map.get("binaryData", {})
        return binary


@pytest.fixture
def mock() -> Iterator[MockApi]:
    mock = MockApi()

    listening = listen(mock.answer)
    mock.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield mock
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "format: 1\nload: {duration: 2, rate: 200, timeout: 1}\n"
        "rules: {error_rate: {max: 0.05}, live_error_rate: {max: 0.005}, live_restarts: {max: 1}}\n"
        "optional: [live_error_rate, live_restarts]\n"
    )
    return load_rules(path)


def measurement(port: str, candidate: str = "127.0.0.1") -> gate_job.Measurement:
    return gate_job.Measurement(
        model=MODEL, release="new", stable="old", baseline="127.0.0.1", candidate=candidate, port=int(port)
    )


def pod(name: str, hash_: str, ip: str, *, restarts: int = 0, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"rollouts-pod-template-hash": hash_}, **status.pop("metadata", {})},
        "spec": {"containers": []},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "containerStatuses": [
                {"name": "server", "restartCount": restarts, "image": "i", "imageID": "i", "ready": True}
            ],
            **status,
        },
    }  # fmt: skip


def a_verdict(outcome: Outcome = "pass", why: str = "so", name: str = "p95") -> Verdict:
    rule = RuleResult(name=name, outcome=outcome, value=1, unit="ms", interval=None, limit=1, samples=1, why=why)
    version = Version(name="toy:1", version="1", url="http://toy")
    return Verdict(
        outcome=outcome, rules=(rule,), baseline=version, candidate=version, seed=0, started="", duration_s=1, rate=1,
        generator=None, attempts=1, dropped=Dropped(warmup=0, warmup_s=0), predictions="", rules_file="", rules_sha256="",
    )  # fmt: skip


def a_gate(number: int = 0, **more: Any) -> verdicts.Gate:
    values = {"experiment": f"toy-hash{number}-{number}-0", "release": f"hash{number}", "stable": "old", "verdict": a_verdict()}
    return verdicts.Gate(published=f"2026-11-22T21:{number:02}:00.000+00:00", **{**values, **more})


@pytest.mark.alone
def test_a_pass_is_published_with_its_report(mock: MockApi, rules: Rules) -> None:
    with server() as url:
        verdict = gate_job.run(mock.api, measurement(url.rpartition(":")[2]), rules)
    assert verdict.outcome == "pass"
    assert mock.patches == 1
    data = mock.data()
    assert (data["outcome"], data["release"], data["stable"], data["why"]) == ("pass", "new", "old", "2 rules passed")
    assert json.loads(data["verdict"])["outcome"] == "pass"
    (gate,) = verdicts.history(mock.binary())
    assert gate.verdict == verdict
    page = verdicts.report(mock.binary(), gate)
    assert page is not None
    assert b"</html>" in page
    assert mock.selectors[0] == "app.kubernetes.io/name=toy,rollouts-pod-template-hash in (new,old)"


@pytest.mark.alone
def test_a_candidate_that_nobody_can_reach_fails(mock: MockApi, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_job, "PATIENCE_SECONDS", 0.5)
    with server() as url:
        verdict = gate_job.run(mock.api, measurement(url.rpartition(":")[2], candidate="127.0.0.9"), rules)
    assert verdict.outcome == mock.data()["outcome"] == "fail"
    assert mock.data()["why"].startswith("error_rate: ")
    assert len(mock.data()["why"]) <= 300


def test_a_baseline_that_nobody_can_reach_leaves_the_old_verdict(
    mock: MockApi, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_job, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(CanariError, match="the baseline cannot be measured"):
        gate_job.run(mock.api, measurement("1"), rules)
    assert mock.patches == 0


def test_without_a_place_for_the_verdict_nothing_is_measured(mock: MockApi, rules: Rules) -> None:
    mock.config_map = None
    with pytest.raises(CanariError, match=r'cannot read ConfigMap toy-verdict in namespace models: .*"toy-verdict" not found'):
        gate_job.run(mock.api, measurement("1"), rules)
    mock.forbidden = True
    with pytest.raises(CanariError, match=r"is forbidden.*HTTP 403"):
        gate_job.run(mock.api, measurement("1"), rules)


def test_an_api_server_that_is_down_for_a_moment_is_waited_for(mock: MockApi) -> None:
    mock.failures = [503, 500]
    assert mock.api.config_map("toy-verdict").metadata.name == "toy-verdict"  # type: ignore[union-attr]


def test_an_api_server_that_stays_down_is_an_error(mock: MockApi) -> None:
    mock.failures = [503] * 20
    with pytest.raises(CanariError, match="the server is going down"):
        mock.api.config_map("toy-verdict")
    mock.url = "http://127.0.0.1:1"
    with pytest.raises(CanariError, match="no answer from the API server"):
        mock.api.config_map("toy-verdict")


def test_live_pods_are_those_that_run_for_callers(mock: MockApi) -> None:
    mock.pods = [
        pod("stable-1", "old", "10.0.0.1"),
        pod("canary-1", "new", "10.0.0.2", restarts=2),
        pod("canary-v6", "new", "fd00::2"),
        pod("canary-starting", "new", "10.0.0.3", phase="Pending"),
        pod("canary-leaving", "new", "10.0.0.4", metadata={"deletionTimestamp": "2026-11-22T21:00:00Z"}),
    ]
    fleet = gate_job.live_fleet(mock.api, measurement("3000"))
    assert [(s.name, s.url, s.restarts) for s in fleet["candidate"]] == [
        ("canary-1", "http://10.0.0.2:3000", 2),
        ("canary-v6", "http://[fd00::2]:3000", 0),
    ]
    assert [s.name for s in fleet["baseline"]] == ["stable-1"]


@pytest.mark.alone
def test_a_crashing_live_canary_fails_a_healthy_fresh_one(mock: MockApi, rules: Rules) -> None:
    mock.pods = [pod("canary-1", "new", "127.0.0.1", restarts=3)]
    with server() as url:
        gate_job.run(mock.api, measurement(url.rpartition(":")[2]), rules)
    assert mock.data()["outcome"] == "fail"
    assert mock.data()["why"].startswith("live_restarts: ")


@pytest.mark.alone
def test_predictions_are_compared_on_a_persons_rows(mock: MockApi, rules: Rules, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(CSV)
    with server() as url:
        gate_job.run(mock.api, measurement(url.rpartition(":")[2]), rules, rows)
    assert json.loads(mock.data()["verdict"])["predictions"].startswith("compared on 120 rows")


def test_the_experiments_name_tells_revision_and_step() -> None:
    gate = a_gate(experiment="my-model-6f9d-12-4", release="6f9d")
    assert (gate.revision, gate.step) == (12, 4)
    again = a_gate(experiment="my-model-6f9d-12-4-1", release="6f9d")  # after `kubectl argo rollouts retry`
    assert (again.revision, again.step) == (12, 4)
    assert a_gate(experiment="by-hand").revision is None


def publish(binary: dict[str, str], gate: verdicts.Gate, page: bytes = b"<html>") -> dict[str, str]:
    """The ConfigMap's binaryData after one more gate."""
    merged = {**binary, **verdicts.patch(gate, page, binary)["binaryData"]}
    return {key: value for key, value in merged.items() if value is not None}


def test_the_oldest_gates_go() -> None:
    binary: dict[str, str] = {}
    for number in range(30):
        binary = publish(binary, a_gate(number))
    assert [gate.release for gate in verdicts.history(binary)] == [f"hash{number}" for number in range(18, 30)]
    assert len(binary) == 24, "the reports go with their gates"


def test_the_history_stays_small_and_the_newest_is_kept() -> None:
    binary: dict[str, str] = {}
    for number in range(8):
        binary = publish(binary, a_gate(number), page=os.urandom(120_000))
        assert sum(map(len, binary.values())) < 700_000
    assert [gate.release for gate in verdicts.history(binary)][-1] == "hash7"
    binary = publish(binary, a_gate(8), page=os.urandom(2_000_000))
    newest = verdicts.history(binary)[-1]
    assert newest.release == "hash8"
    assert verdicts.report(binary, newest) is None, "a page that does not fit is left out"


def test_what_is_no_gate_is_dropped() -> None:
    rubbish = {
        "a.json.gz": base64.b64encode(b"rubbish").decode(),
        "b.json.gz": "not base64",
        "c.json.gz": base64.b64encode(gzip.compress(b"{}")).decode(),
        "d.txt": "",
    }
    assert verdicts.history(rubbish) == []
    assert set(publish(rubbish, a_gate())) == {"toy-hash0-0-0.json.gz", "toy-hash0-0-0.html.gz"}


def test_a_gate_that_is_run_again_takes_the_place_of_the_first() -> None:
    binary = publish(publish({}, a_gate(1)), a_gate(1, verdict=a_verdict("fail")))
    assert [gate.outcome for gate in verdicts.history(binary)] == ["fail"]


@pytest.mark.parametrize(
    ("outcome", "says"),
    [("pass", "1 rule passed"), ("fail", "p95: 1.2 ms,\n  too slow"), ("inconclusive", "p95: 1.2 ms,\n  too slow")],
)
def test_why_is_one_line(outcome: Outcome, says: str) -> None:
    gate = a_gate(verdict=a_verdict(outcome, why="1.2 ms,\n  too slow"))
    assert gate.why == " ".join(says.split())
    assert len(a_gate(verdict=a_verdict("fail", why="x" * 999)).why) == 300


def test_the_verdict_travels_whole() -> None:
    gate = a_gate(verdict=a_verdict("inconclusive"))
    assert msgspec.json.decode(msgspec.json.encode(gate), type=verdicts.Gate) == gate


def test_outside_a_cluster_the_command_says_so() -> None:
    command = [sys.executable, "-m", "canari", "release", "gate", "--model", "toy", "--release", "a", "--stable", "b",
               "--baseline", "x", "--candidate", "y", "--rules", "rules.yaml"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("canari: not in a pod")
    assert len(ran.stderr.splitlines()) == 1


def test_sigterm_ends_at_once_without_a_verdict(mock: MockApi, rules: Rules) -> None:
    """In a process of its own, whose way to the API server is the mock; it ends long before its load would."""
    with server() as url:
        port = url.rpartition(":")[2]
        script = f"""
import sys
from tests.release.test_gate_job import MockApi
from canari.cli.release import gate as command
from canari.release import gate_job
gate_job.connect = lambda: MockApi(url={mock.url!r}).api
sys.argv = ["canari"]
command.gate.main(["--model", "toy", "--release", "new", "--stable", "old", "--baseline", "127.0.0.1", "--candidate",
    "127.0.0.1", "--port", "{port}", "--rules", {rules.file!r}, "--duration", "600"], standalone_mode=False)
"""
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while not mock.selectors:  # the live pods are asked for when the load begins
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.strip() == "canari: terminated before there was a verdict"
    assert mock.patches == 0
