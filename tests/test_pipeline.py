"""The pipelines: they call verbs that the Makefile has, and no action that could change under them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

_TOP = Path(__file__).parents[1]
_WORKFLOWS = sorted((_TOP / ".github/workflows").glob("*.yaml"))
_VERBS = set(re.findall(r"^([a-z][a-z-]*):", (_TOP / "Makefile").read_text(), re.MULTILINE))


def _jobs(workflow: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(workflow.read_text())["jobs"].values())


@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda w: w.name)
def test_a_workflow_may_only_read_and_ends(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}
    for job in _jobs(workflow):
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 60


@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda w: w.name)
def test_actions_are_pinned_by_commit_and_name_their_version(workflow: Path) -> None:
    used = re.findall(r"^\s*-? *uses: *(.*)$", workflow.read_text(), re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_the_workflows_verbs_are_the_makefiles() -> None:
    steps = [step["run"] for workflow in _WORKFLOWS for job in _jobs(workflow) for step in job["steps"] if "run" in step]
    called = {verb for run in steps for verb in re.findall(r"\bmake ([a-z-]+)", run)}
    assert {"lint", "test", "rehearse"} <= called <= _VERBS
    assert set(re.findall(r"^verb ([a-z-]+)$", (_TOP / ".ci/run").read_text(), re.MULTILINE)) <= _VERBS
