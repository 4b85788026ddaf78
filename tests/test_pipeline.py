"""The pipelines: they call verbs that the Makefile has, and no action that could change under them."""

import os
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


@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda w: w.name)
def test_a_program_is_downloaded_at_one_version_and_checked(workflow: Path) -> None:
    for run in (step["run"] for job in _jobs(workflow) for step in job["steps"] if "run" in step):
        for address in re.findall(r"https://\S+", run):
            assert re.search(r"/v\d+\.\d+\.\d+/", address)
            assert re.search(r"[0-9a-f]{64}  \S+' \| sha256sum --check", run)
        for module in re.findall(r"\bgo (?:install|run|mod download).*", run):
            assert re.search(r"@v\d+\.\d+\.\d+\b", module)


def test_the_cluster_tests_get_all_that_they_read() -> None:
    (job,) = _jobs(_TOP / ".github/workflows/cluster.yaml")
    read = set(re.findall(r"^\| ([A-Z_]+) \|", (_TOP / "tests/cluster/conftest.py").read_text(), re.MULTILINE))
    assert read
    assert read | {"CANARI_REQUIRE"} == set(job["env"])
    adapter = _TOP / job["env"]["CANARI_CLUSTER_ADAPTER"].removeprefix("${{ github.workspace }}/")
    assert os.access(adapter, os.X_OK)
    # kind brings the gateway and the registry to this machine under the names that the tests are given.
    up = (_TOP / "k8s/cluster/kind/up").read_text()
    assert f"--publish 127.0.0.1:{job['env']['CANARI_REGISTRY'].removeprefix('localhost:')}:5000" in up
    (node,) = yaml.safe_load((_TOP / "k8s/cluster/kind/cluster.yaml").read_text())["nodes"]
    http = next(m for m in node["extraPortMappings"] if m["containerPort"] == 80)
    assert f"{http['listenAddress']}:{http['hostPort']}" == job["env"]["CANARI_GATEWAY"]


def test_the_workflows_verbs_are_the_makefiles() -> None:
    steps = [step["run"] for workflow in _WORKFLOWS for job in _jobs(workflow) for step in job["steps"] if "run" in step]
    called = {verb for run in steps for verb in re.findall(r"\bmake ([a-z-]+)", run)}
    assert {"lint", "test", "rehearse", "cluster-kind", "cluster-install", "cluster-test"} <= called <= _VERBS
    assert set(re.findall(r"^verb ([a-z-]+)$", (_TOP / ".ci/run").read_text(), re.MULTILINE)) <= _VERBS
