"""`canari gate run` against real servers, healthy and faulty: the right rule decides, and nothing hangs."""

import itertools
import json
from pathlib import Path
from typing import Any, Protocol

import pytest

from canari.cli import main
from tests.gate.faulty import CSV, server

pytestmark = pytest.mark.alone

RULES = """
format: 1
load: {duration: 2.5, rate: 400, timeout: 1}
rules:
  error_rate: {max: 0.005}
  p95: {max_ms: 150}
  p99: {max_ms: 500}
  p50_vs_baseline: {max_ratio: 1.5, max_ms: 10}
  p95_vs_baseline: {max_ratio: 1.5, max_ms: 50}
  throughput: {min: 0.95}
  generator: {max_cpu: 0.95, max_delay_ms: 200}
  prediction_shift: {max: 0.1}
  prediction_difference: {max: 0.25}
optional: [prediction_shift, prediction_difference]
"""
# A fault shows at any rate; one that a busy machine can send leaves the generator out of it.
GENTLE = RULES.replace("rate: 400", "rate: 100")
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def baseline() -> Any:
    with server() as url:
        yield url


class Gate(Protocol):
    def __call__(self, baseline: str, candidate: str, rules: Path, *more: str) -> tuple[int, dict[str, Any], str]: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Gate:
    """Runs the command: exit code, verdict and all that was printed."""

    def run(baseline: str, candidate: str, rules: Path, *more: str) -> tuple[int, dict[str, Any], str]:
        out = rules.parent / "out"
        with pytest.raises(SystemExit) as end:
            main(
                ["gate", "run", "--baseline", baseline, "--candidate", candidate, "--rules", str(rules), "--out", str(out), *more]
            )
        verdict = json.loads((out / "verdict.json").read_text()) if (out / "verdict.json").exists() else {}
        assert isinstance(end.value.code, int)
        return end.value.code, verdict, "".join(capsys.readouterr())

    return run


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {rule["name"]: rule["outcome"] for rule in verdict["rules"]}


def test_a_healthy_candidate_passes(run: Gate, baseline: str, rules: Path) -> None:
    rows = rules.with_name("rows.csv")
    rows.write_text(CSV)
    with server("marked") as candidate:  # answers only what is marked synthetic
        code, verdict, printed = run(
            baseline, candidate, rules, "--rows", str(rows), "--seed", "7", "--baseline-name", "a:1", "--candidate-name", "a:2"
        )
    assert set(outcomes(verdict).values()) == {"pass"}, printed
    assert (code, verdict["outcome"], verdict["format"], verdict["seed"]) == (0, "pass", 1, 7)
    assert (verdict["baseline"]["name"], verdict["candidate"]["name"]) == ("a:1", "a:2")
    assert verdict["predictions"] == "compared on 120 rows"
    for rule in verdict["rules"]:
        assert f"PASS          {rule['name']}" in printed
        assert rule["samples"] > 0
        assert rule["why"]
    requests = [json.loads(line) for line in (rules.parent / "out" / "requests.ndjson").read_text().splitlines()]
    arms = [request["arm"] for request in requests]
    assert verdict["dropped"]["warmup"] == len(requests) - sum(
        rule["samples"] for rule in verdict["rules"] if rule["name"] == "generator"
    )
    assert {request["version"] for request in requests} == {"toy:1"}
    # Interleaved at random: neither arm follows the other for long, nor strictly in turn.
    by_time = [arm for _, arm in sorted(zip((r["intended"] for r in requests), arms, strict=True))]
    changes = sum(a != b for a, b in itertools.pairwise(by_time)) / len(by_time)
    assert 0.4 < changes < 0.6


@pytest.mark.parametrize(
    ("fault", "amount", "seconds", "failing"),
    [
        ("late", 0.03, "1", "p50_vs_baseline"),
        ("freezes", 2.0, "10", "p95_vs_baseline"),
        ("errors", 0.1, "1", "error_rate"),
        ("dies", 0.5, "1", "error_rate"),
        ("hangs", 0.0, "1", "error_rate"),
        ("babbles", 0.0, "1", "error_rate"),
        ("drips", 0.0, "1", "throughput"),
        ("cuts", 0.0, "1", "error_rate"),
    ],
)
def test_a_fault_fails_its_rule(
    run: Gate, baseline: str, rules: Path, fault: str, amount: float, seconds: str, failing: str
) -> None:
    rules.write_text(GENTLE)
    with server(fault, amount) as candidate:
        code, verdict, printed = run(baseline, candidate, rules, "--duration", seconds)
    assert outcomes(verdict)[failing] == "fail", printed
    assert (code, verdict["outcome"]) == (10, "fail")
    assert outcomes(verdict)["generator"] == "pass"
    assert verdict["predictions"] == "not compared: no rows were given"


