"""What the cases measured: a JSON file, and the tables of docs/releases.md."""

import json
from pathlib import Path
from typing import Any

from tests.cluster.callers import PROTOCOLS, Account


class Numbers:
    """Collects measurements by case; the file holds those of the present run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cases: dict[str, dict[str, Any]] = {}

    def requests(self, case: str, account: Account, **more: Any) -> None:
        """What became of a case's requests, and whatever else it measured."""
        self.measure(case, requests=account.summary(), **more)

    def measure(self, case: str, **values: Any) -> None:
        self._cases.setdefault(case, {}).update(values)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._cases, indent=1))

    def table(self) -> list[str]:
        """Markdown: a line a case."""
        if not self._cases:
            return []
        lines = ["", "| case | REST sent | lost | gRPC sent | lost | measured |", "|---|---|---|---|---|---|"]
        for case, values in self._cases.items():
            requests = values.get("requests", {})
            counts = [str(requests.get(p, {}).get(k, "")) for p in PROTOCOLS for k in ("sent", "lost")]
            rest = "; ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in values.items() if key != "requests")
            lines.append(f"| {case} | {' | '.join(counts)} | {rest} |")
        return lines


def _text(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
