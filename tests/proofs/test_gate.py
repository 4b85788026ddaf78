"""A small sample of the proof that the gate does not lie, on a recorded trace; and whether it would notice what it is for."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from canari.gate.verdict import Outcome
from proofs import results
from proofs.gate import real, report
from proofs.gate.faults import FAULTS, waits
from proofs.gate.peers import Threshold, closed_loop, is_high, kayenta, score, shift
from proofs.gate.proxy import FAULTS as PROXIED
from proofs.gate.proxy import Freezes, proxy, times
from proofs.gate.recording import record, traces
from proofs.gate.releases import draw_gate, stream
from proofs.gate.simulation import CLOSED_LOOP, KAYENTA, THRESHOLD, Gate, Judged, Plan, Release, compare_all, judge, simulate
from proofs.gate.traces import Trace, join, load_trace
from tests.gate.faulty import SIGNATURE, server

FOLDER = Path(__file__).parent / "gate"
SECONDS = 30.0


@pytest.fixture(scope="module")
def trace() -> Trace:
    (path,) = FOLDER.glob("*.npz")
    return load_trace(path)


def plan(fault: str = "", seconds: float = SECONDS) -> Plan:
    return Plan(kind="sample", rules="strict", seconds=seconds, fault=fault)


def test_a_gate_is_drawn_from_whole_stretches_of_both_servers(trace: Trace) -> None:
    gate = draw_gate([trace], SECONDS, stream("a gate"))
    assert gate.seconds == pytest.approx(SECONDS)
    assert (np.diff(gate.due) >= 0).all()
    assert 0 <= gate.due[0] < gate.due[-1] < SECONDS
    assert len(gate) == pytest.approx(len(trace) / trace.seconds * SECONDS, rel=0.1)
    assert set(gate.latency_ms) <= set(trace.latency_ms)
    other = draw_gate([trace], SECONDS, stream("another"))
    assert not np.array_equal(gate.latency_ms[:100], other.latency_ms[:100])
    assert np.array_equal(gate.latency_ms, draw_gate([trace], SECONDS, stream("a gate")).latency_ms)


def test_a_trace_is_kept_to_the_microsecond(trace: Trace, tmp_path: Path) -> None:
    both = join([trace.cut(1, 3), trace.cut(2, 2).swapped()])
    both.save(tmp_path / "t.npz")
    kept = load_trace(tmp_path / "t.npz")
    assert np.allclose(kept.due, both.due, rtol=0, atol=1e-6)
    assert np.allclose(kept.latency_ms, both.latency_ms, rtol=0, atol=1e-3)
    assert np.array_equal(kept.candidate, both.candidate)
    assert kept.seconds == 5


def test_every_fault_changes_the_candidate_alone_and_by_what_it_says(trace: Trace) -> None:
    mine = trace.candidate
    for name, put in FAULTS.items():
        faulty = put(trace, stream(name))
        assert np.array_equal(faulty.latency_ms[~mine], trace.latency_ms[~mine])
        assert np.array_equal(faulty.failed[~mine], trace.failed[~mine])

    def ratio(name: str, q: float) -> float:
        return float(np.quantile(FAULTS[name](trace, stream(name)).latency_ms[mine], q) / np.quantile(trace.latency_ms[mine], q))

    assert ratio("20 % slower at p95", 0.95) == pytest.approx(1.2)
    assert ratio("20 % slower at p95", 0.85) == 1
    assert ratio("50 % slower at p99 only", 0.99) == pytest.approx(1.5)
    assert ratio("50 % slower at p99 only", 0.95) == 1
    assert FAULTS["1 % errors"](trace, stream("e")).failed[mine].mean() == pytest.approx(0.01, rel=0.4)
    slowed = FAULTS["1 request in 200 at 10 times"](trace, stream("s")).latency_ms[mine] / trace.latency_ms[mine]
    assert set(np.round(slowed, 9)) == {1, 10}
    assert (slowed > 5).mean() == pytest.approx(0.005, rel=0.5)


def test_who_comes_while_a_server_is_frozen_waits_for_its_end_and_for_those_before() -> None:
    due = np.array([0.5, 10.0, 10.25, 10.5, 11.005, 11.5, 30.75])
    waited = waits(due, service=0.01, first=10.0, frozen=1.0, period=20.0)
    assert waited == pytest.approx([0, 1, 0.76, 0.52, 0.025, 0, 0.25])


@pytest.mark.parametrize("fault", ["all errors", "10 times slower"])
def test_a_clear_fault_fails_within_five_seconds(fault: str) -> None:
    release = judge(plan(fault, 300), 0, FOLDER)
    assert [gate.outcome for gate in release.gates] == ["fail"]
    assert release.gates[0].seconds < 5


@pytest.mark.parametrize("fault", ["1 % errors", "freezes 1 s each 20 s", "1 request in 200 at 10 times"])
def test_a_fault_fails(fault: str) -> None:
    assert judge(plan(fault, 300), 1, FOLDER).outcome == "fail"


def test_an_unchanged_model_does_not_fail_and_what_was_judged_is_kept(tmp_path: Path) -> None:
    state = tmp_path / "found.json"
    found = simulate(plan(), 2, state, FOLDER, processes=1)
    assert [len(release.gates) for release in found.releases] == [3, 3]
    assert all(release.outcome != "fail" for release in found.releases)
    marked = msgspec.structs.replace(found, releases=[*found.releases, Release(())])
    results.save(state, marked)
    assert simulate(plan(), 3, state, FOLDER, processes=1) == marked
    results.save(state, msgspec.structs.replace(marked, code="of another time"))
    assert len(simulate(plan(), 1, state, FOLDER, processes=1).releases) == 1


def test_others_judge_the_same_requests(tmp_path: Path) -> None:
    found = compare_all(plan("all errors"), 1, tmp_path / "found.json", FOLDER, processes=1)
    assert found.releases == [{KAYENTA: True, THRESHOLD: True, CLOSED_LOOP: True}]


def test_a_user_who_waits_sees_little_of_a_freeze(trace: Trace) -> None:
    gate = draw_gate([trace], 100, stream("closed"))
    frozen = FAULTS["freezes 1 s each 20 s"](gate, stream("f"))
    seen = closed_loop(frozen)
    assert (frozen.latency_ms[frozen.candidate] > 100).mean() > 0.03
    assert (seen.latency_ms[seen.candidate] > 100).mean() < 0.005
    assert Threshold([gate]).fails(frozen)
    assert not Threshold([closed_loop(gate)]).fails(seen)


@pytest.mark.alone
def test_two_real_servers_are_recorded_together(tmp_path: Path) -> None:
    record("sample", 0.03, noisy=False, folder=tmp_path, stretch=2.0, rate=50.0)
    (recorded,) = traces("sample", tmp_path)
    assert recorded.seconds == 2
    for part in (False, True):
        assert 50 < np.count_nonzero(recorded.candidate == part) < 160
    assert not recorded.failed.any()
    assert (recorded.latency_ms > 0).all()


def test_a_proxy_passes_a_servers_own_answers_on_or_refuses(tmp_path: Path) -> None:
    with server() as url:
        port = int(url.rpartition(":")[2])
        rows = [{"age": 40}]
        answer = httpx.post(f"{url}/predict", json=rows)
        with proxy(port, "none", tmp_path / "none.log") as plain, proxy(port, "all errors", tmp_path / "errors.log") as broken:
            with httpx.Client() as client:
                for _ in range(3):
                    passed = client.post(f"{plain}/predict", json=rows)
                    assert (passed.status_code, passed.content) == (200, answer.content)
                    assert client.post(f"{broken}/predict", json=rows).status_code == 503
            assert httpx.get(f"{broken}/signature").json() == SIGNATURE


def test_a_proxy_tells_how_long_requests_took(tmp_path: Path) -> None:
    with server() as url, proxy(int(url.rpartition(":")[2]), "none", tmp_path / "none.log") as plain:
        assert times(plain) == []
        began = time.perf_counter()
        for _ in range(3):
            httpx.post(f"{plain}/predict", json=[{"age": 40}])
        assert len(times(plain)) == 3
        assert 0 < sum(times(plain)) < time.perf_counter() - began


@pytest.mark.parametrize(
    ("fault", "q", "factor", "same"),
    [("20 % slower at p95", 0.95, 1.2, 0.5), ("50 % slower at p99 only", 0.99, 1.5, 0.95), ("10 times slower", 0.5, 10, None)],
)
def test_a_proxied_fault_is_as_large_as_its_caller_sees_it(
    fault: str, q: float, factor: float, same: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a caller's time passes outside the proxy, and has nothing to do with the other half."""
    random, put = np.random.default_rng(1), PROXIED[fault]
    inside, outside = (random.lognormal(-7, 0.4, 20_000) for _ in range(2))
    callers = inside + outside
    for name, at in (("outside", 0.5), ("outside_at", q)):
        monkeypatch.setattr(put, name, float(np.quantile(callers, at) - np.quantile(inside, at)))
    last = [float(one) for one in inside[:1000]]
    slowed = callers + np.array([put.extra(float(one), last) for one in inside])
    assert np.quantile(slowed, q) / np.quantile(callers, q) == pytest.approx(factor, rel=0.06)
    if same is not None:
        assert np.quantile(slowed, same) / np.quantile(callers, same) < 1.1  # what the rules of lower quantiles allow


