"""The pictures of a gate's report: both arms' latency, and what each comparing rule knew at each look."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from canari.gate.plan import Arm
from canari.gate.report.drawing import (
    BOTTOM,
    FONT,
    LEFT,
    RIGHT,
    TOP,
    Axis,
    Numbers,
    band,
    dashed,
    drawn,
    frame,
    line,
    picture,
    text,
)
from canari.gate.report.page import MARKS, RATIO, SHARE
from canari.gate.verdict import Look, RuleResult

_COLOURS: dict[Arm, str] = {"baseline": "var(--stable)", "candidate": "var(--candidate)"}
_DASHES: dict[Arm, str] = {"baseline": "5 3", "candidate": ""}  # so that paper without colours tells them apart, too
_MOST_POINTS = 160  # of a curve, so that the page stays small
_QUANTILES = {0.5: "p50", 0.1: "p90", 0.05: "p95", 0.01: "p99", 0.001: "p99.9", 0.0001: "p99.99"}
_LOOK_SIZE = (430, 220)  # CSS pixels
_MOST_RATIO, _MOST_AMOUNT = 1e6, 1e12  # what a picture of the looks can show


def latency_distribution(arms: Mapping[Arm, Numbers], limits: Mapping[str, float]) -> str:
    """What share of each arm's requests had a good answer within so many ms; a failed one is infinite: its curve ends below.

    `limits`: the most ms of a quantile pNN of the candidate, by its name.
    """
    finite = np.concatenate([values[np.isfinite(values)] for values in arms.values()] or [np.zeros(0)])
    n = max((len(values) for values in arms.values()), default=0)
    if not len(finite):
        return ""
    low, high = _around(np.append(finite, list(limits.values())))

    def draw(width: float, height: float) -> str:
        x = Axis(low, high, LEFT, width - RIGHT)
        y = Axis(0.5 / n, 1.0, TOP, height - BOTTOM)  # of the share that is still without an answer
        marks = {share: label for share, label in _QUANTILES.items() if share > y.low}
        parts = [frame(x, y, "ms from when a request was due", width, height, y_labels=marks)]
        for arm, values in arms.items():
            good = np.sort(values[np.isfinite(values)])
            if not len(good):
                continue
            left = 1 - np.arange(1, len(good) + 1) / len(values)
            keep = _spread(len(good))
            xs, ys = x(good[keep]), y(np.maximum(left[keep], y.low))
            parts.append(line(np.append(xs[:1], xs), np.append(y([1.0]), ys), _COLOURS[arm], _DASHES[arm]))
        for name, limit in limits.items():
            at, level = x.at(limit), y.at(max(1 - float(name[1:]) / 100, y.low))
            parts.append(
                f'<path d="M{at:.1f} {level - 7:.1f}v14M{at - 6:.1f} {level:.1f}h6" stroke="var(--fail)" stroke-width="2"/>'
            )
            parts.append(text(at - 8, level - 5, f"{name} limit", "end", "var(--fail)", outlined=True))
        return "".join([*parts, _legend(list(arms), width)])

    return picture("Distribution of latency: the share of requests with a good answer within so many milliseconds", draw)


def latency_over_time(arms: Mapping[Arm, tuple[Numbers, Numbers]], seconds: float, warmup: float) -> str:
    """Each arm's median and 95th percentile by the time at which requests were due, of (seconds, ms); failed ones are marked."""
    step = max(1.0, math.ceil(seconds / _MOST_POINTS))
    curves: dict[Arm, list[tuple[str, Numbers, Numbers]]] = {}
    for arm, (due, latency) in arms.items():
        good = np.isfinite(latency)
        bins = np.floor(due[good] / step)
        at = np.unique(bins)
        values = [latency[good][bins == b] for b in at]
        curves[arm] = [
            (f"p{level}", (at + 0.5) * step, np.array([np.percentile(v, level) for v in values])) for level in (50, 95)
        ]
    points = np.concatenate([values for pair in curves.values() for _, _, values in pair] or [np.zeros(0)])
    if not len(points):
        return ""
    low, high = _around(points)

    def draw(width: float, height: float) -> str:
        x = Axis(0, seconds, LEFT, width - RIGHT, log=False)
        y = Axis(low, high, height - BOTTOM, TOP)
        parts = [frame(x, y, "seconds", width, height, y_labels={tick: f"{tick:g}" for tick in y.ticks(7)}, y_title="ms")]
        if warmup > 0:
            parts.insert(0, f'<rect x="{LEFT}" y="{TOP}" width="{x.at(warmup) - LEFT:.1f}" '
                            f'height="{height - TOP - BOTTOM:.1f}" fill="var(--card)"/>')  # fmt: skip
        for arm, pair in curves.items():
            for _, at, values in pair:
                parts.append(line(x(at), y(values), _COLOURS[arm], _DASHES[arm]))
        slowest = next(pair for arm, pair in reversed(curves.items()) if len(pair[0][1]))
        for name, at, values in slowest:
            parts.append(text(x.at(at[-1]), y.at(values[-1]) - 9, name, "end", outlined=True))
        for arm, (due, latency) in arms.items():
            failed = np.unique(np.round(x(due[~np.isfinite(latency)])))
            if len(failed):
                top = TOP + 11 * (arm == "candidate")
                marks = "".join(f"M{at:.0f} {top:.0f}v9" for at in failed)
                parts.append(f'<path d="{marks}" stroke="{_COLOURS[arm]}" stroke-width="1.5"/>')
        return "".join([*parts, _legend(list(arms), width)])

    return picture(
        "Latency over time: median and 95th percentile; marks at the top are failed requests, the baseline's above",
        draw,
    )


