"""How recorded states are told: each as `canari release status` shows it to a program and to a person."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.release.conftest import NAMESPACE, MockApi, Ran, recorded

Canari = Callable[..., Ran]


@pytest.fixture
def status(api: MockApi, canari: Canari) -> Callable[[str], dict[str, Any]]:
    def read(state: str) -> dict[str, Any]:
        api.objects = recorded(state)
        ran = canari("release", "status", "-n", NAMESPACE, "--json")
        assert ran.code == 0, ran
        told: dict[str, Any] = json.loads(ran.out)
        return told

    return read


Status = Callable[[str], dict[str, Any]]


def _weights(release: dict[str, Any]) -> list[tuple[str, float, float]]:
    return [(route["kind"], route["stable"], route["candidate"]) for route in release["routes"]]


def _ready(release: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {v["role"]: (sum(pod["ready"] for pod in v["pods"]), len(v["pods"])) for v in release["versions"]}


def test_healthy(status: Status) -> None:
    release = status("healthy")
    assert release["phase"] == "healthy"
    assert _weights(release) == [("HTTPRoute", 100, 0), ("GRPCRoute", 100, 0)]
    assert _ready(release) == {"stable": (2, 2)}
    assert release["next"] == []
    assert release["stable"] == release["wanted"] == release["versions"][0]["hash"]


def test_a_planned_pause_asks_nothing_of_a_person(status: Status) -> None:
    release = status("planned_pause")
    assert release["phase"] == "pausing"
    assert release["steps"][release["step"]] == "wait 15s"
    assert _weights(release) == [("HTTPRoute", 90, 10), ("GRPCRoute", 90, 10)]
    assert _ready(release) == {"stable": (2, 2), "candidate": (1, 1)}
    assert release["next"] == []


def test_a_running_gate_shows_its_own_pods(status: Status) -> None:
    release = status("gate_runs")
    assert release["phase"] == "progressing"
    assert [(gate["step"], gate["outcome"]) for gate in release["gates"]] == [(1, "running")]
    assert any("-baseline-" in pod["name"] for pod in release["gate_pods"])
    assert any("-candidate-" in pod["name"] for pod in release["gate_pods"])
    assert _weights(release) == [("HTTPRoute", 100, 0), ("GRPCRoute", 100, 0)]


def test_aborted_by_a_gate_names_gate_and_rule(status: Status) -> None:
    release = status("aborted_by_gate")
    assert release["phase"] == "aborted"
    assert release["why"].startswith("the gate at step 5 failed: p95: 129 ms")
    assert [(gate["step"], gate["outcome"]) for gate in release["gates"]] == [(1, "pass"), (5, "fail")]
    assert _weights(release) == [("HTTPRoute", 100, 0), ("GRPCRoute", 100, 0)]
    assert release["next"] == ["canari release undo -n h4 diabetes"]
    assert {version["role"]: version["model"] for version in release["versions"]}["candidate"] == "diabetes:1"


def test_an_analysis_that_could_not_measure_says_what_it_met(status: Status) -> None:
    release = status("aborted_analysis_error")
    assert release["phase"] == "aborted"
    assert "verdict error: Could not find JSONPath in body: data is not found" in release["why"]
    assert release["gates"] == []


def test_a_candidate_that_crashes_is_aborted_by_deadline_and_says_how_it_ended(status: Status) -> None:
    release = status("crash_loop")
    assert release["phase"] == "aborted"
    assert "has timed out progressing" in release["why"]
    assert "CrashLoopBackOff: exit code 1, Error" in release["why"]
    problems = [pod["problem"] for version in release["versions"] for pod in version["pods"]]
    assert any(problem.startswith("ImagePullBackOff") for problem in problems)  # the stable version's image does not exist


def test_an_inconclusive_gate_says_why_and_what_a_person_may_do(status: Status) -> None:
    release = status("inconclusive")
    assert release["phase"] == "inconclusive"
    assert release["why"].startswith("the gate at step 1 could not decide: ")
    assert [gate["outcome"] for gate in release["gates"]] == ["inconclusive"]
    assert release["next"] == [
        "kubectl argo rollouts promote -n h4 diabetes",
        "kubectl argo rollouts abort -n h4 diabetes",
    ]


def test_aborted_by_a_person(status: Status) -> None:
    release = status("aborted_by_person")
    assert release["phase"] == "aborted"
    assert release["why"].startswith("by a person")


def test_a_change_that_the_controller_has_not_seen_is_no_state_yet(api: MockApi, canari: Canari) -> None:
    """As rolloututil.go does: `status` of an older generation says nothing of the newest `spec`."""
    api.objects = recorded("healthy")
    api.find("Rollout")["metadata"]["generation"] += 1
    release = json.loads(canari("release", "status", "-n", NAMESPACE, "--json").out)
    assert (release["phase"], release["wanted"]) == ("progressing", "")


def test_a_pause_without_duration_waits_for_a_person(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("planned_pause")
    api.find("Rollout")["spec"]["strategy"]["canary"]["steps"][1] = {"pause": {}}
    release = json.loads(canari("release", "status", "-n", NAMESPACE, "--json").out)
    assert release["phase"] == "waiting"
    assert release["next"][0].startswith("kubectl argo rollouts promote")


def test_a_release_that_a_person_stopped(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("planned_pause")
    api.find("Rollout")["spec"]["paused"] = True
    release = json.loads(canari("release", "status", "-n", NAMESPACE, "--json").out)
    assert (release["phase"], release["why"]) == ("stopped", "spec.paused is set")


def test_the_screen_without_a_terminal_is_plain_and_names_what_matters(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("aborted_by_gate")
    out = canari("release", "status", "-n", NAMESPACE).out
    assert "\x1b" not in out
    for part in (
        "ABORTED",
        "p95: 129 ms",
        "h4.example.com",
        "grpc.h4.example.com",
        "canari release undo -n h4 diabetes",
        "stable",
    ):
        assert part in out


def test_routes_that_are_gone_are_said_to_be(api: MockApi, canari: Canari) -> None:
    api.objects = [o for o in recorded("healthy") if o["kind"] != "GRPCRoute"]
    assert "the route is not there" in canari("release", "status", "-n", NAMESPACE).out