def test_a_candidate_that_refuses_connections_fails(run: Gate, baseline: str, rules: Path) -> None:
    rules.write_text(GENTLE)
    code, verdict, _ = run(baseline, NOWHERE, rules, "--duration", "1")
    assert code == 10
    assert outcomes(verdict)["error_rate"] == "fail"
    assert verdict["candidate"]["version"] is None


@pytest.mark.parametrize(("fault", "shift"), [("shifted", "fail"), ("refuses", "fail"), ("hangs", "inconclusive")])
def test_predictions_are_compared_on_rows(run: Gate, baseline: str, rules: Path, fault: str, shift: str) -> None:
    rows = rules.with_name("rows.csv")
    rows.write_text(CSV)
    rules.write_text(GENTLE)
    with server(fault, 0.3) as candidate:
        _, verdict, printed = run(baseline, candidate, rules, "--rows", str(rows), "--duration", "0.5")
    assert outcomes(verdict)["prediction_shift"] == shift, printed
    if fault == "refuses":
        assert "expected no age" in printed


def test_too_few_requests_are_inconclusive(run: Gate, baseline: str, rules: Path) -> None:
    rules.write_text(GENTLE)
    code, verdict, printed = run(baseline, baseline, rules, "--duration", "2")
    assert (code, verdict["outcome"]) == (11, "inconclusive"), printed
    assert outcomes(verdict)["p99"] == outcomes(verdict)["error_rate"] == "inconclusive"


@pytest.mark.parametrize("fault", ["hangs", "babbles", None])
def test_a_baseline_that_cannot_be_measured_is_an_error(run: Gate, baseline: str, rules: Path, fault: str | None) -> None:
    out = rules.parent / "out"
    out.mkdir()
    (out / "verdict.json").write_text('{"outcome": "pass"}')  # of an earlier gate
    with server(fault or "none") as faulty:
        code, verdict, printed = run(faulty if fault else NOWHERE, baseline, rules, "--duration", "1")
    assert (code, verdict) == (1, {})
    assert "the baseline cannot be measured" in printed


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("p95:", "p95th:"), ("line 6", "p95th", "error_rate", "p99")),
        (("rate: 400", "rate: fast"), ("line 3", "load.rate", "expected a number", "'fast'")),
        (("max: 0.005", "most: 0.005"), ("line 5", "rules.error_rate.most", "max")),
    ],
)
def test_a_wrong_rules_file_is_wrong_usage(
    run: Gate, baseline: str, rules: Path, change: tuple[str, str], names: tuple[str, ...]
) -> None:
    rules.write_text(RULES.replace(*change))
    code, verdict, printed = run(baseline, baseline, rules)
    assert (code, verdict) == (2, {})
    for name in names:
        assert name in printed


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--rows", "nowhere.csv"), 2, "nowhere.csv"),
        (("--duration", "0"), 2, "duration"),
        (("--rules", "nowhere.yaml"), 2, "nowhere.yaml"),
        (("--baseline", "localhost"), 2, "expected a URL"),
        (("--out", "/proc/out"), 2, "/proc/out"),
    ],
)
def test_wrong_usage_is_one_sentence(run: Gate, baseline: str, rules: Path, more: tuple[str, ...], code: int, says: str) -> None:
    done, verdict, printed = run(baseline, baseline, rules, *more)
    assert (done, verdict) == (code, {})
    assert says in printed


def test_a_wrong_locustfile_is_wrong_usage(run: Gate, baseline: str, rules: Path) -> None:
    rules.with_name("mine.py").write_text("import nothing_of_that_name\n")
    rules.write_text(RULES + "locustfile: mine.py\n")
    code, _, printed = run(baseline, baseline, rules, "--duration", "1")
    assert code == 2
    assert "mine.py" in printed
    assert "nothing_of_that_name" in printed
