"""Where an undo goes: checked against a history of what callers were on, with Argo Rollouts' part played by a small mock."""

import base64
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import CanariError
from canari.gate.verdict import Dropped, Outcome, RuleResult, Verdict, Version
from canari.release import verdicts
from canari.release.objects import REVISION, Rollout
from canari.release.past import history
from canari.release.state import Objects
from canari.release.undoing import LEFT, plan_undo, write_left
from tests.release.conftest import MockApi, Ran

Canari = Callable[..., Ran]
UID = "3f0c"


def gate(release: str, stable: str, outcome: Outcome, number: int) -> verdicts.Gate:
    """What a gate's Job records."""

    def version(name: str) -> Version:
        return Version(name=f"diabetes:{name}", version=name, url="http://pod")

    rule = RuleResult(name="p95", outcome=outcome, value=1.0, unit="ms", interval=None, limit=1.0, samples=9, why="measured")
    verdict = Verdict(
        outcome=outcome,
        rules=(rule,),
        baseline=version(stable),
        candidate=version(release),
        seed=0,
        started="2026-11-22T21:00:00Z",
        duration_s=60,
        rate=100,
        generator=None,
        attempts=1,
        dropped=Dropped(warmup=0, warmup_s=0),
        predictions="",
        rules_file="",
        rules_sha256="",
    )
    return verdicts.Gate(
        experiment=f"diabetes-{release}-{number}-0",
        release=release,
        stable=stable,
        published=f"2026-11-22T21:{number // 60:02}:{number % 60:02}Z",
        verdict=verdict,
    )


@dataclass
class MockRollout:
    """What Argo Rollouts makes of releases and undos, so far as an undo can see it."""

    stable: str
    skips_steps: bool = True  # `rollbackWindow`: an undo runs no gate
    wanted: str = ""
    known: dict[str, int] = field(default_factory=dict)  # revision by hash
    gates: list[verdicts.Gate] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ask_for(self.stable)

    def release(self, version: str, outcome: Outcome) -> None:
        """Release it; a pass promotes it, a fail aborts, inconclusive pauses."""
        self._ask_for(version)
        if version != self.stable:
            self.gates.append(gate(version, self.stable, outcome, self.known[version]))
            if outcome == "pass":
                self.stable = version

    def undo(self) -> str:
        plan = plan_undo(self.objects())
        if plan.left:
            self.annotations[LEFT] = write_left(plan.left)
        self._ask_for(plan.to)
        if plan.to != self.stable:
            if not self.skips_steps:
                self.gates.append(gate(plan.to, self.stable, "pass", self.known[plan.to]))
            self.stable = plan.to
        return plan.to

    def objects(self) -> Objects:
        rollout = {
            "metadata": {"name": "diabetes", "namespace": "models", "uid": UID, "annotations": self.annotations, "generation": 1},
            "spec": {"template": {}},
            "status": {"stableRS": self.stable, "currentPodHash": self.wanted, "phase": "Healthy", "observedGeneration": "1"},
        }
        config_map = {"metadata": {"name": "diabetes-verdict"}, "binaryData": packed(self.gates)}
        sets = [replica_set(version, revision) for version, revision in self.known.items()]
        return msgspec.convert({"rollout": rollout, "replica_sets": sets, "verdict_map": config_map}, Objects)

    def _ask_for(self, version: str) -> None:
        self.wanted = version
        self.known[version] = max(self.known.values(), default=0) + 1
        self.annotations[REVISION] = str(self.known[version])


def packed(gates: list[verdicts.Gate]) -> dict[str, str]:
    return {f"{g.experiment}.json.gz": base64.b64encode(gzip.compress(msgspec.json.encode(g))).decode() for g in gates}


def replica_set(version: str, revision: int) -> dict[str, Any]:
    labels = {"rollouts-pod-template-hash": version}
    return {
        "metadata": {
            "name": f"diabetes-{version}",
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [{"kind": "Rollout", "name": "diabetes", "uid": UID}],
        },
        "spec": {
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"image": f"r.example/d@sha256:{version}"}]}}
        },
    }


@pytest.mark.parametrize("skips_steps", [True, False])
def test_each_undo_goes_one_version_further_back(skips_steps: bool) -> None:
    rollout = MockRollout("v1", skips_steps)
    for version in ("v2", "v3"):
        rollout.release(version, "pass")
    assert [rollout.undo(), rollout.undo()] == ["v2", "v1"]
    with pytest.raises(CanariError, match="nothing to go back to"):
        rollout.undo()


