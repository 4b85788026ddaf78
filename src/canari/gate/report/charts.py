"""The report's pictures, drawn as SVG by hand: the gate's image has no drawing library.

Colours are the page's own variables, so that light, dark and paper all read well. Each picture is drawn twice, for a wide page
and for a phone's; the page shows the one that fits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canari.gate.plan import Arm

Numbers = npt.NDArray[np.float64]

_COLOURS: dict[Arm, str] = {"baseline": "var(--stable)", "candidate": "var(--candidate)"}
_SIZES = {"wide": (900, 300), "narrow": (380, 260)}  # CSS pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 12.0, 26.0, 40.0
_MOST_POINTS = 160  # of a curve, so that the page stays small
_FONT = 12.5
_QUANTILES = {0.5: "p50", 0.1: "p90", 0.05: "p95", 0.01: "p99", 0.001: "p99.9", 0.0001: "p99.99"}


@dataclass(frozen=True)
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = True

    def __call__(self, values: npt.ArrayLike) -> Numbers:
        """Pixels of values, those outside at the edge."""
        clipped = np.clip(np.asarray(values, np.float64), self.low, self.high)
        scale = np.log if self.log else np.asarray
        share = (scale(clipped) - scale(self.low)) / (scale(self.high) - scale(self.low))
        pixels: Numbers = np.asarray(self.start + share * (self.end - self.start), np.float64)
        return pixels

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values, evenly spread."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            candidates = [[m * 10.0**d for d in decades for m in mantissas] for mantissas in ((1, 2, 5), (1, 3), (1,))]
        else:
            power = 10.0 ** math.floor(math.log10((self.high - self.low) or 1) - 1)
            steps = [m * power for m in (1, 2, 5, 10, 20, 50)]
            candidates = [list(np.arange(math.ceil(self.low / s), math.floor(self.high / s) + 1) * s) for s in steps]
        within = [[value for value in values if self.low <= value <= self.high] for values in candidates]
        return next((values for values in within if len(values) <= most), within[-1][:: max(1, len(within[-1]) // most)])


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
        x = Axis(low, high, _LEFT, width - _RIGHT)
        y = Axis(0.5 / n, 1.0, _TOP, height - _BOTTOM)  # of the share that is still without an answer
        marks = {share: label for share, label in _QUANTILES.items() if share > y.low}
        parts = [_frame(x, y, "ms from when a request was due", width, height, y_labels=marks)]
        for arm, values in arms.items():
            good = np.sort(values[np.isfinite(values)])
            if not len(good):
                continue
            left = 1 - np.arange(1, len(good) + 1) / len(values)
            keep = _spread(len(good))
            xs, ys = x(good[keep]), y(np.maximum(left[keep], y.low))
            parts.append(_line(np.append(xs[:1], xs), np.append(y([1.0]), ys), _COLOURS[arm]))
        for name, limit in limits.items():
            at, level = float(x([limit])[0]), float(y([max(1 - float(name[1:]) / 100, y.low)])[0])
            parts.append(
                f'<path d="M{at:.1f} {level - 7:.1f}v14M{at - 6:.1f} {level:.1f}h6" stroke="var(--fail)" stroke-width="2"/>'
                f'<text x="{at - 8:.1f}" y="{level - 5:.1f}" text-anchor="end" fill="var(--fail)">{name} limit</text>'
            )
        return "".join([*parts, _legend(list(arms), ("",), width)])

    return _picture("Distribution of latency: the share of requests with a good answer within so many milliseconds", draw)


def latency_over_time(arms: Mapping[Arm, tuple[Numbers, Numbers]], seconds: float, warmup: float) -> str:
    """Each arm's median and 95th percentile by the time at which requests were due, of (seconds, ms); failed ones are marked."""
    step = max(1.0, math.ceil(seconds / _MOST_POINTS))
    curves: dict[Arm, list[tuple[Numbers, Numbers]]] = {}
    for arm, (due, latency) in arms.items():
        good = np.isfinite(latency)
        bins = np.floor(due[good] / step)
        at = np.unique(bins)
        values = latency[good]
        curves[arm] = [((at + 0.5) * step, np.array([np.percentile(values[bins == b], level) for b in at])) for level in (50, 95)]
    drawn = np.concatenate([values for pair in curves.values() for _, values in pair] or [np.zeros(0)])
    if not len(drawn):
        return ""
    low, high = _around(drawn)

    def draw(width: float, height: float) -> str:
        x = Axis(0, seconds, _LEFT, width - _RIGHT, log=False)
        y = Axis(low, high, height - _BOTTOM, _TOP)
        parts = [_frame(x, y, "seconds", width, height, y_labels={tick: f"{tick:g}" for tick in y.ticks(7)}, y_title="ms")]
        if warmup > 0:
            parts.insert(0, f'<rect x="{_LEFT}" y="{_TOP}" width="{float(x([warmup])[0]) - _LEFT:.1f}" '
                            f'height="{height - _TOP - _BOTTOM:.1f}" fill="var(--card)"/>')  # fmt: skip
        for arm, pair in curves.items():
            for (at, values), dashes in zip(pair, ("", "4 3"), strict=True):
                parts.append(_line(x(at), y(values), _COLOURS[arm], dashes))
        for arm, (due, latency) in arms.items():
            failed = np.unique(np.round(x(due[~np.isfinite(latency)])))
            if len(failed):
                marks = "".join(f"M{at:.0f} {_TOP:.0f}v9" for at in failed)
                parts.append(f'<path d="{marks}" stroke="{_COLOURS[arm]}" stroke-width="1.5"/>')
        return "".join([*parts, _legend(list(arms), ("p50", "p95"), width)])

    return _picture("Latency over time: median and 95th percentile; marks at the top are failed requests", draw)


