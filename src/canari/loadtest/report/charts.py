"""The pictures of a load test's report: latency and rate over time, and latency over rate."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from canari.gate.report.drawing import BOTTOM, FONT, LEFT, RIGHT, TOP, Axis, Numbers, dashed, frame, line, picture, text
from canari.gate.report.page import MARKS
from canari.loadtest.result import Highest

_FEWEST_BINS, _MOST_BINS = 10, 160
_FEW_SECONDS = 10.0
_ROOM = 1.15


class _Curve(NamedTuple):
    name: str
    colour: str
    dashes: str


_LEVELS = {
    50: _Curve("p50", "var(--pass)", "2 3"),
    95: _Curve("p95", "var(--stable)", "6 3"),
    99: _Curve("p99", "var(--candidate)", ""),
}
_ASKED, _GOT = _Curve("asked", "var(--soft)", "5 3"), _Curve("good answers", "var(--stable)", "")


def latency_over_time(due: Numbers, latency: Numbers, seconds: float, warmup: float) -> str:
    """p50, p95 and p99 in ms by when requests were due [n], in seconds from the start; a failed request is infinite [n]."""
    good = np.isfinite(latency)
    if not good.any():
        return ""
    step = _bin(seconds)
    bins = np.floor(due[good] / step)
    at = np.unique(bins)
    curves = {level: np.array([np.percentile(latency[good][bins == b], level) for b in at]) for level in _LEVELS}
    low, high = _ends(np.concatenate(list(curves.values())))

    def draw(width: float, height: float) -> str:
        x = Axis(0, seconds, LEFT, width - RIGHT, log=False)
        y = Axis(low, high, height - BOTTOM, TOP)
        parts = [_shade(x, warmup, height)]
        parts.append(frame(x, y, "seconds", width, height, {tick: f"{tick:g}" for tick in y.ticks(7)}, "ms"))
        for level, curve in _LEVELS.items():
            parts.append(line(x((at + 0.5) * step), y(curves[level]), curve.colour, curve.dashes))
        failed = np.unique(np.round(x(due[~good])))
        if len(failed):
            marks = "".join(f"M{place:.0f} {TOP:.0f}v9" for place in failed)
            parts.append(f'<path d="{marks}" stroke="var(--fail)" stroke-width="1.5"/>')
        return "".join([*parts, _legend(list(_LEVELS.values()), width)])

    return picture("Latency over time: p50, p95 and p99; marks at the top are failed requests", draw)


def rate_over_time(due: Numbers, latency: Numbers, seconds: float, warmup: float) -> str:
    """Requests a second that were due [n], and good answers a second by when they came."""
    if not len(due):
        return ""
    step = _bin(seconds)
    edges = np.arange(0, math.ceil(seconds / step) + 1) * step
    good = np.isfinite(latency)
    widths = np.diff(np.minimum(edges, seconds))
    edges, widths = edges[: len(widths) + 1][np.append(True, widths > 0)], widths[widths > 0]
    asked = np.histogram(due, edges)[0] / widths
    got = np.histogram(due[good] + latency[good] / 1e3, edges)[0] / widths
    at = np.minimum(edges[:-1] + step / 2, seconds)
    most = max(float(asked.max()), float(got.max())) * _ROOM or 1.0

    def draw(width: float, height: float) -> str:
        x = Axis(0, seconds, LEFT, width - RIGHT, log=False)
        y = Axis(0, most, height - BOTTOM, TOP, log=False)
        parts = [_shade(x, warmup, height)]
        parts.append(frame(x, y, "seconds", width, height, {tick: f"{tick:g}" for tick in y.ticks(6)}, "1/s"))
        parts += [line(x(at), y(values), curve.colour, curve.dashes) for values, curve in ((asked, _ASKED), (got, _GOT))]
        return "".join([*parts, _legend([_ASKED, _GOT], width)])

    return picture("Rate over time: requests due a second, and good answers a second", draw)


def latency_over_rate(found: Highest, limits: Mapping[str, float]) -> str:
    """p50, p95 and p99 in ms over the rate, and where the objectives break; `limits` are most ms by a quantile's name."""
    steps = sorted((step for step in found.steps if step.requests), key=lambda step: step.rate_asked)
    rates = np.array([step.rate_asked for step in steps])
    curves = {
        level: np.array([math.nan if ms is None else ms for ms in (getattr(step.latency, curve.name) for step in steps)])
        for level, curve in _LEVELS.items()
    }
    values = np.concatenate([*curves.values(), list(limits.values())])
    values = values[np.isfinite(values)]
    if not len(values) or not len(rates):
        return ""
    low, high = _ends(values)
    marked = [rate for rate in (found.rate, found.broken_at) if rate]

    def draw(width: float, height: float) -> str:
        x = Axis(min([*rates, *marked]) / _ROOM, max([*rates, *marked]) * _ROOM, LEFT, width - RIGHT)
        y = Axis(low, high, height - BOTTOM, TOP)
        labels = {tick: f"{tick:g}" for tick in y.ticks(7)}
        parts = [frame(x, y, "requests asked for a second", width, height, labels, "ms")]
        if found.broken_at is not None:
            begin = x.at(found.broken_at)
            parts.insert(0, f'<rect x="{begin:.1f}" y="{TOP}" width="{width - RIGHT - begin:.1f}" '
                            f'height="{height - TOP - BOTTOM:.1f}" fill="var(--card)"/>')  # fmt: skip
        for name, limit in limits.items():
            parts.append(
                f'<path d="M{LEFT} {y.at(limit):.1f}H{width - RIGHT}" stroke="var(--fail)" stroke-width="1.4" '
                'stroke-dasharray="7 4"/>'
            )
            parts.append(text(LEFT + 4, y.at(limit) - 5, f"{name} limit", "start", "var(--fail)", outlined=True))
        for level, curve in _LEVELS.items():
            known = np.isfinite(curves[level])
            parts.append(line(x(rates[known]), y(curves[level][known]), curve.colour, curve.dashes))
        if found.rate is not None:
            at = x.at(found.rate)
            parts.append(f'<path d="M{at:.1f} {TOP}V{height - BOTTOM}" stroke="var(--pass)" stroke-width="2"/>')
            right = at < width / 2
            parts.append(
                text(at + (6 if right else -6), TOP + 14, f"kept at {found.rate:.4g}/s", "start" if right else "end",
                     "var(--pass)", outlined=True)
            )  # fmt: skip
        for step in steps:
            colour = f"var(--{step.outcome})"
            parts.append(text(x.at(step.rate_asked), height - BOTTOM - 6, MARKS[step.outcome], "middle", colour, outlined=True))
        return "".join([*parts, _legend(list(_LEVELS.values()), width)])

    return picture("Latency over rate: p50, p95 and p99 of each load; the shaded rates break the objectives", draw)


