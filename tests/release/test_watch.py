"""Watching: every ending with its exit code, and an API server that is away for a while."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canari.release import watching
from tests.release.conftest import NAMESPACE, MockApi, Ran, recorded

Canari = Callable[..., Ran]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 0.02)


def _play(api: MockApi, *states: list[dict[str, Any]] | int) -> None:
    """Serve one state a look, then the last one; a number fails that look with the status."""
    scenes: Iterator[list[dict[str, Any]] | int] = iter(states)
    answer = api.answer

    def next_scene(verb: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if "/rollouts" in path:  # the first question of each look
            scene = next(scenes, None)
            if isinstance(scene, int):
                return scene, {"kind": "Status", "message": "etcdserver: leader changed"}
            if scene is not None:
                api.objects = scene
        return answer(verb, path, body)

    api.answer = next_scene  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("healthy", 0, "every caller is on"),
        ("aborted_by_gate", 10, "aborted, every caller is on the stable version: the gate at step 5 failed"),
        ("crash_loop", 10, "aborted"),
        ("inconclusive", 11, "paused, a person decides: the gate at step 1 could not decide"),
    ],
)
def test_each_ending_has_its_exit_code(api: MockApi, canari: Canari, state: str, code: int, said: str) -> None:
    api.objects = recorded(state)
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE)
    assert ran.code == code
    assert said in ran.out.splitlines()[-1]


def test_changes_are_lines_and_nothing_is_said_twice(api: MockApi, canari: Canari) -> None:
    _play(api, recorded("planned_pause"), recorded("planned_pause"), recorded("aborted_analysis_error"))
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE)
    assert ran.code == 10
    assert sum("pausing" in line for line in ran.out.splitlines()) == 1
    assert "HTTPRoute 90 %/10 %; GRPCRoute 90 %/10 %" in ran.out


def test_an_api_server_that_is_away_for_a_while_ends_nothing(api: MockApi, canari: Canari) -> None:
    _play(api, recorded("planned_pause"), 503, 500, 429, recorded("aborted_analysis_error"))
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE, "--timeout", 60)
    assert ran.code == 10
    assert [line.rpartition(": ")[2] for line in ran.err.splitlines()] == [
        "leader changed (HTTP 503); trying again",
        "the API server answers again",
    ]


def test_a_permission_that_is_taken_away_ends_it(api: MockApi, canari: Canari) -> None:
    _play(api, recorded("planned_pause"), 403)
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE)
    assert ran.code == 1
    assert "no permission to get Rollout diabetes" in ran.err


def test_a_timeout_leaves_the_release_alone(api: MockApi, canari: Canari) -> None:
    api.objects = recorded("planned_pause")
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE, "--timeout", 1)
    assert ran.code == 1
    assert "was not decided within 1 s; it was pausing, step 2 of 5: wait 15s; the release goes on by itself" in ran.err
    assert api.patches == []


def test_with_wait_an_inconclusive_gate_is_no_end(api: MockApi, canari: Canari) -> None:
    _play(api, recorded("inconclusive"), recorded("inconclusive"), recorded("aborted_by_person"))
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE, "--wait")
    assert ran.code == 10
    assert "by a person" in ran.out.splitlines()[-1]


def test_another_version_in_the_middle_is_not_taken_for_the_watched_one(api: MockApi, canari: Canari) -> None:
    """A newer version that becomes healthy says nothing good of the one that was watched."""
    replaced = recorded("healthy")
    rollout = next(o for o in replaced if o["kind"] == "Rollout")
    rollout["status"] |= {"currentPodHash": "newest", "stableRS": "newest"}
    _play(api, recorded("planned_pause"), replaced)
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE)
    assert ran.code == 10


def test_an_undo_in_the_middle_is_an_end(api: MockApi, canari: Canari) -> None:
    _play(api, recorded("planned_pause"), recorded("healthy"))
    ran = canari("release", "watch", "diabetes", "-n", NAMESPACE)
    assert ran.code == 10
    assert "undone" in ran.out.splitlines()[-1]
