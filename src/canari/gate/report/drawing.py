"""What the report's pictures are drawn with: SVG by hand, since the gate's image has no drawing library.

Colours are the page's own variables, so that light, dark and paper all read well.
"""

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canari.gate.report.page import legal

Numbers = npt.NDArray[np.float64]

LEFT, RIGHT, TOP, BOTTOM = 48.0, 12.0, 26.0, 40.0
FONT = 12.5
_SIZES = {"wide": (900, 300), "narrow": (380, 260)}  # CSS pixels
_DECADES_ALONE = 10.0  # an axis that spans less has evenly spaced ticks


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

    def at(self, value: float) -> float:
        """The pixel of one value."""
        return float(self([value])[0])

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values, evenly spread."""
        if self.log and self.high / self.low >= _DECADES_ALONE:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            candidates = [[m * 10.0**d for d in decades for m in mantissas] for mantissas in ((1, 2, 5), (1, 3), (1,))]
        else:
            power = 10.0 ** math.floor(math.log10((self.high - self.low) or 1) - 1)
            steps = [m * power for m in (1, 2, 5, 10, 20, 50)]
            candidates = [list(np.arange(math.ceil(self.low / s), math.floor(self.high / s) + 1) * s) for s in steps]
        within = [[value for value in values if self.low <= value <= self.high] for values in candidates]
        return next((values for values in within if len(values) <= most), within[-1][:: max(1, len(within[-1]) // most)])


def picture(title: str, draw: Callable[[float, float], str]) -> str:
    """A picture by what `draw` makes of width and height, for a wide page and for a phone's: the page shows what fits."""
    return "".join(drawn(title, draw, width, height, size) for size, (width, height) in _SIZES.items())


def drawn(title: str, draw: Callable[[float, float], str], width: float, height: float, css_class: str = "") -> str:
    """One SVG of what `draw` makes of width and height, in CSS pixels."""
    named = f'class="{css_class}" ' if css_class else ""
    return (
        f'<svg {named}viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(legal(title))}" font-size="{FONT}" '
        f'fill="var(--ink)">{draw(width, height)}</svg>'
    )


def frame(x: Axis, y: Axis, x_title: str, width: float, height: float, y_labels: Mapping[float, str], y_title: str = "") -> str:
    """Grid, labels and titles."""
    bottom = height - BOTTOM
    parts = []
    for tick, label in y_labels.items():
        parts.append(f'<path d="M{LEFT} {y.at(tick):.1f}H{width - RIGHT}" stroke="var(--line)"/>')
        parts.append(text(LEFT - 6, y.at(tick) + 4, label, "end"))
    for tick in x.ticks(round(width / 70)):
        parts.append(f'<path d="M{x.at(tick):.1f} {TOP}V{bottom}" stroke="var(--line)"/>')
        parts.append(text(x.at(tick), bottom + 16, f"{tick:g}", "middle"))
    parts.append(text((width + LEFT) / 2, height - 6, x_title, "middle"))
    if y_title:
        parts.append(text(LEFT - 6, TOP - 10, y_title, "end"))
    return "".join(parts)


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = "", *, outlined: bool = False) -> str:
    """Words whose `anchor` (start, middle or end) is at a point; outlined ones can be read upon lines."""
    filled = f' fill="{colour}"' if colour else ""
    outline = ' stroke="var(--paper)" stroke-width="4" paint-order="stroke"' if outlined else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{filled}{outline}>{html.escape(legal(words))}</text>'


def line(xs: Numbers, ys: Numbers, colour: str, dashes: str = "") -> str:
    """A line through points [n]."""
    drawn_as = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"{dashed(dashes)}'
    return f'<polyline points="{_points(xs, ys)}" {drawn_as}/>'


def dashed(dashes: str) -> str:
    """The attribute of a dashed line; "" for a solid one."""
    return f' stroke-dasharray="{dashes}"' if dashes else ""


def band(xs: Numbers, lows: Numbers, highs: Numbers, colour: str) -> str:
    """The area between two lines through points [n]."""
    around = _points(np.append(xs, xs[::-1]), np.append(highs, lows[::-1]))
    return f'<polygon points="{around}" fill="{colour}" fill-opacity="0.2"/>'


def _points(xs: Numbers, ys: Numbers) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