def test_a_freezing_proxy_freezes_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[float] = []

    async def watch() -> None:
        task = asyncio.create_task(Freezes(0.02, 0.1).freeze())
        await asyncio.sleep(1)
        task.cancel()

    monkeypatch.setattr("proofs.gate.proxy.time.sleep", lambda seconds: frozen.append(time.monotonic()))
    asyncio.run(watch())
    assert len(frozen) >= 3
    assert np.median(np.diff(frozen)) == pytest.approx(0.1, rel=0.5)


def test_a_proxy_that_does_not_start_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(results.ProofError, match="the proxy does not start"), proxy(1, "no such fault", tmp_path / "p.log"):
        pass


# What R 4.2.2 answers: wilcox.test(x, y, conf.int = TRUE, exact = FALSE, conf.level = ...).
X = [9.78, 10.59, 7.84, 9.32, 8.38, 8.94, 8.27, 9.75, 11.62, 9.28, 8.15, 10.56, 13.5, 11.05, 6.95, 12.52, 9.02, 4.92, 11.25, 11.6]
Y = [11.15, 9.96, 7.07, 7.3, 9.79, 9.6, 6.19, 12.35, 10.37, 8.61, 9.91, 10.36, 14.21, 10.95, 10.22, 11.74, 10.91, 12.82, 8.1, 8.5]
TIED = [3, 3, 4, 5, 5, 5, 6, 7, 8, 9, 9, 10], [2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7]


