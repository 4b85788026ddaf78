"""The rules file of a gate: read, checked against `rules.schema.json`, and refused with the line where it is wrong."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import yaml

from canari.errors import UsageError

_QUANTILES = ("p50", "p95", "p99", "p50_vs_baseline", "p95_vs_baseline", "live_p95_vs_baseline")  # any other pNN is allowed too
_WARMUP_SHARE = 0.1


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
    confidence: float = 0.95

    def lasting(self, seconds: float | None) -> "Rules":
        """The same with another duration, where one is given; the warm-up is at most a tenth of it."""
        duration = self.duration_s if seconds is None else seconds
        return msgspec.structs.replace(self, duration_s=duration, warmup_s=min(self.warmup_s, _WARMUP_SHARE * duration))


def load_rules(path: Path) -> Rules:
    """Read a rules file; raises `UsageError` with file, line, key and what was expected where it is wrong."""
    try:
        data = path.read_bytes()
        text = data.decode()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text at byte {error.start}") from None
    try:
        root, content = _parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(f"{path}{_at(mark)}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None
    problem = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(content)) or next(_not_finite(content), None)
    if problem is not None:
        where, sentence = _explain(problem) if isinstance(problem, jsonschema.ValidationError) else problem
        raise UsageError(f"{path}{_at(_mark(root, where))}: {'.'.join(map(str, where)) or 'the file'}: {sentence}")
    load = content.get("load", {})
    locustfile = content.get("locustfile")
    settings = {
        "duration_s": load.get("duration"),
        "rate": load.get("rate"),
        "arrivals": load.get("arrivals"),
        "warmup_s": load.get("warmup"),
        "timeout_s": load.get("timeout"),
        "confidence": content.get("confidence"),
    }
    return Rules(
        file=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        limits=content["rules"],
        locustfile=None if locustfile is None else str(path.parent / locustfile),
        **{name: value for name, value in settings.items() if value is not None},
    ).lasting(None)


_VALIDATOR = jsonschema.Draft202012Validator(json.loads(files("canari.gate").joinpath("rules.schema.json").read_text("utf-8")))


_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key that is no text, or is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in _KEY_TAGS:
                raise yaml.constructor.ConstructorError(None, None, "expected a text as key", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _explain(error: jsonschema.ValidationError) -> tuple[list[Any], str]:
    """Where the error is, and a sentence."""
    where = list(error.absolute_path)
    schema: Any = error.schema
    expected: Any = error.validator_value
    came: Any = error.instance
    match error.validator:
        case "additionalProperties":
            allowed = list(schema["properties"])
            patterns = schema.get("patternProperties", {})
            unknown = [k for k in came if k not in allowed and not any(re.search(p, str(k)) for p in patterns)]
            known = [*allowed, *(_QUANTILES if patterns else ())]
            return [*where, unknown[0]], f"is no key that is known here; known are {', '.join(known)}"
        case "required":
            absent = [key for key in expected if key not in came]
            return where, f"needs the key {absent[0]!r}"
        case "type":
            return where, f"expected {_TYPES.get(expected, expected)}, came {_short(came)}"
        case "const" | "enum":
            choices = expected if isinstance(expected, list) else [expected]
            return where, f"expected {' or '.join(map(str, choices))}, came {_short(came)}"
        case "minProperties":
            return where, "has no rule"
        case kind:
            words = _BOUNDS.get(str(kind), str(kind))
            return where, f"expected {words} {expected}, came {_short(came)}"


_TYPES = {"object": "keys with values", "number": "a number", "string": "a text"}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "minLength": "a text of length at least",
}


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _not_finite(content: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[list[Any], str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _not_finite(value, (*where, key))
    elif isinstance(content, float) and not math.isfinite(content):
        yield list(where), f"expected a finite number, came {content}"


def _mark(node: yaml.Node | None, where: Sequence[Any]) -> yaml.Mark | None:
    """The place of a key, or of the innermost thing around it."""
    mark = node.start_mark if node is not None else None
    for step in where:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == str(step):
                mark, node = key.start_mark, value
                break
    return mark


def _at(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
