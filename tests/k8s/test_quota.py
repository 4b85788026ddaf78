"""components/quota holds one model in the middle of a release, at its autoscaler's maximum, and not much more."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

_K8S = Path(__file__).parents[2] / "k8s"


def _read(file: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((_K8S / file).read_text())["spec"]
    return read


def _quantity(text: str) -> Decimal:
    number: Decimal = parse_quantity(text)  # type: ignore[no-untyped-call]
    return number


def _uses(pod: dict[str, Any]) -> Counter[str]:
    """What one pod takes of a quota."""
    taken: Counter[str] = Counter(pods=1)
    for container in pod["spec"]["containers"]:
        for side, amounts in container["resources"].items():
            taken.update({f"{side}.{resource}": _quantity(amount) for resource, amount in amounts.items()})
    return taken


def _times(count: int, taken: Counter[str]) -> Counter[str]:
    return Counter({resource: count * amount for resource, amount in taken.items()})


@pytest.fixture(scope="module")
def rollout() -> dict[str, Any]:
    return _read("base/rollout.yaml")


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    job: dict[str, Any] = _read("base/gate/analysistemplate-gate.yaml")["metrics"][0]["provider"]["job"]["spec"]["template"]
    return job


@pytest.fixture(scope="module")
def hard() -> dict[str, Decimal]:
    return {resource: _quantity(amount) for resource, amount in _read("components/quota/resourcequota.yaml")["hard"].items()}


def test_a_release_at_the_autoscalers_maximum_fits(
    rollout: dict[str, Any], gate: dict[str, Any], hard: dict[str, Decimal]
) -> None:
    most = _read("base/horizontalpodautoscaler.yaml")["maxReplicas"]
    fresh = max(
        sum(template["replicas"] for template in step["experiment"]["templates"])
        for step in rollout["strategy"]["canary"]["steps"]
        if "experiment" in step
    )
    # While the last callers move, both versions stand at full size.
    needed = _times(2 * most + fresh, _uses(rollout["template"])) + _uses(gate)
    assert set(hard) <= set(needed)
    for resource, limit in hard.items():
        assert needed[resource] <= limit <= Decimal("1.25") * needed[resource], resource


def test_every_container_of_a_release_names_what_the_quota_counts(
    rollout: dict[str, Any], gate: dict[str, Any], hard: dict[str, Decimal]
) -> None:
    (container,) = _read("components/quota/limitrange.yaml")["limits"]
    for pod in (rollout["template"], gate):
        assert set(hard) <= set(_uses(pod))
        for used in pod["spec"]["containers"]:
            assert _quantity(used["resources"]["limits"]["memory"]) <= _quantity(container["max"]["memory"])
