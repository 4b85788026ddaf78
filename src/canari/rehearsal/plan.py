"""The plan of a release: the canary steps of a Rollout manifest, read into typed steps.

The meaning of every field is Argo Rollouts' own (v1alpha1), so that what is rehearsed is what the cluster will do.
"""

import math
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from canari.errors import CanariError

_STEPS = "spec.strategy.canary.steps"
_LONGEST_PAUSE = 2**31 - 1  # seconds; Argo Rollouts keeps them in an int32
_GO_DURATION = re.compile(r"\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_GO_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}  # in seconds


@dataclass(frozen=True)
class SetWeight:
    """Send `weight` percent of the callers to the candidate."""

    weight: int


@dataclass(frozen=True)
class Pause:
    """Wait `seconds`, or until a person decides where it is None."""

    seconds: int | None


@dataclass(frozen=True)
class Gate:
    """Measure a fresh baseline and a fresh candidate side by side and follow the verdict; `name` is the analysis's.

    The rest is known where the AnalysisTemplate is among the documents: the arguments of these names.
    """

    name: str
    duration: float | None = None  # seconds of load
    gates: int | None = None  # of the release


@dataclass(frozen=True)
class NotRehearsed:
    """A step that means nothing on one machine; `kind` is its key in the manifest."""

    kind: str


Step = SetWeight | Pause | Gate | NotRehearsed


@dataclass(frozen=True)
class Plan:
    """The steps of the Rollout called `rollout`, in order; promotion follows the last one."""

    rollout: str
    steps: tuple[Step, ...]


def load_plan(path: Path) -> Plan:
    """Read the plan from the one Rollout among the documents of the YAML file `path`.

    A gate stands in the manifest as an experiment with an analysis, and an analysis step right after it that reads the verdict:
    the two become one `Gate`. Raises `CanariError`, naming the file, the step (counted from 0) and the field, where Argo Rollouts
    would refuse the steps.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CanariError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CanariError(f"{path}: not UTF-8 text at byte {error.start}") from None
    return read_plan(text, path)


def read_plan(manifests: str, path: Path) -> Plan:
    """The same from the YAML documents themselves, which are called `path` where they are wrong."""
    try:
        documents = _documents(manifests)
        rollout = _only_rollout(documents)
        return Plan(rollout=_name(rollout), steps=_steps(rollout, _analysis_templates(documents)))
    except _PlanError as error:
        raise CanariError(f"{path}: {error}") from None


class _PlanError(Exception):
    """What is wrong, before the file's name is known."""


def _documents(manifests: str) -> list[Any]:
    try:
        return list(yaml.safe_load_all(manifests))
    except yaml.MarkedYAMLError as error:
        where = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _PlanError(f"not YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a scalar that looks like a date or number and is none
        raise _PlanError(f"not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise _PlanError("not a manifest: nested too deeply") from None


def _only_rollout(documents: list[Any]) -> dict[str, Any]:
    found = [
        document
        for document in documents
        if isinstance(document, dict)
        and document.get("kind") == "Rollout"
        and str(document.get("apiVersion")).startswith("argoproj.io/")
    ]
    if len(found) != 1:
        kinds = [document.get("kind") for document in documents if isinstance(document, dict)]
        raise _PlanError(f"expected one Rollout of argoproj.io, found {len(found)}; the documents' kinds: {reprlib.repr(kinds)}")
    return found[0]


def _name(rollout: dict[str, Any]) -> str:
    name = _mapping(rollout, "metadata").get("name")
    if not isinstance(name, str) or not name:
        raise _expected("metadata.name", "a name", name)
    return name


def _analysis_templates(documents: list[Any]) -> dict[str, Any]:
    """The `args` of each AnalysisTemplate, by its name."""
    return {
        str(_mapping(document, "metadata").get("name")): _mapping(document, "spec").get("args")
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "AnalysisTemplate"
    }


def _steps(rollout: dict[str, Any], templates: dict[str, Any]) -> tuple[Step, ...]:
    steps = _mapping(rollout, "spec", "strategy", "canary").get("steps")
    if not isinstance(steps, list) or not steps:
        raise _expected(_STEPS, "a list of at least one step", steps)
    plan: list[Step] = []
    verdict_is_next = False
    for index, step in enumerate(steps):
        where = f"{_STEPS}[{index}]"
        kind = _kind(step, where)
        if not (kind == "analysis" and verdict_is_next):
            plan.append(_READERS[kind](kind, step[kind], f"{where}.{kind}"))
        gate = plan[-1]
        verdict_is_next = kind == "experiment" and isinstance(gate, Gate)
        if kind == "experiment" and isinstance(gate, Gate):
            analysis = step[kind]["analyses"][0]
            given = {**_arguments(templates.get(str(analysis.get("templateName")))), **_arguments(analysis.get("args"))}
            plan[-1] = replace(gate, **_settings(given, f"{where}.{kind}.analyses[0].args"))
    return tuple(plan)


def _kind(step: Any, where: str) -> str:
    known = ", ".join(_READERS)
    if not isinstance(step, dict) or len(step) != 1:
        raise _expected(where, f"one of {known}", step)
    kind = next(iter(step))
    if kind not in _READERS:
        raise _expected(where, f"one of {known}", kind)
    if step[kind] is None:
        raise _PlanError(f"{where}.{kind}: has no value" + ("; `pause: {}` waits for a person" if kind == "pause" else ""))
    return str(kind)


def _set_weight(_kind: str, value: Any, where: str) -> SetWeight:
    if not _is_whole(value) or not 0 <= value <= 100:
        raise _expected(where, "a whole number from 0 to 100", value)
    return SetWeight(value)


def _pause(_kind: str, value: Any, where: str) -> Pause:
    if not isinstance(value, dict):
        raise _expected(where, "a mapping with a duration, or {} to wait for a person", value)
    if unknown := [key for key in value if key != "duration"]:
        raise _expected(where, "no field but duration", unknown)
    duration = value.get("duration")
    return Pause(None if duration is None else _seconds(duration, f"{where}.duration"))


def _seconds(duration: Any, where: str) -> int:
    """Whole seconds, as Argo Rollouts reads them: a number of seconds, or a Go duration cut to seconds."""
    seconds: int | Decimal = -1
    if _is_whole(duration):
        seconds = duration
    elif isinstance(duration, str) and re.fullmatch(r"\+?\d{1,10}", duration, re.ASCII):
        seconds = int(duration)
    elif isinstance(duration, str) and _GO_DURATION.fullmatch(duration):
        seconds = sum(Decimal(number) * Decimal(_UNITS[unit]) for number, unit in _GO_DURATION_PART.findall(duration))
    if not 0 <= seconds <= _LONGEST_PAUSE:
        raise _expected(where, 'seconds or a duration such as "30s", "5m" or "1h30m"', duration)
    return int(seconds)


def _experiment(kind: str, value: Any, where: str) -> Gate | NotRehearsed:
    if not isinstance(value, dict):
        raise _expected(where, "a mapping", value)
    analyses = value.get("analyses") or []
    if not isinstance(analyses, list):
        raise _expected(f"{where}.analyses", "a list", analyses)
    if not analyses:
        return NotRehearsed(kind)
    name = analyses[0].get("name") if isinstance(analyses[0], dict) else None
    if not isinstance(name, str) or not name:
        raise _expected(f"{where}.analyses[0].name", "a name", analyses[0])
    return Gate(name)


def _arguments(arguments: Any) -> dict[str, Any]:
    """The values of those that have one, by name."""
    listed = [one for one in arguments if isinstance(one, dict)] if isinstance(arguments, list) else []
    return {str(one["name"]): one["value"] for one in listed if "name" in one and "value" in one}


def _settings(given: dict[str, Any], where: str) -> dict[str, Any]:
    """Of a gate's arguments those that its length and its risks depend on."""
    settings: dict[str, Any] = {}
    for name, kind, expected in (("duration", float, "seconds of load"), ("gates", int, "how many gates the release has")):
        if name in given:
            try:
                settings[name] = kind(given[name])
            except (TypeError, ValueError):
                raise _expected(f"{where}.{name}", expected, given[name]) from None
            if not 0 < settings[name] < math.inf:
                raise _expected(f"{where}.{name}", expected, given[name])
    return settings


def _not_rehearsed(kind: str, _value: Any, _where: str) -> NotRehearsed:
    return NotRehearsed(kind)


_READERS: dict[str, Callable[[str, Any, str], Step]] = {
    "setWeight": _set_weight,
    "pause": _pause,
    "experiment": _experiment,
    "analysis": _not_rehearsed,
    "setCanaryScale": _not_rehearsed,
    "setHeaderRoute": _not_rehearsed,
    "setMirrorRoute": _not_rehearsed,
    "plugin": _not_rehearsed,
}


def _mapping(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The mapping at the path `keys`."""
    mapping = document
    for depth, key in enumerate(keys, start=1):
        value = mapping.get(key)
        if not isinstance(value, dict):
            raise _expected(".".join(keys[:depth]), "a mapping", value)
        mapping = value
    return mapping


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expected(where: str, expected: str, got: Any) -> _PlanError:
    return _PlanError(f"{where}: expected {expected}, got {'nothing' if got is None else reprlib.repr(got)}")
