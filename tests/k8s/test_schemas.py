"""Every overlay with every component, against the schemas of Kubernetes and of the kinds that it does not have itself."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.rendering import Object, as_kubernetes_own

_KUBERNETES = "1.34"
_SCHEMAS = {f.stem: json.loads(f.read_text()) for f in (Path(__file__).parent / "schemas").glob("*.json")}


_valid: set[str] = set()


def _validate(o: Object) -> None:
    """Raises where an object breaks its schema; most are the same in many overlays, and looked at once."""
    if (text := json.dumps(o)) in _valid:
        return
    if o["kind"] in _SCHEMAS:
        jsonschema.validate(o, _SCHEMAS[o["kind"]])
    kubernetes_own = as_kubernetes_own(o)
    if kubernetes_own["kind"] not in _SCHEMAS:
        kubernetes_validate.validate(kubernetes_own, _KUBERNETES, strict=True)
    _valid.add(text)


def test_objects_are_as_their_schemas_have_them(objects: list[Object]) -> None:
    for o in objects:
        _validate(o)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Rollout", ["spec", "strategy", "canary", "steps", 0, "experiment"]),
        ("Rollout", ["spec", "template", "spec", "containers", 0, "readinessProbe"]),
        ("AnalysisTemplate", ["spec", "metrics", 0, "provider", "job", "spec", "podFailurePolicy"]),
        ("HTTPRoute", ["spec", "rules", 0, "backendRefs", 0]),
        ("HorizontalPodAutoscaler", ["spec", "behavior"]),
    ],
)
def test_an_unknown_field_is_an_error(plain: list[Object], kind: str, path: list[str | int]) -> None:
    o: Any = next(o for o in plain if o["kind"] == kind)
    _validate(o)
    where = o
    for key in path:
        where = where[key]
    where["replikas"] = 2
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError), match="replikas"):
        _validate(o)
