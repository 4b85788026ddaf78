"""What the reports of gates and rehearsals share: how their pages are made, and how results are written in a table."""

import re
from functools import cache

import jinja2

from canari.gate.report import sentences
from canari.gate.verdict import Outcome, Reading, RuleResult
from canari.gate.words import number

MARKS: dict[Outcome, str] = {"pass": "✓", "fail": "✗", "inconclusive": "?"}  # an outcome where there is no room for its word
RATIO, SHARE, MILLISECONDS = "times the baseline", "share", "ms"  # units of a rule's value

_LIMITS = {"max_ratio": "{:g} ×", "max_ms": "{:g} ms", "max_cpu": "{:.0%} CPU", "max_delay_ms": "{:g} ms"}

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


@cache
def environment(*packages: str) -> jinja2.Environment:
    """Templates from the folder `report` of the packages, and those shared here; a page of them needs no network."""
    shared = "canari.gate"
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "report") for package in (*packages, shared)]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: legal(value) if type(value) is str else value,  # what is Markup was made here
    )
    made.filters.update(value=value_text, interval=interval_text, limit=limit_text, reading=reading_text, ends=ends_text)
    made.filters["number"] = number
    made.globals.update(marks=MARKS, sentences=sentences)
    return made


def legal(words: str) -> str:
    """Words without what neither XML nor HTML can carry."""
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", words)


def value_text(rule: RuleResult) -> str:
    """The measured value with its unit, "-" for none."""
    return reading_text(rule, rule.unit)


def interval_text(rule: RuleResult) -> str:
    """The interval in the unit of the value; "∞" where an end is not bounded."""
    return "-" if rule.interval is None else _ends_text(rule.interval, rule.unit)


def limit_text(rule: RuleResult) -> str:
    """The limit in the unit of the value, or its parts by name."""
    if isinstance(rule.limit, dict):
        return " and ".join(_LIMITS.get(name, f"{name} {{:g}}").format(value) for name, value in rule.limit.items())
    return "-" if rule.limit is None else quantity_text(rule.limit, rule.unit)


def reading_text(read: RuleResult | Reading, unit: str) -> str:
    """A value with its unit, "-" for none."""
    return "-" if read.value is None else quantity_text(read.value, unit)


def ends_text(read: Reading, unit: str) -> str:
    """The interval of a reading in a unit; "∞" where an end is not bounded."""
    return _ends_text((read.low, read.high), unit)


def _ends_text(ends: tuple[float | None, float | None], unit: str) -> str:
    return " to ".join("∞" if end is None else quantity_text(end, unit) for end in ends)


def quantity_text(value: float, unit: str) -> str:
    """A number with its unit, as short as it can be read."""
    if unit == SHARE:
        return f"{number(100 * value)} %"
    if unit == MILLISECONDS:
        return f"{number(value)} ms"
    if unit == RATIO:
        return f"{number(value)} ×"
    return number(value)  # the sentence beside it names the unit
