"""What a rehearsal must tell apart, through the command line; each case names its rule in `verdict.json`."""

import signal
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from canari.gate.recording import read
from tests.rehearsal.conftest import CommandLine, Rehearsed, rehearse, with_fault

pytestmark = pytest.mark.alone

FULL_LENGTH_SECONDS = 900
FASTER = ("--time-scale", "10")  # gates of six seconds


def assert_all_accounted(result: Rehearsed) -> dict[str, Any]:
    """Every request of the callers is answered or failed, by a named arm; the recording says the same as the verdict."""
    calls: dict[str, Any] = result.verdict["calls"]
    recorded = read(result.out / "calls.ndjson")
    assert calls["sent"] == len(recorded) == calls["answered"] + calls["failed"] > 0
    assert calls["answered"] == sum(arm["answered"] for arm in calls["by_arm"].values())
    assert calls["failed"] == sum(arm["failed"] for arm in calls["by_arm"].values())
    return calls


def assert_rolled_back(result: Rehearsed, rule: str) -> dict[str, Any]:
    assert result.code == 10, result
    verdict = result.verdict
    assert (verdict["outcome"], verdict["decision"], verdict["rule"]) == ("fail", "rolled back", rule), result
    assert result.rule(rule)["outcome"] == "fail"
    assert verdict["weights"][-1]["weight"] == 0
    calls = assert_all_accounted(result)
    assert calls["on_candidate_after_rollback"] == 0
    after = [r for r in read(result.out / "calls.ndjson") if r.intended > read_rollback(result)]
    assert after
    assert all(request.arm == "stable" and request.error is None for request in after)
    assert "ROLLED BACK" in result.stdout
    assert rule in result.stdout
    return calls


def read_rollback(result: Rehearsed) -> float:
    """When callers were sent back, as Unix time, half a second later for those on the way."""
    first = min(request.intended for request in read(result.out / "calls.ndjson"))
    weights = result.verdict["weights"]
    return float(first + weights[-1]["seconds"] - weights[0]["seconds"] + 0.5)


