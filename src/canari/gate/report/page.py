"""What the reports of gates and rehearsals share: how their pages are made, and how results are written in a table."""

import jinja2

from canari.gate.verdict import RuleResult
from canari.gate.words import number

_LIMITS = {"max_ratio": "{:g} ×", "max_ms": "{:g} ms", "max_cpu": "{:.0%} CPU", "max_delay_ms": "{:g} ms"}


def environment(*packages: str) -> jinja2.Environment:
    """Templates from the folder `report` of the packages, and those shared here; a page of them needs no network."""
    shared = "canari.gate"
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "report") for package in (*packages, shared)]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(value=value_text, interval=interval_text, limit=limit_text)
    return made


def value_text(rule: RuleResult) -> str:
    """The measured value with its unit, "-" for none."""
    return "-" if rule.value is None else _quantity(rule.value, rule.unit)


def interval_text(rule: RuleResult) -> str:
    """The interval in the unit of the value; "?" where an end is not bounded."""
    if rule.interval is None:
        return "-"
    return " to ".join("?" if end is None else _quantity(end, rule.unit) for end in rule.interval)


def limit_text(rule: RuleResult) -> str:
    """The limit in the unit of the value, or its parts by name."""
    if isinstance(rule.limit, dict):
        return " and ".join(_LIMITS.get(name, name + " {:g}").format(value) for name, value in rule.limit.items())
    return "-" if rule.limit is None else _quantity(rule.limit, rule.unit)


def _quantity(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{number(100 * value)} %"
        case "ms":
            return f"{number(value)} ms"
        case "times the baseline":
            return f"{number(value)} ×"
        case _:  # the sentence beside it names the unit
            return number(value)
