"""The rules file of a gate: read, checked against `rules.schema.json`, and refused with the line where it is wrong."""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from canari.errors import UsageError
from canari.gate.statistics import Risks
from canari.gate.verdict import HEALTH
from canari.gate.yaml_file import Schema

PREDICTION_RULES = (
    "prediction_shift",
    "prediction_difference",
    "prediction_changes",
    "prediction_distribution",
    "class_disagreement",
    "missing_mismatch",
)
SHADOW_RULES = ("shadow_difference", "shadow_errors")
LIVE_PREFIX = "live_"

_QUANTILE = re.compile(r"p\d+(?:\.\d+)?")
_EXAMPLES = ("p50", "p95", "p99", "p50_vs_baseline", "p95_vs_baseline", "live_p95_vs_baseline")  # any other pNN is allowed too
_SCHEMA = Schema("canari.gate", "rules.schema.json", _EXAMPLES)
_WARMUP_SHARE = 0.1
_NEVER_SHORTENED_S = 60.0
_MOST_REQUESTS = 2_000_000  # to each arm


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate measures, and the limits it judges by."""

    file: str
    sha256: str
    limits: dict[str, dict[str, float]]  # by rule; the keys are those of `rules.schema.json`
    locustfile: str | None = None
    duration_s: float = 60.0
    rate: float = 100.0
    arrivals: str = "poisson"
    warmup_s: float = 2.0
    timeout_s: float = 10.0
    pass_after_s: float | None = None  # of load, before which no clear pass ends the gate; None: see `earliest_pass_s`
    false_alarms: float = 0.05  # share of releases of an unchanged model that may fail: over all gates, rules and looks
    misses: float = 0.05  # how often a rule may pass what it forbids
    optional: tuple[str, ...] = ()  # rules that do not count where nothing is given to judge them by
    gates: int = 1  # of the release

    def lasting(self, seconds: float | None) -> "Rules":
        """The same with another duration, where one is given; the warm-up is at most a tenth of it.

        Raises `UsageError` where that is more than a gate's process could hold.
        """
        duration = self.duration_s if seconds is None else seconds
        if self.rate * duration > _MOST_REQUESTS:
            raise UsageError(
                f"{self.file}: {self.rate:g} requests a second for {duration:g} s are {self.rate * duration:,.0f} to each of the "
                f"two: expected at most {_MOST_REQUESTS:,}, which are judged in memory"
            )
        return msgspec.structs.replace(self, duration_s=duration, warmup_s=min(self.warmup_s, _WARMUP_SHARE * duration))

    def of(self, gates: int) -> "Rules":
        """The same for one of so many gates of a release."""
        return msgspec.structs.replace(self, gates=gates)

    @property
    def earliest_pass_s(self) -> float:
        """Seconds of load before which no gate passes: what comes once in a while must have had its chance to come."""
        if self.pass_after_s is not None:
            return min(self.pass_after_s, self.duration_s)
        return self.duration_s if self.duration_s <= _NEVER_SHORTENED_S else max(_NEVER_SHORTENED_S, self.duration_s / 2)

    def risks(self) -> Risks:
        """What one rule of one gate may risk where it is judged once.

        A gate fails where one rule does, so the false alarms are divided over all gates and rules (Bonferroni). It passes where
        all rules do, so that what one of them forbids passes no more often than that rule alone lets it.
        """
        judged = sum(name != HEALTH for name in self.limits)
        return Risks(false_alarm=self.false_alarms / self.gates / max(judged, 1), miss=self.misses)


def load_rules(path: Path) -> Rules:
    """Read a rules file; raises `UsageError` with file, line, key and what was expected where it is wrong."""
    file = _SCHEMA.read(path)
    content = file.content
    load = content.get("load", {})
    locustfile = content.get("locustfile")
    settings = {
        "duration_s": load.get("duration"),
        "rate": load.get("rate"),
        "arrivals": load.get("arrivals"),
        "warmup_s": load.get("warmup"),
        "timeout_s": load.get("timeout"),
        "pass_after_s": load.get("pass_after"),
        "false_alarms": content.get("false_alarms"),
        "misses": content.get("misses"),
    }
    rules = Rules(
        file=str(path),
        sha256=file.sha256,
        limits=content["rules"],
        locustfile=None if locustfile is None else str(path.parent / locustfile),
        optional=tuple(content.get("optional", ())),
        **{name: value for name, value in settings.items() if value is not None},
    )
    for index, name in enumerate(rules.optional):
        if (sentence := _not_optional(name, rules.limits)) is not None:
            raise file.wrong(["optional", index], sentence)
    if rules.pass_after_s is not None and rules.pass_after_s > rules.duration_s:
        expected = f"expected at most the duration of {rules.duration_s:g} s, came {rules.pass_after_s:g}"
        raise file.wrong(["load", "pass_after"], expected)
    for name, sentence in contradicting_limits(rules.limits, rules.timeout_s):
        raise file.wrong(["rules", name, "max_ms"], sentence)
    return rules.lasting(None)


def _not_optional(name: str, limits: Mapping[str, object]) -> str | None:
    """Why a rule cannot be optional, in a sentence; None where it can."""
    if name not in limits:
        return f"expected one of this file's rules, came {name!r}"
    if not (name in PREDICTION_RULES or name in SHADOW_RULES or name.startswith(LIVE_PREFIX)):
        return f"{name} rests on the gate's own load, which there always is: expected a rule of rows, of callers or of a shadow"
    return None


def contradicting_limits(limits: Mapping[str, Mapping[str, float]], timeout_s: float) -> Iterator[tuple[str, str]]:
    """Rules of a latency alone that another one, or the timeout, makes pointless: the rule, and a sentence."""
    quantiles = sorted((float(name[1:]), limit["max_ms"], name) for name, limit in limits.items() if _QUANTILE.fullmatch(name))
    for _, limit, name in quantiles:
        if limit >= 1e3 * timeout_s:
            yield name, f"expected less than the timeout of {timeout_s:g} s, came {limit:g} ms"
    for (_, lower, name), (_, higher, above) in itertools.pairwise(quantiles):
        if lower > higher:
            yield name, f"expected at most the {higher:g} of {above}, which is never less, came {lower:g}"
