"""Numbers in the sentences of a verdict."""

import math

from canari.gate.statistics import Interval


def number(value: float) -> str:
    """Three digits."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def span(interval: Interval) -> str:
    """An interval of numbers."""
    return f"[{number(interval[0])}, {number(interval[1])}]"


def share(value: float) -> str:
    """A share in percent."""
    return "?" if math.isnan(value) else f"{value:.2%}"


def shares(interval: Interval) -> str:
    """An interval of shares."""
    return f"[{interval[0]:.2%}, {interval[1]:.2%}]"
