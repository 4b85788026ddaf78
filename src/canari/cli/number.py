"""Numbers on the command line, within the bounds that the files of rules and scenarios have, too."""

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A finite number within bounds: `nan` is within any, to click, and `inf` within those that have no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails with what came where it is none."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


SECONDS = Number(0, 86_400, min_open=True)
RATE = Number(0, 100_000, min_open=True)  # a second
POSITIVE = Number(0, min_open=True)
NOT_NEGATIVE = Number(0)
