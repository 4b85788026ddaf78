"""Several models in one namespace, each released on its own at the same time; and releases that nobody watches."""

import signal
import subprocess
from contextlib import ExitStack

import pytest

from tests.cluster.cluster import ARGO, wait_for
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers
from tests.cluster.release import Release, Settings

NAMES = ("abandoned", "reconfigured", "overtaken", "untouched")


@pytest.fixture(scope="module")
def releases(new_release: NewRelease) -> dict[str, Release]:
    made = {name: new_release(name=name, settings=Settings(single=True)) for name in NAMES}
    for release in made.values():
        release.install()
        release.apply()
    for release in made.values():
        release.wait("Healthy")
    return made


def test_each_release_ends_by_itself(releases: dict[str, Release], numbers: Numbers) -> None:
    """The person's machine dies after the start; manifests other than the image change; a third version comes in the middle."""
    abandoned, reconfigured, overtaken, untouched = releases.values()
    with ExitStack() as stack:
        callers = {name: stack.enter_context(release.callers(rate=10)) for name, release in releases.items()}
        overtaken.start(overtaken.images.candidate)
        abandon(abandoned)
        reconfigured.patch("Rollout", {"/spec/template/spec/containers/0/env": [{"name": "LOG_LEVEL", "value": "debug"}]})
        reconfigured.apply()
        overtaken.wait_weight(10)
        stable, second = overtaken.hashes()
        overtaken.start(overtaken.images.third)
        third = wait_for(lambda: overtaken.hashes()[1], lambda newest: newest != second, "the third version")
        overtaken.wait_weight(0, 15)
        assert overtaken.hashes() == (stable, third)
        for release in (abandoned, reconfigured, overtaken):
            release.wait("Healthy")
        accounts = {name: called.stop() for name, called in callers.items()}
    for name, account in accounts.items():
        assert account.lost == [], name
    assert {r.version for r in accounts["abandoned"].requests} == {"1", "2"}
    assert {r.version for r in accounts["overtaken"].requests} == {"1", "2", "4"}
    assert overtaken.hashes() == (third, third)
    assert gates_passed(reconfigured) == gates_passed(abandoned) == 3
    assert {r.version for r in accounts["untouched"].requests} == {"1"}
    assert gates_passed(untouched) == 0
    numbers.requests("person's machine dies", accounts["abandoned"])
    numbers.requests("changed manifests other than the image", accounts["reconfigured"])
    numbers.requests("third version in mid-canary", accounts["overtaken"])
    numbers.requests("another model beside these", accounts["untouched"])


def abandon(release: Release) -> None:
    """`canari release start`, killed with all that it started as soon as the cluster has the new version."""
    before = release.hashes()[1]
    command = release.command("start", str(release.overlay), "--image", release.images.candidate, "--insecure-registry")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(lambda: release.hashes()[1], lambda newest: newest != before, "the release's start")
    finally:
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def gates_passed(release: Release) -> int:
    """How many of the Rollout's gates published a verdict that was pass."""
    runs = [r for r in release.cluster.list(ARGO, "AnalysisRun") if r["metadata"]["name"].startswith(f"{release.name}-")]
    verdicts = [r for r in runs if not r["metadata"]["name"].endswith("-gate")]
    return sum(r["status"]["phase"] == "Successful" for r in verdicts)
