"""An empty cluster, and a git that stopped in the middle of a release."""

import subprocess
import time

from tests.cluster.callers import PROTOCOLS
from tests.cluster.conftest import NewRelease
from tests.cluster.numbers import Numbers


def test_stable_comes_up_first_and_the_candidate_step_by_step(new_release: NewRelease, numbers: Numbers) -> None:
    release = new_release()
    release.set_images(model=release.images.candidate, stable=release.images.stable)
    command = release.command("restore", str(release.overlay))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as restoring:
        try:
            with release.callers() as callers:
                answering = time.time()
                first = release.wait_weight(10)
                release.settle(first + 5)
                account = callers.stop().since(answering)
        finally:
            restoring.terminate()
            said, _ = restoring.communicate()
    assert {r.version for r in account.since(0, first - 2).requests} == {"1"}, said
    assert account.lost == []
    for protocol in PROTOCOLS:
        assert {r.version for r in account.since(first).of(protocol).requests} == {"1", "2"}
    numbers.requests("rebuilt from git in mid-release", account)
