"""Scenario files: the shipped ones load, a wrong one is refused where it is wrong."""

import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import UsageError
from canari.loadtest.scenario import Batch, Stage, find_scenario, load_scenario

SHIPPED = Path(__file__).parents[2] / "loadtests" / "scenarios"
GOOD = "format: 1\nstages: [{seconds: 10, rate: 5}]\nobjectives: {p95: {max_ms: 100}}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_shipped_scenarios_load_by_their_names() -> None:
    names = {path.stem for path in SHIPPED.glob("*.yaml")}
    assert names == {"steady", "ramp", "spike", "soak", "batch-heavy", "replay"}
    for name in names:
        scenario = find_scenario(name)
        assert scenario.sha256 == hashlib.sha256((SHIPPED / f"{name}.yaml").read_bytes()).hexdigest()
        assert scenario.about
        assert "error_rate" in scenario.objectives
    assert find_scenario("steady").arrivals == "poisson"
    ramp = find_scenario("ramp").stages[0]
    assert ramp.end > ramp.start
    spike = find_scenario("spike")
    assert spike.peak > 5 * spike.stages[0].start
    assert find_scenario("soak").duration_s >= 3600
    assert [batch.rows for batch in find_scenario("batch-heavy").batches] == [1, 100, 1000]
    assert find_scenario("replay").stages == ()


def test_an_absent_one_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"'stedy'.*steady"):
        find_scenario("stedy")


def test_what_a_file_says(tmp_path: Path) -> None:
    text = """
format: 1
protocol: rest
path: /other
arrivals: even
stages: [{seconds: 10, rate: 5}, {seconds: 4, from: 5, to: 15}]
batches: [{rows: 1, share: 0.75}, {rows: 20, share: 0.25}]
warmup: 1
timeout: 3
objectives: {p99.9: {max_ms: 100}, throughput: {min: 0.9}}
"""
    scenario = load_scenario(written(tmp_path, text))
    assert (scenario.protocol, scenario.path, scenario.arrivals, scenario.timeout_s) == ("rest", "/other", "even", 3)
    assert scenario.stages == (Stage(10, 5, 5), Stage(4, 5, 15))
    assert scenario.batches == (Batch(1, 0.75), Batch(20, 0.25))
    assert (scenario.duration_s, scenario.peak, sum(stage.requests for stage in scenario.stages)) == (14, 15, 90)
    assert scenario.lasting(7).duration_s == pytest.approx(7)
    assert scenario.peaking(30).stages == (Stage(10, 10, 10), Stage(4, 10, 30))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("format: 1\n", ["needs the key 'objectives'"]),
        (GOOD + "stagess: []\n", ["line 4, column 1", "stagess", "known", "stages", "replay"]),
        (GOOD.replace("rate: 5", "rats: 5"), ["line 2, column 24", "stages.0.rats", "known are seconds, rate, from, to"]),
        (GOOD.replace("p95: {max_ms: 100}", "p95: {max: 1}"), ["line 3", "p95", "max_ms"]),
        (GOOD.replace("p95", "p95_vs_baseline"), ["line 3, column 14", "p95_vs_baseline", "error_rate", "p99"]),
        (GOOD.replace("rate: 5", "rate: -5"), ["line 2", "stages.0.rate", "at least 0, came -5"]),
        (GOOD.replace("rate: 5", "rate: .inf"), ["line 2", "stages.0.rate", "came inf"]),
        (GOOD.replace("rate: 5", "rate: many"), ["stages.0.rate", "expected a number, came 'many'"]),
        (GOOD.replace("rate: 5", "from: 5"), ["line 2", "stages.0", "needs the key 'rate', or 'from' and 'to'"]),
        (GOOD.replace("rate: 5", "rate: 5, to: 6"), ["line 2", "stages.0.rate", "came both"]),
        (GOOD.replace("rate: 5", "rate: 0"), ["line 2", "stages", "all rates are 0"]),
        (GOOD.replace("[{seconds: 10, rate: 5}]", "[]"), ["line 2", "stages", "is empty"]),
        (GOOD + "rows: 1.5\n", ["line 4", "rows", "expected a whole number, came 1.5"]),
        (GOOD + "rows: 1\nbatches: [{rows: 1, share: 1}]\n", ["line 5", "batches", "came both"]),
        (GOOD + "batches: [{rows: 1, share: 0.5}]\n", ["line 4", "batches", "add up to 1, came 0.5"]),
        (GOOD + "protocol: http\n", ["line 4", "expected rest or grpc, came 'http'"]),
        (GOOD + "protocol: grpc\npath: /x\n", ["line 5", "path"]),
        (GOOD + "protocol: rest\nmodel: x\n", ["line 5", "model"]),
        (GOOD + "path: x\n", ["line 4", "path", "came 'x'"]),
        (GOOD + "replay: {file: x, speed: 2}\n", ["line 4", "replay.speed", "stages"]),
        (GOOD + "replay: {file: x}\nrows: 2\n", ["line 5", "rows", "recorded rows"]),
        ("format: 1\nobjectives: {p95: {max_ms: 1}}\n", ["needs the key 'stages', or 'replay'"]),
        ("format: 1\narrivals: even\nreplay: {}\nobjectives: {p95: {max_ms: 1}}\n", ["line 2", "arrivals"]),
        (GOOD + "timeout: 0.1\n", ["line 3", "objectives.p95.max_ms", "timeout"]),
        (GOOD.replace("}}", "}, p50: {max_ms: 200}}"), ["line 3", "objectives.p50.max_ms", "p95"]),
        (GOOD.replace("p95: {max_ms: 100}", "generator: {max_cpu: 0.5}"), ["line 3", "about the server"]),
        (GOOD + "rows: 1\nrows: 2\n", ["line 5", "given twice"]),
        ("{", ["line 1", "not YAML"]),
    ],
)
def test_a_wrong_file_is_refused_where_it_is_wrong(tmp_path: Path, text: str, says: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        load_scenario(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert [said for said in says if said not in message] == [], message


KEYS = st.sampled_from(
    ["format", "stages", "seconds", "rate", "from", "objectives", "p95", "max_ms", "replay", "rows", "x", "p0"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES | st.fixed_dictionaries({"format": st.just(1), "stages": VALUES, "objectives": VALUES, "replay": VALUES}))
def test_whatever_is_in_a_file_it_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    path = written(tmp_path_factory.mktemp("scenario"), yaml.safe_dump(content))
    try:
        scenario = load_scenario(path)
    except UsageError:
        return
    assert scenario.judged
    assert scenario.replay is not None or scenario.peak > 0


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("scenario") / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"x\.yaml"):
        load_scenario(path)
