"""The plan: what the committed Rollout says, what Argo Rollouts' fields mean, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canari.errors import CanariError
from canari.rehearsal.plan import Gate, NotRehearsed, Pause, Plan, SetWeight, load_plan

_ROLLOUT = Path(__file__).parents[2] / "k8s/base/rollout.yaml"
_GATE = {
    "experiment": {"templates": [{"name": "candidate", "specRef": "canary"}], "analyses": [{"name": "load", "templateName": "t"}]}
}
_VERDICT = {"analysis": {"templates": [{"templateName": "verdict"}]}}


def _rollout(steps: Any, strategy: str = "canary") -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "m"},
        "spec": {"strategy": {strategy: {"steps": steps}}},
    }


def _load(directory: Path, *documents: Any) -> Plan:
    path = directory / "rollout.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return load_plan(path)


def _refusal(directory: Path, *documents: Any) -> str:
    with pytest.raises(CanariError) as refused:
        _load(directory, *documents)
    message = str(refused.value)
    assert message.startswith(f"{directory / 'rollout.yaml'}: ")
    assert "\n" not in message
    return message


def test_the_committed_rollout() -> None:
    gate, pause = Gate("gate"), Pause(120)
    assert load_plan(_ROLLOUT) == Plan("diabetes", (gate, SetWeight(10), pause, gate, SetWeight(50), pause, gate))


def test_a_gates_length_is_its_templates_or_its_own(tmp_path: Path) -> None:
    """As Argo Rollouts takes arguments: those of the experiment's analysis before the template's own."""
    arguments: list[dict[str, Any]] = [{"name": "duration", "value": "60"}, {"name": "gates", "value": 2}, {"name": "baseline"}]
    template = {"kind": "AnalysisTemplate", "metadata": {"name": "t"}, "spec": {"args": arguments}}
    longer = {"experiment": {"analyses": [{"name": "load", "templateName": "t", "args": [{"name": "duration", "value": "90"}]}]}}
    plan = _load(tmp_path, _rollout([_GATE, longer]), template)
    assert plan.steps == (Gate("load", duration=60, gates=2), Gate("load", duration=90, gates=2))
    arguments[0]["value"] = "a minute"
    assert "duration: expected seconds of load, got 'a minute'" in _refusal(tmp_path, _rollout([_GATE]), template)


def test_an_experiment_and_the_analysis_after_it_are_one_gate(tmp_path: Path) -> None:
    plan = _load(tmp_path, _rollout([_GATE, _VERDICT, {"setWeight": 5}, _GATE, _GATE, _VERDICT]))
    assert plan.steps == (Gate("load"), SetWeight(5), Gate("load"), Gate("load"))


def test_what_has_no_meaning_on_one_machine_is_kept_by_name(tmp_path: Path) -> None:
    steps = [
        {"setCanaryScale": {"replicas": 1}},
        {"analysis": {"templates": [{"templateName": "other"}]}},
        {"experiment": {"templates": [], "duration": "5m"}},
        {"setHeaderRoute": {"name": "h"}},
        {"setMirrorRoute": {"name": "m"}},
        {"plugin": {"name": "p"}},
        _GATE,
        _VERDICT,
        _VERDICT,  # a second one reads no gate of its own
    ]
    kinds = ["setCanaryScale", "analysis", "experiment", "setHeaderRoute", "setMirrorRoute", "plugin"]
    assert _load(tmp_path, _rollout(steps)).steps == (*map(NotRehearsed, kinds), Gate("load"), NotRehearsed("analysis"))


def test_the_rollout_is_found_among_other_documents(tmp_path: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    assert _load(tmp_path, service, None, _rollout([{"setWeight": 100}])).steps == (SetWeight(100),)


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [
        ({}, None),
        ({"duration": None}, None),
        ({"duration": 0}, 0),
        ({"duration": 90}, 90),
        ({"duration": "90"}, 90),
        ({"duration": "30s"}, 30),
        ({"duration": "5m"}, 300),
        ({"duration": "1h30m"}, 5400),
        ({"duration": "1.5h"}, 5400),
        ({"duration": "4.1m"}, 246),
        ({"duration": "1500ms"}, 1),  # Argo Rollouts counts whole seconds
        ({"duration": "2147483647s"}, 2147483647),
    ],
)
def test_durations(tmp_path: Path, pause: dict[str, Any], seconds: int | None) -> None:
    assert _load(tmp_path, _rollout([{"pause": pause}])).steps == (Pause(seconds),)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hours=st.integers(0, 99), minutes=st.integers(0, 999), seconds=st.integers(0, 9999))
def test_a_duration_is_the_sum_of_its_parts(tmp_path: Path, hours: int, minutes: int, seconds: int) -> None:
    written = f"{hours}h{minutes}m{seconds}s"
    assert _load(tmp_path, _rollout([{"pause": {"duration": written}}])).steps == (Pause(hours * 3600 + minutes * 60 + seconds),)


@pytest.mark.parametrize(
    ("step", "where", "expected"),
    [
        ({"setWeight": 101}, "[1].setWeight", "a whole number from 0 to 100, got 101"),
        ({"setWeight": -1}, "[1].setWeight", "got -1"),
        ({"setWeight": "10"}, "[1].setWeight", "got '10'"),
        ({"setWeight": 10.5}, "[1].setWeight", "got 10.5"),
        ({"setWeight": True}, "[1].setWeight", "got True"),
        ({"setWeight": None}, "[1].setWeight", "has no value"),
        ({"setWeigth": 10}, "[1]", "got 'setWeigth'"),
        ({"setWeight": 10, "pause": {}}, "[1]", "one of setWeight, pause"),
        ({}, "[1]", "one of setWeight, pause"),
        ("pause", "[1]", "got 'pause'"),
        ({"pause": None}, "[1].pause", "`pause: {}` waits for a person"),
        ({"pause": "5m"}, "[1].pause", "got '5m'"),
        ({"pause": {"duraton": "5m"}}, "[1].pause", "got ['duraton']"),
        ({"pause": {"duration": "5 minutes"}}, "[1].pause.duration", "got '5 minutes'"),
        ({"pause": {"duration": "1d"}}, "[1].pause.duration", "got '1d'"),
        ({"pause": {"duration": "-5s"}}, "[1].pause.duration", "got '-5s'"),
        ({"pause": {"duration": -5}}, "[1].pause.duration", "got -5"),
        ({"pause": {"duration": ""}}, "[1].pause.duration", "got ''"),
        ({"pause": {"duration": True}}, "[1].pause.duration", "got True"),
        ({"pause": {"duration": 1.5}}, "[1].pause.duration", "got 1.5"),
        ({"pause": {"duration": 2**31}}, "[1].pause.duration", "got 2147483648"),
        ({"pause": {"duration": "9" * 50 + "h"}}, "[1].pause.duration", "got '999"),
        ({"experiment": "gate"}, "[1].experiment", "got 'gate'"),
        ({"experiment": {"analyses": "gate"}}, "[1].experiment.analyses", "got 'gate'"),
        ({"experiment": {"analyses": [{"templateName": "t"}]}}, "[1].experiment.analyses[0].name", "a name"),
    ],
)
def test_a_step_that_argo_rollouts_would_refuse(tmp_path: Path, step: Any, where: str, expected: str) -> None:
    message = _refusal(tmp_path, _rollout([{"setWeight": 0}, step]))
    assert f": spec.strategy.canary.steps{where}: " in message
    assert expected in message


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([], "found 0"),
        (
            [{"apiVersion": "v1", "kind": "Service"}],
            "expected one Rollout of argoproj.io, found 0; the documents' kinds: ['Service']",
        ),
        ([["Rollout"]], "found 0"),
        ([_rollout([{"setWeight": 1}]), _rollout([{"setWeight": 2}])], "found 2"),
        ([{**_rollout([{"setWeight": 1}]), "apiVersion": "apps/v1"}], "found 0"),
        ([{**_rollout([{"setWeight": 1}]), "metadata": {}}], "metadata.name: expected a name, got nothing"),
        ([{**_rollout([{"setWeight": 1}]), "spec": None}], "spec: expected a mapping, got nothing"),
        ([_rollout([{"setWeight": 1}], strategy="blueGreen")], "spec.strategy.canary: expected a mapping, got nothing"),
        ([_rollout(None)], "spec.strategy.canary.steps: expected a list of at least one step, got nothing"),
        ([_rollout([])], "got []"),
        ([_rollout({"setWeight": 1})], "got {'setWeight': 1}"),
    ],
)
def test_a_file_without_a_plan(tmp_path: Path, documents: list[Any], expected: str) -> None:
    assert expected in _refusal(tmp_path, *documents)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"kind: [Rollout", "not YAML at line 1"),
        (b"kind: Rollout\n\tspec: 1\n", "not YAML at line 2"),
        (b"a: !!python/object/apply:os.system [true]", "not YAML at line 1"),
        (b"a: 2026-99-99", "not YAML"),
        (b"a: \x00", "not YAML"),
        (b"\xff\xfe\x00", "not UTF-8 text at byte 0"),
        (b"[" * 50_000, "nested too deeply"),
        (b"", "found 0"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "rollout.yaml"
    path.write_bytes(content)
    with pytest.raises(CanariError, match=expected):
        load_plan(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CanariError, match=r"absent\.yaml: cannot be read: No such file"):
        load_plan(tmp_path / "absent.yaml")
    with pytest.raises(CanariError, match="cannot be read: Is a directory"):
        load_plan(tmp_path)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
_KINDS = st.sampled_from(["setWeight", "pause", "experiment", "analysis", "setCanaryScale", "plugin"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=_VALUES | st.lists(_VALUES | st.dictionaries(_KINDS, _VALUES, min_size=1, max_size=2), min_size=1, max_size=4))
def test_any_steps_are_a_plan_or_one_sentence(tmp_path: Path, steps: Any) -> None:
    try:
        plan = _load(tmp_path, _rollout(steps))
    except CanariError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert plan.steps
        assert all(0 <= step.weight <= 100 for step in plan.steps if isinstance(step, SetWeight))
    assert "\n" not in refusal
