"""Rules files: the shipped one loads, a wrong one is refused where it is wrong."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import UsageError
from canari.gate.rules import load_rules

RELEASE = Path(__file__).parents[2] / "loadtests" / "gates" / "release.yaml"


def test_the_gate_of_a_release_loads() -> None:
    rules = load_rules(RELEASE)
    assert rules.locustfile is not None
    assert Path(rules.locustfile).is_file()
    assert rules.sha256 == hashlib.sha256(RELEASE.read_bytes()).hexdigest()
    assert {*rules.limits} - {*rules.optional} == {
        "error_rate", "error_rate_vs_baseline", "p95", "p99", "p50_vs_baseline", "p95_vs_baseline", "exceedance_vs_baseline",
        "throughput", "generator",
    }  # fmt: skip
    # Pipelines and the rehearsal rely on these names.
    assert set(rules.limits) == {
        "error_rate", "error_rate_vs_baseline", "p95", "p99", "p50_vs_baseline", "p95_vs_baseline", "exceedance_vs_baseline",
        "throughput", "generator",
        "prediction_shift", "prediction_difference", "class_disagreement", "missing_mismatch",
        "shadow_errors", "live_error_rate", "live_p95_vs_baseline", "live_restarts",
    }  # fmt: skip


def test_a_shorter_gate_has_a_shorter_warm_up(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("format: 1\nload: {duration: 60, warmup: 2}\nrules: {p95: {max_ms: 1}}\n")
    rules = load_rules(path)
    assert (rules.duration_s, rules.warmup_s) == (60, 2)
    assert (rules.lasting(10).duration_s, rules.lasting(10).warmup_s) == (10, 1)


def test_any_quantile_may_be_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("format: 1\nrules: {p99.9: {max_ms: 5}, p75_vs_baseline: {max_ratio: 2, max_ms: 0}}\n")
    assert set(load_rules(path).limits) == {"p99.9", "p75_vs_baseline"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["expected keys with values, came nothing"]),
        ("- format: 1\n", ["line 1", "expected keys with values"]),
        ("format: 1\n", ["needs the key 'rules'"]),
        ("format: 2\nrules: {p95: {max_ms: 1}}\n", ["line 1", "format", "expected 1, came 2"]),
        ("format: 1\nrules: {}\n", ["line 2", "has no rule"]),
        ("format: 1\nrule: {}\nrules: {p95: {max_ms: 1}}\n", ["line 2", "rule:", "known", "locustfile", "false_alarms"]),
        ("format: 1\nrules:\n  p95: {max_ms: 1}\n  p96x: {max_ms: 1}\n", ["line 4, column 3", "rules.p96x", "throughput", "p50"]),
        ("format: 1\nrules:\n  p0: {max_ms: 1}\n", ["line 3", "p0"]),
        ("format: 1\nrules:\n  p95: {max_ms: slow}\n", ["line 3", "rules.p95.max_ms", "expected a number, came 'slow'"]),
        ("format: 1\nrules:\n  p95: {max_ms: -1}\n", ["line 3", "more than 0, came -1"]),
        ("format: 1\nrules:\n  p95: {max_ms: .nan}\n", ["line 3", "rules.p95.max_ms", "finite"]),
        ("format: 1\nrules:\n  p95_vs_baseline: {max_ms: 1}\n", ["line 3", "needs the key 'max_ratio'"]),
        ("format: 1\nrules:\n  error_rate: {max: 2}\n", ["line 3", "less than 1, came 2"]),
        ("format: 1\nrules:\n  p95: {max_ms: 1}\n  p95: {max_ms: 2}\n", ["line 4", "'p95' is given twice"]),
        ("format: 1\nload: {arrivals: closed}\nrules: {p95: {max_ms: 1}}\n", ["line 2", "poisson or even", "'closed'"]),
        ("format: 1\nload: {rate: true}\nrules: {p95: {max_ms: 1}}\n", ["line 2", "load.rate", "True"]),
        ("format: 1\nrules: {p95: {max_ms: 1}\n", ["not YAML", "line"]),
        ("format: !!python/object:os.system 1\n", ["not YAML", "line 1"]),
        ("? [a, b]\n: 1\n", ["line 1", "expected a text as key"]),
        ("format: 1\nrules: {95: {max_ms: 1}}\n", ["line 2", "expected a text as key"]),
        ("a: &a [*a]\nformat: 1\n", ["line 1", "a:"]),
        ("[" * 3000, ["nested too deeply"]),
        ("format: 1\nrules:\n  error_rate: {max: 0}\n", ["line 3", "more than 0, came 0"]),
        ("format: 1\nload:\n  pass_after: 90\nrules: {p95: {max_ms: 1}}\n", ["line 3", "at most the duration of 60 s, came 90"]),
        ("format: 1\nrules:\n  p99: {max_ms: 2}\n  p95: {max_ms: 3}\n", ["line 4", "rules.p95.max_ms", "at most the 2 of p99"]),
        (
            "format: 1\nrules: {p95: {max_ms: 1}}\noptional: [live_restarts]\n",
            ["line 3, column 12", "optional.0", "one of this file's rules", "'live_restarts'"],
        ),
        ("format: 1\nrules: {p95: {max_ms: 1}}\noptional: [p95]\n", ["line 3, column 12", "p95 rests on the gate's own load"]),
        ("format: 1\nrules: {p95: {max_ms: 1}}\noptional: p95\n", ["line 3, column 1", "optional: expected a list, came 'p95'"]),
        ("format: 1\nload: {timeout: 2}\nrules:\n  p95: {max_ms: 2500}\n", ["line 4", "the timeout of 2 s, came 2500 ms"]),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, says: list[str]) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_rules(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    for words in says:
        assert words in message


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_the_file_holds_the_error_is_one_of_usage(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("rules") / "gate.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        load_rules(path)