def reading_over_looks(rule: RuleResult, looks: Sequence[Look]) -> str:
    """What a rule that compares knew at each of `looks`: value, interval and limit over the seconds of load; "" for nothing.

    An interval without a bound goes to the picture's edge.
    """
    read = [(look.seconds, look.readings[rule.name]) for look in looks if rule.name in look.readings]
    if not read:
        return ""
    ratio = rule.unit == RATIO
    scale = 100.0 if rule.unit == SHARE else 1.0
    limit = _main_limit(rule)
    seconds = np.maximum([at for at, _ in read], 0.1)
    # A fail is beyond its limit with its whole interval: an end that is no number is then an endless one.
    lows = np.array([_number(r.low, if_none=math.inf if r.outcome == "fail" else -math.inf) for _, r in read]) * scale
    values = np.array([_number(r.value, if_none=math.inf) for _, r in read]) * scale
    highs = np.array([_number(r.high, if_none=math.inf) for _, r in read]) * scale
    later = len(read) // 2  # early intervals are wide: they are cut, so that the later ones can be read
    shown = np.concatenate(
        [values, lows[later:], highs[later:], [] if limit is None else [limit * scale], [1.0 if ratio else 0.0]]
    )
    low, high = _ends(shown[np.isfinite(shown)], log=ratio)

    def draw(width: float, height: float) -> str:
        x = Axis(seconds.min() / 1.35, seconds.max() * 1.15, LEFT, width - RIGHT)
        y = Axis(low, high, height - BOTTOM, TOP, log=ratio)
        labels = {tick: f"{tick:g}" for tick in y.ticks(6)}
        parts = [frame(x, y, "seconds of load", width, height, labels, "×" if ratio else "%" if rule.unit == SHARE else "")]
        parts.append(band(x(seconds), y(lows), y(highs), "var(--candidate)"))
        ends = "".join(f"M{at:.1f} {a:.1f}V{b:.1f}" for at, a, b in zip(x(seconds), y(lows), y(highs), strict=True))
        parts.append(f'<path d="{ends}" stroke="var(--candidate)" stroke-opacity="0.5"/>')
        if limit is not None:
            at = y.at(limit * scale)
            parts.append(
                f'<path d="M{LEFT} {at:.1f}H{width - RIGHT}" stroke="var(--fail)" stroke-width="1.6" stroke-dasharray="7 4"/>'
            )
            parts.append(text(LEFT + 4, at - 5, "limit", "start", "var(--fail)", outlined=True))
        known = np.isfinite(values)
        parts.append(line(x(seconds[known]), y(values[known]), "var(--candidate)"))
        if rule.decided_s is not None:
            at = x.at(max(rule.decided_s, 0.1))
            parts.append(f'<path d="M{at:.1f} {TOP}V{height - BOTTOM}" stroke="var(--ink)" stroke-dasharray="2 3"/>')
            parts.append(text(min(at, width - RIGHT - 24), TOP - 8, "decided", "middle"))
        for at, value, (_, reading) in zip(x(seconds), y(values), read, strict=True):
            colour = f"var(--{reading.outcome})"
            parts.append(f'<circle cx="{at:.1f}" cy="{value:.1f}" r="7.5" fill="var(--paper)" stroke="{colour}"/>')
            parts.append(text(at, value + 4.5, MARKS[reading.outcome], "middle", colour))
        return "".join(parts)

    return drawn(f"{rule.name}: value and interval at each look, and the limit", draw, *_LOOK_SIZE)


def _main_limit(rule: RuleResult) -> float | None:
    """That of its limits which is in the unit of its value."""
    if not isinstance(rule.limit, dict):
        return rule.limit
    return rule.limit.get("max_ratio", rule.limit.get("max"))


def _number(value: float | None, if_none: float) -> float:
    return if_none if value is None else value


def _ends(values: Numbers, *, log: bool) -> tuple[float, float]:
    """Of an axis that shows all values, with some room."""
    if log:
        values = np.clip(values[values > 0], 1 / _MOST_RATIO, _MOST_RATIO)
        return float(values.min()) / 1.15, float(values.max()) * 1.15
    values = np.clip(values, -_MOST_AMOUNT, _MOST_AMOUNT)
    room = 0.1 * float(values.max() - values.min()) or 1.0
    return float(values.min()) - room, float(values.max()) + room


def _around(values: Numbers) -> tuple[float, float]:
    """Round ends of a logarithmic axis."""
    low, high = max(float(values.min()), 1e-3), max(float(values.max()), 2e-3)
    return 10 ** (math.floor(5 * math.log10(low)) / 5), 10 ** (math.ceil(5 * math.log10(high) + 0.2) / 5)


def _spread(n: int) -> npt.NDArray[np.int64]:
    """Indices of n sorted values: evenly over the middle, and closer the nearer to the slowest."""
    tail = n - np.unique(np.geomspace(1, n, min(n, _MOST_POINTS)).astype(np.int64))
    even = np.linspace(0, n - 1, min(n, _MOST_POINTS // 2)).astype(np.int64)
    return np.unique(np.concatenate([tail, even]))


def _legend(arms: Sequence[Arm], width: float) -> str:
    parts, at = [], width - RIGHT
    for arm in reversed(arms):
        at -= FONT * 0.56 * len(arm)
        parts.append(text(at, 14, arm))
        at -= 30
        parts.append(f'<path d="M{at:.0f} 10h24" stroke="{_COLOURS[arm]}" stroke-width="2.5"{dashed(_DASHES[arm])}/>')
        at -= 10
    return "".join(parts)
