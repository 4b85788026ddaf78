"""Record a state for these tests: `python tests/release/record.py NAMESPACE STATE`, with the cluster that KUBECONFIG names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

KINDS = ("rollouts", "replicasets", "pods", "experiments", "analysisruns", "httproutes", "grpcroutes", "configmaps")
SPECS_UNREAD = ("Pod", "Experiment", "AnalysisRun")
LARGE = ("managedFields",)
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def trim(item: dict[str, Any]) -> dict[str, Any]:
    """The object without what nothing here reads."""
    metadata = item["metadata"]
    for name in LARGE:
        metadata.pop(name, None)
    metadata.get("annotations", {}).pop(APPLIED, None)
    if item["kind"] in SPECS_UNREAD:
        item.pop("spec", None)
    if "binaryData" in item:
        item["binaryData"] = {key: value for key, value in item["binaryData"].items() if key.endswith(".json.gz")}
    return item


def main(namespace: str, state: str) -> None:
    """Read every kind, and write the objects."""
    items = []
    for kind in KINDS:
        answer = subprocess.run(["kubectl", "-n", namespace, "get", kind, "-o", "json"], capture_output=True, check=True)
        items += [trim(item) for item in json.loads(answer.stdout)["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]
    file = Path(__file__).parent / "recorded" / f"{state}.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
