"""What the cases measured: a JSON file, and the tables of docs/releases.md."""

import fcntl
import json
from pathlib import Path
from typing import Any

from tests.cluster.callers import PROTOCOLS, Account


class Numbers:
    """Collects measurements by case in a file, from all the processes of a run."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def requests(self, case: str, account: Account, **more: Any) -> None:
        """What became of a case's requests, and whatever else it measured."""
        self.measure(case, requests=account.summary(), **more)

    def measure(self, case: str, **values: Any) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            cases = self._cases()
            cases.setdefault(case, {}).update(values)
            file.truncate(0)
            file.write(json.dumps(cases, indent=1))

    def _cases(self) -> dict[str, dict[str, Any]]:
        text = self._file.read_text() if self._file.exists() else ""
        cases: dict[str, dict[str, Any]] = json.loads(text or "{}")
        return cases

    def table(self) -> list[str]:
        """Markdown: a line a case."""
        cases = self._cases()
        if not cases:
            return []
        lines = ["", "| case | REST sent | lost | gRPC sent | lost | measured |", "|---|---|---|---|---|---|"]
        for case, values in cases.items():
            requests = values.get("requests", {})
            counts = [str(requests.get(p, {}).get(k, "")) for p in PROTOCOLS for k in ("sent", "lost")]
            rest = "; ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in values.items() if key != "requests")
            lines.append(f"| {case} | {' | '.join(counts)} | {rest} |")
        return lines


def _text(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