def test_healthy_forest_is_promoted_and_no_request_is_lost(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", *FASTER)
    assert result.code == 0, result
    verdict = result.verdict
    assert (verdict["outcome"], verdict["decision"], verdict["rule"]) == ("pass", "promoted", None)
    assert {rule["outcome"] for rule in verdict["rules"]} == {"pass"}
    calls = assert_all_accounted(result)
    assert calls["failed"] == 0
    assert [change["weight"] for change in verdict["weights"]] == [0, 10, 50, 100]
    assert calls["by_arm"]["candidate"]["answered"] > 0
    at_end = read(tmp_path / "calls.ndjson")[-50:]
    assert {request.arm for request in at_end} == {"candidate"}
    assert {request.version for request in at_end} == {"2"}
    assert len(verdict["gates"]) == 3
    assert verdict["time_scale"] == 10
    page = (tmp_path / "report.html").read_text()
    assert "Promoted" in page
    assert (tmp_path / "gates" / "3" / "report.html").exists()
    assert 'href="gates/3/report.html"' in page
    assert (tmp_path / "summary.md").read_text().startswith("## ✅ Promoted: diabetes:2 in place of diabetes:1\n")
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")
    assert suites.get("tests") == str(len(verdict["rules"]))


@pytest.mark.parametrize(
    ("fault", "time_scale", "rules"),
    [
        ("slow", 10, {"p50_vs_baseline", "p95_vs_baseline"}),
        # tests/cluster has these two as well
        pytest.param("freezing", 6, {"p95", "p99", "p95_vs_baseline"}, marks=pytest.mark.slow),  # ten seconds meet one freeze
        pytest.param("erring", 10, {"error_rate"}, marks=pytest.mark.slow),
    ],
)
def test_fault_that_load_shows_is_rolled_back(
    fault: str, time_scale: float, rules: set[str], canari: CommandLine, tmp_path: Path
) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", "--time-scale", str(time_scale), *with_fault(fault))
    failed = {rule["name"] for rule in result.verdict["rules"] if rule["outcome"] == "fail"} if result.code == 10 else set()
    assert failed & rules, result
    calls = assert_rolled_back(result, result.verdict["rule"])
    assert "candidate" not in calls["by_arm"], "the first gate runs before any caller is on the candidate"


def test_candidate_that_does_not_start_is_rolled_back(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", *FASTER, *with_fault("unstartable"))
    calls = assert_rolled_back(result, "candidate_ready")
    assert calls["failed"] == 0
    assert "cannot allocate the tensor arena" in result.verdict["reason"]


def test_candidate_that_dies_under_callers_is_rolled_back(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", *FASTER, *with_fault("dying"))
    calls = assert_rolled_back(result, "candidate_alive")
    assert calls["by_arm"]["candidate"]["answered"] > 0
    assert calls["by_arm"]["stable"]["failed"] == 0
    assert "exited with 3" in result.verdict["reason"]


def test_plausible_mistake_is_stopped_before_traffic_with_its_rows(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:3", *FASTER)
    calls = assert_rolled_back(result, "prediction_shift")
    assert result.rule("prediction_shift")["step"] == "before any traffic"
    assert "candidate" not in calls["by_arm"]
    assert calls["failed"] == 0
    assert result.verdict["gates"] == []
    for rule in result.verdict["rules"]:  # what a pipeline reads
        assert {"name", "outcome", "value", "interval", "limit", "samples", "step"} <= set(rule)
    assert "the rows that differ most" in result.stdout
    assert "The rows that differ most" in (tmp_path / "report.html").read_text()


def test_gate_of_three_seconds_is_inconclusive(paused: Rehearsed) -> None:
    assert paused.code == 11, paused
    verdict = paused.verdict
    assert (verdict["outcome"], verdict["decision"]) == ("inconclusive", "paused")
    assert paused.rule(verdict["rule"])["outcome"] == "inconclusive"
    assert assert_all_accounted(paused)["failed"] == 0
    assert [change["weight"] for change in verdict["weights"]] == [0]


@pytest.mark.parametrize("heard", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_ctrl_c_leaves_no_process_behind(heard: Any, canari: CommandLine, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, heard)  # a shell's background job is started with SIGINT ignored
    try:
        process = canari.start("rehearse", "--stable", "diabetes:1", "--candidate", "diabetes:2", "--out", str(tmp_path), *FASTER)
    finally:
        signal.signal(signal.SIGINT, before)
    calls = tmp_path / "calls.ndjson"
    deadline = time.monotonic() + 60
    while not (calls.exists() and calls.stat().st_size > 5000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(canari.left_behind()) >= 4  # canari, a server, Envoy, callers
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not (tmp_path / "verdict.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stable", "diabetes:9", "--candidate", "diabetes:2"), "no model diabetes:9 in the store; there is: diabetes:1"),
        (("--stable", "diabetes", "--candidate", "diabetes:2"), "'diabetes': expected NAME:VERSION"),
        (("--stable", "diabetes:1", "--candidate", "diabetes:2", "--candidate-command", "serve"), "has no {http_port}"),
        (("--stable", "diabetes:1", "--candidate", "diabetes:2", "--time-scale", "0"), "0"),
        (("--stable", "diabetes:1", "--candidate", "diabetes:2", "--rules", "/no/such.yaml"), "/no/such.yaml"),
    ],
)
def test_wrong_usage_is_said_in_one_message(options: tuple[str, ...], message: str, canari: CommandLine, tmp_path: Path) -> None:
    done = canari.run("rehearse", "--out", str(tmp_path / "out"), *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(FULL_LENGTH_SECONDS)
def test_full_length_healthy(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", seconds=FULL_LENGTH_SECONDS)
    assert result.code == 0, result
    assert assert_all_accounted(result)["failed"] == 0


@pytest.mark.slow
@pytest.mark.timeout(FULL_LENGTH_SECONDS)
def test_full_length_freezing(canari: CommandLine, tmp_path: Path) -> None:
    result = rehearse(canari, tmp_path, "diabetes:2", *with_fault("freezing"), seconds=FULL_LENGTH_SECONDS)
    assert_rolled_back(result, result.verdict["rule"])
