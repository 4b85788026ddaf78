"""Every overlay with every component, against checkov's policies for Kubernetes; ./checkov.yaml says which are off, and why."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.rendering import COMPONENTS, K8S, OVERLAYS, Object, as_kubernetes_own, overlay

_CHECKOV = K8S.parent / ".venv-checkov/bin/checkov"


def _failed(objects: list[Object], scratch: Path) -> list[str]:
    """The checks that fail. Checkov knows no Rollouts and no AnalysisTemplates: it sees a Deployment and a Job in their place."""
    if not _CHECKOV.exists():
        pytest.skip("checkov is not installed: run `make checkov`")
    (scratch / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    settings = Path(__file__).with_name("checkov.yaml")
    ran = subprocess.run(
        [_CHECKOV, "--directory", scratch, "--config-file", settings, "--skip-download", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["summary"]["passed"] > 100, ran.stdout
    assert report["summary"]["parsing_errors"] == 0
    return [f"{c['check_id']} {c['resource']}: {c['check_name']}" for c in report["results"]["failed_checks"]]


@pytest.fixture(scope="module")
def all_objects(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """What all overlays come to, plain and with all components; the same object once."""
    found = {}
    for name in OVERLAYS:
        for components in ((), COMPONENTS):
            for o in overlay(name, components, tmp_path_factory.mktemp("overlay")):
                found[json.dumps(o)] = as_kubernetes_own(o)
    return list(found.values())


def test_the_manifests_keep_to_the_policies(all_objects: list[Object], tmp_path: Path) -> None:
    assert _failed(all_objects, tmp_path) == []


def test_a_pod_that_could_take_the_node_would_be_found(all_objects: list[Object], tmp_path: Path) -> None:
    broken = copy.deepcopy(all_objects)
    container = next(o for o in broken if o["kind"] == "Job")["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["privileged"] = True
    assert "CKV_K8S_16" in " ".join(_failed(broken, tmp_path))