def _around(values: Numbers) -> tuple[float, float]:
    """Round ends of a logarithmic axis."""
    low, high = max(float(values.min()), 1e-3), max(float(values.max()), 2e-3)
    return 10 ** (math.floor(5 * math.log10(low)) / 5), 10 ** (math.ceil(5 * math.log10(high) + 0.2) / 5)


def _spread(n: int) -> npt.NDArray[np.int64]:
    """Indices of n sorted values: evenly over the middle, and closer the nearer to the slowest."""
    tail = n - np.unique(np.geomspace(1, n, min(n, _MOST_POINTS)).astype(np.int64))
    even = np.linspace(0, n - 1, min(n, _MOST_POINTS // 2)).astype(np.int64)
    return np.unique(np.concatenate([tail, even]))


def _line(xs: Numbers, ys: Numbers, colour: str, dashes: str = "") -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"{dashed}/>'


def _frame(x: Axis, y: Axis, x_title: str, width: float, height: float, y_labels: Mapping[float, str], y_title: str = "") -> str:
    """Grid, labels and titles."""
    bottom = height - _BOTTOM
    parts = []
    for tick, label in y_labels.items():
        at = float(y([tick])[0])
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{width - _RIGHT}" stroke="var(--line)"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in x.ticks(round(width / 70)):
        at = float(x([tick])[0])
        parts.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="var(--line)"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{(width + _LEFT) / 2:.1f}" y="{height - 6}" text-anchor="middle">{x_title}</text>')
    if y_title:
        parts.append(f'<text x="{_LEFT - 6}" y="{_TOP - 10}" text-anchor="end">{y_title}</text>')
    return "".join(parts)


def _legend(arms: Sequence[Arm], styles: Sequence[str], width: float) -> str:
    parts, at = [], width - _RIGHT
    for arm in reversed(arms):
        for style in reversed(styles):
            label = f"{arm} {style}".strip()
            dashes = ' stroke-dasharray="4 3"' if style == "p95" else ""
            at -= _FONT * 0.56 * len(label)
            parts.append(f'<text x="{at:.0f}" y="14">{label}</text>')
            at -= 24
            parts.append(f'<path d="M{at:.0f} 10h18" stroke="{_COLOURS[arm]}" stroke-width="2.5"{dashes}/>')
            at -= 10
    return "".join(parts)


def _picture(title: str, draw: Callable[[float, float], str]) -> str:
    return "".join(
        f'<svg class="{size}" viewBox="0 0 {width} {height}" role="img" aria-label="{title}" font-size="{_FONT}" '
        f'fill="var(--ink)">{draw(width, height)}</svg>'
        for size, (width, height) in _SIZES.items()
    )
