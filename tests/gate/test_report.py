"""The gate's report: self-contained, small, true to the verdict, and drawn whatever came."""

import gzip
import math
import re
import xml.dom.minidom
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canari.gate.recording import Request
from canari.gate.report import markdown, render
from canari.gate.verdict import (
    Dropped,
    Generator,
    Live,
    LiveArm,
    Look,
    Outcome,
    Reading,
    RuleResult,
    Verdict,
    Version,
)
from tests.gate.verdicts import VERDICTS, check_html


def rule(name: str, outcome: Outcome, **more: Any) -> RuleResult:
    values: dict[str, Any] = {"value": 12.5, "unit": "ms", "interval": (10.0, None), "limit": 100.0, "samples": 100, "why": "so"}
    return RuleResult(name=name, outcome=outcome, **{**values, **more})


def verdict(*rules: RuleResult, outcome: Outcome = "pass", **more: Any) -> Verdict:
    values: dict[str, Any] = {
        "baseline": Version(name="toy:1", version="1", url="http://baseline:3000"),
        "candidate": Version(name="toy:2", version="2", url="http://candidate:3000"),
        "seed": 0,
        "started": "2026-11-22T21:00:00.000+00:00",
        "duration_s": 10.0,
        "rate": 200.0,
        "generator": Generator(cpu=0.2, delay_p99_ms=3.0),
        "attempts": 1,
        "dropped": Dropped(warmup=200, warmup_s=1.0),
        "predictions": "not compared: no rows were given",
        "rules_file": "release.yaml",
        "rules_sha256": "0" * 64,
    }
    return Verdict(outcome=outcome, rules=rules, **{**values, **more})


def request(arm: str, due: float, latency_ms: float, error: str | None = None) -> Request:
    return Request(
        arm=arm, intended=1.8e9 + due, delay_ms=0.1, queued_ms=0, latency_ms=latency_ms, status=0 if error else 200, error=error
    )


def load(seconds: float, rate: int = 200) -> list[Request]:
    """Both arms, the candidate twice as slow."""
    return [
        request(arm, number / rate, factor * (1 + math.exp(3 * (number * 0.618 % 1))))
        for arm, factor in (("baseline", 1.0), ("candidate", 2.0))
        for number in range(int(seconds * rate))
    ]


def pictures(page: str) -> list[xml.dom.minidom.Document]:
    return [xml.dom.minidom.parseString(svg) for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL)]


def test_a_minute_of_load_is_a_small_page_that_needs_no_network() -> None:
    page = render(verdict(rule("p95", "pass"), duration_s=60.0), load(60))
    assert len(page.encode()) < 80_000
    assert len(gzip.compress(page.encode())) < 20_000
    assert not re.search(r"(src|href|url\(|@import)\s*=?\s*[\"']?(https?:)?//", page)
    assert len(pictures(page)) == 4, "two, each for a desk and for a phone"


@pytest.mark.parametrize(
    ("rules", "outcome", "says"),
    [
        ([rule("p95", "pass"), rule("p99", "pass")], "pass", "keeps to all 2 rules"),
        ([rule("p95", "fail"), rule("p99", "pass")], "fail", "breaks 1 of 2 rules: p95."),
        ([rule("p95", "pass"), rule("p99", "inconclusive")], "inconclusive", "do not decide 1 of 2 rules: p99."),
    ],
)
def test_the_outcome_is_a_sentence(rules: list[RuleResult], outcome: Outcome, says: str) -> None:
    page = render(verdict(*rules, outcome=outcome), load(2))
    assert says in page
    assert f'class="verdict {outcome}"' in page


def test_the_rules_that_decide_come_first() -> None:
    page = render(verdict(rule("p50", "pass"), rule("p95", "inconclusive"), rule("p99", "fail"), outcome="fail"), load(2))
    names = re.findall(r"<td><b>(p\d+)</b>", page)
    assert names == ["p99", "p95", "p50"]


def looks(*outcomes: Outcome, rule_name: str = "p95_vs_baseline") -> tuple[Look, ...]:
    """A look each second and a half longer than the one before, of one rule."""
    return tuple(
        Look(
            seconds=2 * 1.5**number,
            outcome=outcome,
            readings={rule_name: Reading(outcome=outcome, value=1.1, low=1.1 - 1 / (number + 1), high=1.1 + 1 / (number + 1))},
        )
        for number, outcome in enumerate(outcomes)
    )


def ratio(outcome: Outcome, **more: Any) -> RuleResult:
    values: dict[str, Any] = {
        "value": 1.1, "unit": "times the baseline", "interval": (0.9, 1.3), "limit": {"max_ratio": 1.5, "max_ms": 10.0}
    }  # fmt: skip
    return rule("p95_vs_baseline", outcome, **{**values, **more})


