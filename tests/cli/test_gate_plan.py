"""`canari gate plan` and what it refuses; what nothing was given to judge by is named by `canari gate run`."""

import json
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pytest

from canari.cli import main
from canari.gate.recording import Request, to_lines
from tests.gate.faulty import CSV, server

RATE = 100
RULES = """
format: 1
load: {duration: 60, rate: 100, warmup: 1}
rules:
  error_rate: {max: 0.02}
  p50_vs_baseline: {max_ratio: 1.5, max_ms: 0.5}
  live_error_rate: {max: 0.01}
"""
K8S = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: m}
spec:
  strategy:
    canary:
      steps:
        - experiment: {analyses: [{name: gate, templateName: m-gate}]}
        - setWeight: 50
        - experiment: {analyses: [{name: gate, templateName: m-gate, args: [{name: duration, value: "900"}]}]}
"""
TEMPLATE = """
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: m-gate}
spec: {args: [{name: duration, value: "5"}, {name: gates, value: "2"}, {name: baseline}]}
"""


def same(seconds: int = 30, rate: int = RATE, **change: Any) -> list[Request]:
    """Two servers of one version."""
    random = np.random.default_rng(3)
    requests = [
        Request(arm=arm, intended=1.8e9 + float(due), delay_ms=0.1, queued_ms=0, latency_ms=float(ms), status=200)
        for arm in ("baseline", "candidate")
        for due, ms in zip(
            np.sort(random.random(seconds * rate)) * seconds, random.lognormal(1, 0.3, seconds * rate), strict=True
        )
    ]
    return [msgspec.structs.replace(r, **{key: value(r) for key, value in change.items()}) for r in requests]


class Run(Protocol):
    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["gate", *arguments])
        assert isinstance(end.value.code, int)
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_a_plan_names_the_gates_that_are_too_short(run: Run, rules: Path, tmp_path: Path) -> None:
    (tmp_path / "requests.ndjson").write_bytes(to_lines(same()))
    (tmp_path / "release.yaml").write_text(K8S + TEMPLATE)
    code, out, err = run(
        "plan", "--rules", str(rules), "--recording", str(tmp_path / "requests.ndjson"),
        "--rollout", str(tmp_path / "release.yaml"), "--runs", "20",
    )  # fmt: skip
    assert code == 11
    assert "for each of 2 gates" in out
    assert "live_error_rate" in next(line for line in out.splitlines() if line.startswith("not planned"))
    assert err.count("warning") == 1
    assert "gate 1 of 2: 5 s of load are too short: error_rate needs" in err


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        (same(15), "s of load after the warm-up of 1 s, expected 20 or more"),
        (same(rate=40), "40.2 requests a second to the baseline, "),
        (same(intended=lambda r: r.intended + 3600 * (r.intended > 1.8e9 + 15)), "a clock jumped"),
        (same(intended=lambda r: r.intended - 86400 * (r.intended > 1.8e9 + 29.9)), "a clock jumped"),
        (same(latency_ms=lambda r: r.latency_ms * (1 + (r.arm == "candidate"))), "differ by more than p50_vs_baseline allows"),
        (same(latency_ms=lambda r: r.latency_ms * (1 + (r.arm == "baseline"))), "differ by more than p50_vs_baseline allows"),
        (same(delay_ms=lambda r: 150.0, latency_ms=lambda r: 151.0), "its own delay p99 was 150 ms"),
        (same(latency_ms=lambda r: -1.0), "requests are missing from the recording"),
        (same(arm=lambda r: "baseline"), "no request to the candidate"),
        (same(arm=lambda r: "stable"), "expected requests to baseline and candidate, came 'stable'"),
        ([], "no request to the baseline"),
    ],
)  # fmt: skip
def test_a_recording_that_is_not_stable_against_itself_is_refused(
    run: Run, rules: Path, tmp_path: Path, requests: list[Request], sentence: str
) -> None:
    (tmp_path / "requests.ndjson").write_bytes(to_lines(requests) or b"\n")
    code, out, err = run("plan", "--rules", str(rules), "--recording", str(tmp_path / "requests.ndjson"))
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (to_lines(same(1)) + b'{"arm": "candidate", "inten\n', "not a recording of requests in line 201: "),
        (b'{"outcome": "pass"}\n', "in line 1: Object missing required field"),
        (b"due,latency\n1,2\n", "in line 1: "),
        (b"PAR1\x15\x04\xff\n", "in line 1: "),
    ],
    ids=["cut line", "verdict", "CSV", "Parquet"],
)
def test_what_is_no_recording_is_refused(run: Run, rules: Path, tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "other").write_bytes(content)
    code, _, err = run("plan", "--rules", str(rules), "--recording", str(tmp_path / "other"))
    assert code == 1
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "came neither"),
        (["--baseline", "http://127.0.0.1:1"], "came neither"),
        (["--recording", "r", "--baseline", "http://127.0.0.1:1"], "came both"),
        (["--rollout", "K8S"], "the gates' duration is not in it"),
    ],
)
def test_wrong_usage_is_told(run: Run, rules: Path, tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "K8S").write_text(K8S)
    code, _, err = run("plan", "--rules", str(rules), *(str(tmp_path / one) if one == "K8S" else one for one in options))
    assert code == 2
    assert sentence in err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "load: {duration: 20, pass_after: 30}\nrules: {p50: {max_ms: 9}}",
            "load.pass_after: expected at most the duration of 20 s",
        ),
        ("rules:\n  p95: {max_ms: 20}\n  p50: {max_ms: 50}", "rules.p50.max_ms: expected at most the 20 of p95"),
        ("load: {timeout: 1}\nrules: {p50: {max_ms: 2000}}", "rules.p50.max_ms: expected less than the timeout of 1 s"),
    ],
)
def test_contradictory_rules_are_refused_before_anything_is_sent(run: Run, tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rules.yaml").write_text(f"format: 1\n{text}\n")
    nowhere = "http://127.0.0.1:1"
    out = tmp_path / "out"
    code, _, err = run(
        "run", "--baseline", nowhere, "--candidate", nowhere, "--rules", str(tmp_path / "rules.yaml"), "--out", str(out)
    )
    assert code == 2
    assert sentence in err
    assert not out.exists()


def test_a_server_that_is_not_there_is_named(run: Run, rules: Path, tmp_path: Path) -> None:
    with server() as url:
        code, _, err = run(
            "plan", "--rules", str(rules), "--baseline", url, "--candidate", "http://127.0.0.1:1", "--out", str(tmp_path)
        )
    assert code == 1
    assert "a server cannot be measured: http://127.0.0.1:1" in err


LACKING = {
    "prediction_shift": "no rows were given",
    "class_disagreement": "no rows were given",
    "live_restarts": "no live servers were named",
    "shadow_errors": "no shadow was named",
}
LIMITS = "prediction_shift: {max: 0.1}, class_disagreement: {max: 0.3}, live_restarts: {max: 1}, shadow_errors: {max: 0.01}"


@pytest.mark.parametrize("optional", [True, False])
def test_a_rule_on_what_was_not_recorded_passes_nothing(run: Run, tmp_path: Path, optional: bool) -> None:
    """Without rows, live servers or a shadow a rule is inconclusive; or named and not counted, where the file says so."""
    rules, out = tmp_path / "rules.yaml", tmp_path / "out"
    lines = ["format: 1", "load: {duration: 1, rate: 20}", f"rules: {{throughput: {{min: 0.1}}, {LIMITS}}}"]
    lines += [f"optional: [{', '.join(LACKING)}]"] if optional else []
    rules.write_text("\n".join(lines))
    with server() as url:
        code, said, _ = run("run", "--baseline", url, "--candidate", url, "--rules", str(rules), "--out", str(out))
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["not_judged"] == ([f"{name}: {why}" for name, why in LACKING.items()] if optional else [])
    undecided = {rule["name"]: rule["why"] for rule in verdict["rules"] if rule["outcome"] == "inconclusive"}
    assert undecided == ({} if optional else LACKING)
    assert code == (0 if optional else 11), said
    for name, why in LACKING.items():
        assert any(name in line and why in line for line in said.splitlines())
        assert why in (out / "report.html").read_text()


def test_a_rule_on_classes_of_a_model_without_any(run: Run, tmp_path: Path) -> None:
    """Of optional rules with nothing else to go by none passes a gate; one that could be judged is not named among them."""
    rules, out, rows = tmp_path / "rules.yaml", tmp_path / "out", tmp_path / "rows.csv"
    text = "format: 1\nload: {duration: 1, rate: 20}\noptional: [class_disagreement]\n"
    rules.write_text(f"{text}rules: {{class_disagreement: {{max: 0.3}}, prediction_changes: {{tolerance: 0.1, max: 0.2}}}}\n")
    rows.write_text(CSV)
    with server() as url:
        arguments = ("run", "--baseline", url, "--candidate", url, "--rules", str(rules), "--out", str(out))
        code, _, _ = run(*arguments)
        _, with_rows, _ = run(*arguments, "--rows", str(rows))
    assert code == 11
    assert "class_disagreement: the model has no prediction of this kind" in with_rows
    assert "prediction_changes: no rows" not in with_rows