@pytest.mark.parametrize(
    ("x", "y", "confidence", "expected"),
    [
        (X, Y, 0.98, (-1.8700354721, -0.3499324699, 1.2499774070)),
        ([2 * x for x in X], Y, 0.98, (6.899971287, 9.324912436, 12.05005557)),
        (*TIED, 0.95, (0.0000281534, 2.0, 3.9999618433)),
    ],
)
def test_the_shift_is_that_of_r(x: list[float], y: list[float], confidence: float, expected: tuple[float, ...]) -> None:
    assert shift(np.array(x, np.float64), np.array(y, np.float64), confidence) == pytest.approx(expected, abs=2e-3)


def test_kayenta_calls_a_metric_high_where_its_interval_is() -> None:
    x, y = np.array(X), np.array(Y)
    assert is_high(2 * x, y)
    assert not is_high(x, y)
    assert not is_high(y, 2 * x)
    assert not is_high(x, x[::-1])
    assert is_high(np.full(5, 2.0), np.full(5, 1.0))
    assert not is_high(np.full(5, 1.0), np.full(5, 1.0))


def test_kayenta_fails_a_slow_canary_and_one_without_data(trace: Trace) -> None:
    slow = FAULTS["10 times slower"](trace, stream("s"))
    assert score(slow, 1.0) == 25
    assert kayenta([slow, trace], 1.0)
    silent = trace.where(~trace.candidate)
    assert score(silent, 1.0) == 0


