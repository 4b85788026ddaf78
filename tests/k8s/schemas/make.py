"""Makes the schemas of this folder out of CustomResourceDefinitions: `python make.py FILE...`, a FILE being YAML or JSON.

They are what the tests of the manifests need, where no cluster serves these kinds: unknown fields are errors. Descriptions,
status and rules in CEL are left out, so are the insides of pod templates and Jobs, which Kubernetes' own schemas describe.

| kinds | CustomResourceDefinitions of |
|---|---|
| Rollout, AnalysisTemplate | Argo Rollouts 1.10.1 |
| HTTPRoute, GRPCRoute | Gateway API 1.3.0, standard channel |
| ScaledObject | KEDA 2.20.2 |
| PodMonitor | Prometheus operator 0.93.0 |
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_KINDS = ("AnalysisTemplate", "GRPCRoute", "HTTPRoute", "PodMonitor", "Rollout", "ScaledObject")


def main(files: list[str]) -> None:
    for file in files:
        for document in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")):
            for definition in document.get("items", [document]):
                if definition["spec"]["names"]["kind"] in _KINDS:
                    _write(definition["spec"])


def _write(definition: dict[str, Any]) -> None:
    kind = definition["names"]["kind"]
    for version in definition["versions"]:
        if version["storage"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"].pop("status", None)
            schema["properties"]["metadata"] = {"type": "object"}
            schema["properties"]["apiVersion"] = {"const": f"{definition['group']}/{version['name']}"}
            text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
            (Path(__file__).parent / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


def _strict(schema: Any) -> Any:
    """The schema, without words, and closed to fields that it does not name."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if _is_kubernetes_own(schema):
        return {"type": "object"}
    kept = {key: _strict(value) for key, value in schema.items() if not (key.startswith("x-") or _is_prose(key, value))}
    if "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def _is_prose(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)


def _is_kubernetes_own(schema: dict[str, Any]) -> bool:
    """Whether this is a PodTemplateSpec or a JobSpec."""
    properties = schema.get("properties", {})
    inner = properties.get("spec", {}).get("properties", {}) if isinstance(properties, dict) else {}
    return "containers" in inner or {"backoffLimit", "template"} <= set(properties)


if __name__ == "__main__":
    main(sys.argv[1:])