def rows(page: str, table_class: str) -> list[list[str]]:
    """The cells' texts of a table's body, a sign after its name."""
    table = re.search(rf'<table class="{table_class}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert table, table_class
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", table[1], re.DOTALL)]
    named = [[re.sub(r'<span[^>]* aria-label="(\w+)">', r"\1 ", cell) for cell in row] for row in cells]
    return [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in named]


PASSES: list[Outcome] = ["pass"] * 12


def test_a_gate_of_five_minutes_with_its_looks_stays_small() -> None:
    rules = [msgspec.structs.replace(ratio("pass", decided_s=2.0), name=f"p{n}_vs_baseline") for n in (50, 90, 95, 99)]
    taken = [
        Look(seconds=look.seconds, outcome="pass", readings={rule.name: look.readings["p95_vs_baseline"] for rule in rules})
        for look in looks(*PASSES)
    ]
    page = render(verdict(*rules, duration_s=300.0, planned_s=300.0, looks=tuple(taken)), load(300))
    assert len(page.encode()) < 120_000
    assert len(gzip.compress(page.encode())) < 30_000


def test_each_look_is_told_and_where_the_decision_fell() -> None:
    gate = verdict(
        ratio("pass", decided_s=3.0),
        rule("prediction_shift", "pass"),
        looks=looks("inconclusive", "pass", "pass"),
        planned_s=10.0,
    )
    page = render(gate, load(4))
    assert rows(page, "looks") == [
        ["p95_vs_baseline", "pass ✓ at 3 s", "inconclusive ?", "pass ✓", "pass ✓"],
        ["the gate", "pass ✓", "inconclusive ?", "pass ✓", "pass ✓"],
    ]
    assert re.findall(r'<td class="c( decided)?">', page) == ["", " decided", "", "", "", ""]
    (picture,) = [p for p in pictures(page) if "p95_vs_baseline" in p.documentElement.getAttribute("aria-label")]  # type: ignore[union-attr]
    assert len(picture.getElementsByTagName("polygon")) == 1
    assert re.findall(r">([✓✗?])<", picture.toxml()) == ["?", "✓", "✓"]
    assert page.count("As a table") == 2, "behind the picture of the looks, and behind that of latency over time"


def test_an_interval_without_bounds_and_a_value_without_end_are_drawn_at_the_edge() -> None:
    endless = Look(
        seconds=2.0, outcome="fail", readings={"p95_vs_baseline": Reading(outcome="fail", value=None, low=None, high=None)}
    )
    page = render(verdict(ratio("fail", value=None, interval=(None, None)), outcome="fail", looks=(endless,)), load(2))
    drawn = pictures(page)[0].toxml()
    assert "nan" not in drawn
    assert "✗" in drawn
    assert "∞ to ∞" in page


@pytest.mark.parametrize(
    ("outcome", "sent", "says"),
    [
        ("pass", 150.0, "Good news came early: by 3 s of the planned 300 s each rule of the load had passed"),
        ("fail", 3.2, "Bad news came early: by 3 s of the planned 300 s p95_vs_baseline had clearly failed"),
        ("inconclusive", 3.2, "The load ended by 3 s of the planned 300 s, before it could decide"),
        ("pass", 300.0, "The planned load of 300 s was sent to its end"),
    ],
)
def test_load_that_was_not_sent_is_good_news_or_bad(outcome: Outcome, sent: float, says: str) -> None:
    gate = verdict(
        ratio(outcome), outcome=outcome, duration_s=sent, planned_s=300.0, looks=looks("inconclusive", outcome), attempts=2
    )
    for text in (render(gate, load(2)), markdown.render(gate)):
        assert says in text
        assert "sent 2 times, and only the last is judged" in text
        assert "200 requests of the first 1 s" in text


def test_the_risks_are_a_sentence() -> None:
    gate = verdict(rule("p95", "pass"), false_alarms=0.05, misses=0.1, gates=4)
    for text in (render(gate, load(2)), markdown.render(gate)):
        assert "at most 5 of 100 times, over all 4 gates" in text.replace("&#39;", "'")
        assert "part of that is 1.25 of 100" in text
        assert "passes that rule at most 10 of 100 times" in text


def test_a_verdict_of_before_there_were_looks_is_drawn() -> None:
    page = render(verdict(rule("p95", "pass")), load(2))
    for absent in ("How it was decided", "of 100 times", "planned", 'class="looks"'):
        assert absent not in page


def test_a_version_that_answers_nothing_has_its_errors_and_no_curve() -> None:
    requests = [request("baseline", n / 100, 3.0) for n in range(500)]
    requests += [request("candidate", n / 100, 3.0, "HTTP 500 <b>no</b>") for n in range(500)]
    page = render(verdict(rule("error_rate", "fail"), outcome="fail"), requests)
    assert "candidate: 400 × HTTP 500 &lt;b&gt;no&lt;/b&gt;" in page
    distribution = pictures(page)[0]
    assert [line.getAttribute("stroke") for line in distribution.getElementsByTagName("polyline")] == ["var(--stable)"]


def test_live_servers_are_told() -> None:
    arm = LiveArm(
        servers=2, requests=1234, errors=5, restarts=1, window_requests=99, window_errors=0, p50_ms=1.5, p95_ms=None, p99_ms=None
    )
    live = Live(candidate=arm, baseline=arm, not_judged=("live_error_rate: few",), problems=("pod-a: gone (1 of 3 times)",))
    page = render(verdict(rule("p95", "pass"), live=live), load(2), {"experiment": "toy-abc-2-0"})
    for text in ("1,234", "5 failed", "live_error_rate: few", "pod-a: gone", "toy-abc-2-0"):
        assert text in page


REQUESTS = st.builds(
    request,
    st.sampled_from(["baseline", "candidate"]),
    st.floats(0, 100),
    st.floats(0, 1e9),
    st.one_of(st.none(), st.text()),
)


@settings(deadline=None)
@given(
    st.lists(REQUESTS, max_size=30),
    st.floats(0.1, 1e5),
    st.floats(1e-3, 1e6),
)
def test_whatever_came_is_drawn(requests: list[Request], seconds: float, limit: float) -> None:
    page = render(verdict(rule("p99.9", "pass", limit=limit), duration_s=seconds), requests)
    for picture in pictures(page):
        drawn = picture.toxml()
        assert "nan" not in drawn
        assert "inf" not in drawn


@settings(deadline=None)
@given(VERDICTS, st.lists(REQUESTS, max_size=10))
def test_whatever_the_verdict_says_the_page_is_well_formed(gate: Verdict, requests: list[Request]) -> None:
    page = render(gate, requests)
    check_html(page)
    for picture in pictures(page):
        assert not re.search(r"[\"' ,]-?(nan|inf)", picture.toxml())