def test_in_the_middle_of_a_release_it_is_the_stable_version() -> None:
    rollout = MockRollout("v1")
    rollout.release("v2", "inconclusive")
    assert rollout.undo() == "v1"


def test_never_to_a_version_that_was_rejected() -> None:
    """The plain command's trap: after v3 was rejected and undone, the revision before the newest is v3."""
    rollout = MockRollout("v1")
    rollout.release("v2", "pass")
    rollout.release("v3", "fail")
    assert [rollout.undo(), rollout.undo()] == ["v2", "v1"]


def test_a_version_that_was_undone_and_released_again_counts_again() -> None:
    rollout = MockRollout("v1")
    rollout.release("v2", "pass")
    assert rollout.undo() == "v1"
    rollout.release("v2", "pass")
    rollout.release("v3", "pass")
    assert [rollout.undo(), rollout.undo()] == ["v2", "v1"]


@pytest.mark.parametrize("skips_steps", [True, False])
@given(
    steps=st.lists(
        st.one_of(
            st.just("undo"),
            st.tuples(st.sampled_from([f"v{n}" for n in range(1, 7)]), st.sampled_from(["pass", "fail", "inconclusive"])),
        ),
        max_size=14,
    )
)
def test_whatever_happened_an_undo_goes_to_a_version_that_callers_were_on(skips_steps: bool, steps: list[Any]) -> None:
    rollout = MockRollout("v0", skips_steps)
    served, left = {"v0"}, set()
    for step in steps:
        if step != "undo":
            rollout.release(*step)
            served.add(rollout.stable)
            left.discard(rollout.stable)
            continue
        stable, under_way = rollout.stable, rollout.wanted != rollout.stable
        try:
            target = rollout.undo()
        except CanariError:
            assert not under_way
            continue
        assert target in served
        assert (target == stable) == under_way
        assert target not in left
        if not under_way:
            left.add(stable)


def test_a_replica_set_that_is_gone_is_said_to_be() -> None:
    rollout = MockRollout("v1")
    rollout.release("v2", "pass")
    del rollout.known["v1"]
    with pytest.raises(CanariError, match=r"ReplicaSet diabetes-v1 is gone \(revisionHistoryLimit\): release its image again"):
        rollout.undo()


def test_history_tells_what_came_of_each() -> None:
    rollout = MockRollout("v1")
    rollout.release("v2", "pass")
    rollout.release("v3", "fail")
    rollout.undo()
    rollout.release("v4", "pass")
    rollout.undo()
    told = {revision.hash: revision.fate for revision in history(rollout.objects())}
    assert told == {"v1": "was stable", "v2": "stable", "v3": "rejected", "v4": "undone"}


@pytest.fixture
def promoted(api: MockApi) -> MockApi:
    """v2 over v1, as the mock API serves it."""
    rollout = MockRollout("v1")
    rollout.release("v2", "pass")
    seen = rollout.objects()
    own = {"namespace": "models"}
    body = msgspec.to_builtins(seen.rollout)
    body["kind"], body["metadata"]["namespace"] = "Rollout", "models"
    body["metadata"]["annotations"] = {REVISION: "2"}
    api.objects = [body]
    for version, revision in rollout.known.items():
        made = replica_set(version, revision)
        api.objects.append({**made, "kind": "ReplicaSet", "metadata": {**made["metadata"], **own}})
    metadata = {"name": "diabetes-verdict", **own}
    api.objects.append({"kind": "ConfigMap", "metadata": metadata, "binaryData": packed(rollout.gates)})
    return api


def test_the_command_gives_the_rollout_the_former_template_without_its_hash(promoted: MockApi, canari: Canari) -> None:
    ran = canari("release", "undo", "--no-watch")
    assert ran.code == 0, ran
    template = msgspec.convert(promoted.find("Rollout"), Rollout).spec.template
    assert template["spec"]["containers"][0]["image"] == "r.example/d@sha256:v1"
    assert template["metadata"]["labels"] == {}
    assert promoted.find("Rollout")["metadata"]["annotations"][LEFT] == "v2=2"
    assert "git revert" in ran.out


def test_a_release_that_moved_meanwhile_is_left_alone(promoted: MockApi, canari: Canari) -> None:
    rollout = promoted.find("Rollout")
    before = rollout["spec"]["template"]

    answer = promoted.answer

    def answer_late(verb: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if verb == "PATCH":
            rollout["metadata"]["generation"] += 1
        return answer(verb, path, body)

    promoted.answer = answer_late  # type: ignore[method-assign]
    assert "the release moved on at this very moment" in canari("release", "undo", "--no-watch").message
    assert rollout["spec"]["template"] == before
