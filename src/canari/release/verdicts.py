"""The ConfigMap NAME-verdict: the newest gate's verdict in `data`, as Argo Rollouts reads it, and in `binaryData` the history.

A gate of the history has two keys, named after its experiment: `EXPERIMENT.json.gz` is a `Gate`, `EXPERIMENT.html.gz` its report.
"""

import base64
import gzip
import re
import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from canari.gate.verdict import Outcome, Verdict

MOST_GATES = 12
MOST_BYTES = 700_000  # of the history, as base64; the API server refuses a ConfigMap beyond 1 MiB
_LONGEST_WHY = 300

_Packed: TypeAlias = str | bytes  # gzip as base64, as the API has it

_GATE, _REPORT = ".json.gz", ".html.gz"
# What follows the candidate's hash in an experiment's name; a step that is tried again has one number more.
_REVISION_AND_STEP = re.compile(r"-(?P<revision>\d+)-(?P<step>\d+)(?:-\d+)?")


def name(model: str) -> str:
    """What the ConfigMap of a model is called."""
    return f"{model}-verdict"


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate of a release."""

    experiment: str  # ROLLOUT-HASH-REVISION-STEP, as Argo Rollouts calls the step that ran it
    release: str  # pod template hash of the candidate
    stable: str  # the same of the version that it was measured against
    published: str  # ISO 8601, UTC
    verdict: Verdict

    @property
    def outcome(self) -> Outcome:
        """The verdict's."""
        return self.verdict.outcome

    @property
    def revision(self) -> int | None:
        """The Rollout's revision, where the experiment's name tells it."""
        return self._number("revision")

    @property
    def step(self) -> int | None:
        """The Rollout's step from 0, where the experiment's name tells it."""
        return self._number("step")

    @property
    def why(self) -> str:
        """One line: the rules that decided, and their reasons."""
        deciding = [rule for rule in self.verdict.rules if rule.outcome == self.outcome]
        if self.outcome == "pass":
            return f"{len(deciding)} rule{'s' * (len(deciding) != 1)} passed"
        reasons = "; ".join(f"{rule.name}: {rule.why}" for rule in deciding) or "nothing was judged"
        reasons = " ".join(reasons.split())
        return reasons if len(reasons) <= _LONGEST_WHY else f"{reasons[: _LONGEST_WHY - 3]}..."

    def _number(self, group: str) -> int | None:
        found = _REVISION_AND_STEP.fullmatch(self.experiment.rpartition(f"-{self.release}")[2])
        return int(found[group]) if found else None


def history(binary_data: Mapping[str, _Packed] | None) -> list[Gate]:
    """The gates of a ConfigMap's `binaryData` (base64), oldest first; what cannot be read is left out."""
    gates = (_read(value) for key, value in (binary_data or {}).items() if key.endswith(_GATE))
    return sorted((gate for gate in gates if gate is not None), key=lambda gate: gate.published)


def report(binary_data: Mapping[str, _Packed] | None, gate: Gate) -> bytes | None:
    """The HTML page of a gate, where it is still kept."""
    value = (binary_data or {}).get(gate.experiment + _REPORT)
    return None if value is None else gzip.decompress(base64.b64decode(value))


def patch(gate: Gate, page: bytes, binary_data: Mapping[str, _Packed] | None) -> dict[str, Any]:
    """The merge patch that publishes a gate and its report: the verdict in `data`, the history without what no longer fits.

    The newest gate always stays, without its report where that alone is too large.
    """
    old = dict(binary_data or {})
    new: dict[str, _Packed] = {gate.experiment + _GATE: _pack(msgspec.json.encode(gate))}
    packed = _pack(page)
    if _size(new) + len(packed) <= MOST_BYTES:
        new[gate.experiment + _REPORT] = packed
    kept = dict(new)
    for number, earlier in enumerate(reversed([g for g in history(old) if g.experiment != gate.experiment]), start=2):
        both = {key: old[key] for key in (earlier.experiment + _GATE, earlier.experiment + _REPORT) if key in old}
        if number > MOST_GATES or _size(kept) + _size(both) > MOST_BYTES:
            break
        kept |= both
    data = {
        "release": gate.release,
        "stable": gate.stable,
        "experiment": gate.experiment,
        "outcome": gate.outcome,
        "why": gate.why,
        "verdict": msgspec.json.encode(gate.verdict).decode(),
    }
    dropped = {key: None for key in old if key not in kept}
    return {"data": data, "binaryData": {**dropped, **new}}


def _read(value: _Packed) -> Gate | None:
    try:
        return msgspec.json.decode(gzip.decompress(base64.b64decode(value, validate=True)), type=Gate)
    except (ValueError, OSError, EOFError, zlib.error, msgspec.MsgspecError):
        return None


def _pack(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _size(entries: Mapping[str, _Packed]) -> int:
    return sum(len(key) + len(value) for key, value in entries.items())