def _judged(outcomes: Sequence[Outcome], fault: str = "", seconds: float = 4.5) -> Judged:
    rule = ("p95_vs_baseline",)
    releases = [Release((Gate(o, seconds, rule if o == "fail" else (), rule if o == "inconclusive" else ()),)) for o in outcomes]
    return Judged(Plan(kind="quiet", rules="strict", seconds=300, fault=fault), "abc", "def", releases)


PASS: Outcome = "pass"
FAIL: Outcome = "fail"
OPEN: Outcome = "inconclusive"


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (_judged([PASS] * 19 + [FAIL]), None),
        (_judged([PASS] * 18 + [FAIL] * 2), "2 of 20 releases of an unchanged model failed"),
        (_judged([PASS] * 19 + [OPEN]), None),
        (_judged([PASS] * 18 + [OPEN] * 2), "2 of 20 releases of an unchanged model were inconclusive"),
        (_judged([FAIL] * 19 + [PASS], "1 % errors"), None),
        (_judged([FAIL] * 18 + [OPEN] * 2, "1 % errors"), "only 18 of 20 gates failed"),
        (_judged([FAIL], "all errors"), None),
        (_judged([FAIL], "all errors", 5.5), "took up to 5.5 s to fail"),
    ],
)
def test_a_gate_that_lies_is_noticed(
    found: Judged, complaint: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "STATE", tmp_path)
    results.save(tmp_path / "simulated" / "one.json", found)
    wrong = report.shortfalls()
    assert (wrong == []) if complaint is None else (len(wrong) == 1 and complaint in wrong[0])


def test_the_tables_say_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "STATE", tmp_path)
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "verdict.md")
    for i, one in enumerate((_judged([PASS] * 95 + [FAIL] * 5), _judged([FAIL] * 3, "all errors"))):
        results.save(tmp_path / "simulated" / f"{i}.json", one)
    run = real.Run(Release((Gate("pass", 60.0),)), "abc")
    closed = [real.ClosedLoop("none", 12_000, 0, 3, 5), real.ClosedLoop("freezes 1 s each 20 s", 11_000, 0, 3, 6)]
    results.save(tmp_path / "real.json", real.Found(120, [run], {"all errors": [run]}, closed))
    report.write()
    text = (tmp_path / "verdict.md").read_text()
    assert "| 100 | 5.0% [1.6%, 11.3%] | 0.0% [0.0%, 3.6%] | 4 s |" in text  # Clopper and Pearson's tables
    assert "failed by p95_vs_baseline 5" in text
    assert "| all errors | 0 of 1 | 60.0 | none |" in text
    assert "p99 6 ms in 11,000 to\none that freezes 1 s each 20 s: that passes" in text
    assert "gates of 120 s each by `release.yaml`: false alarms 0.0%" in text
    assert any("1 of 1 gates against real servers did not fail" in line for line in report.shortfalls())
    undecided = real.Run(Release((Gate("inconclusive", 60.0),)), "abc")
    results.save(tmp_path / "real.json", real.Found(120, [run] * 9 + [undecided]))
    assert any("1 of 10 real releases of an unchanged model were inconclusive" in line for line in report.shortfalls())