def _bin(seconds: float) -> float:
    return max(1.0, math.ceil(seconds / _MOST_BINS)) if seconds >= _FEW_SECONDS else seconds / _FEWEST_BINS


def _ends(values: Numbers) -> tuple[float, float]:
    """Round ends of a logarithmic axis."""
    low, high = max(float(values.min()), 1e-3), max(float(values.max()), 2e-3)
    return 10 ** (math.floor(5 * math.log10(low)) / 5), 10 ** (math.ceil(5 * math.log10(high) + 0.2) / 5)


def _shade(x: Axis, warmup: float, height: float) -> str:
    inside = f'height="{height - TOP - BOTTOM:.1f}" fill="var(--card)"'
    return f'<rect x="{LEFT}" y="{TOP}" width="{x.at(warmup) - LEFT:.1f}" {inside}/>' if warmup > 0 else ""


def _legend(curves: Sequence[_Curve], width: float) -> str:
    parts, at = [], width - RIGHT
    for curve in reversed(curves):
        at -= FONT * 0.58 * len(curve.name)
        parts.append(text(at, 14, curve.name))
        at -= 30
        parts.append(f'<path d="M{at:.0f} 10h24" stroke="{curve.colour}" stroke-width="2.5"{dashed(curve.dashes)}/>')
        at -= 10
    return "".join(parts)
