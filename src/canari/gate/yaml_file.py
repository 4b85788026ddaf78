"""A person's YAML file: read, checked against a JSON schema, and refused with the line where it is wrong."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import yaml

from canari.errors import UsageError


class YamlFile(NamedTuple):
    """What a file says, and where it says it."""

    path: Path
    sha256: str
    content: Any
    root: yaml.Node | None

    def wrong(self, where: Sequence[Any], sentence: str) -> UsageError:
        """The error for a setting, named by its keys and positions from the outermost in."""
        named = ".".join(map(str, where)) or "the file"
        return UsageError(f"{self.path}{_at(_mark(self.root, where))}: {named}: {sentence}")


class Schema:
    """A JSON schema beside the module that reads by it; `examples` are keys that its patterns allow, for messages."""

    def __init__(self, package: str, name: str, examples: Sequence[str] = ()) -> None:
        self._validator = jsonschema.Draft202012Validator(json.loads(files(package).joinpath(name).read_text("utf-8")))
        self._examples = examples

    def read(self, path: Path) -> YamlFile:
        """Read and check a file; raises `UsageError` with file, line, column, key and what was expected where it is wrong."""
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
        file = YamlFile(path, hashlib.sha256(data).hexdigest(), content, root)
        if (problem := jsonschema.exceptions.best_match(self._validator.iter_errors(content))) is not None:
            raise file.wrong(*_explain(problem, self._examples))
        for where, sentence in _not_finite(content):
            raise file.wrong(where, sentence)
        return file


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


def _explain(error: jsonschema.ValidationError, examples: Sequence[str]) -> tuple[list[Any], str]:
    """Where the error is, and a sentence."""
    where = list(error.absolute_path)
    schema: Any = error.schema
    expected: Any = error.validator_value
    came: Any = error.instance
    match error.validator:
        case "additionalProperties":
            allowed = list(schema.get("properties", ()))
            patterns = schema.get("patternProperties", {})
            unknown = [k for k in came if k not in allowed and not any(re.search(p, str(k)) for p in patterns)]
            known = [*allowed, *(examples if patterns else ())]
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
        case "minItems":
            return where, "is empty"
        case kind:
            words = _BOUNDS.get(str(kind), str(kind))
            return where, f"expected {words} {expected}, came {_short(came)}"


_TYPES = {
    "object": "keys with values",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
    "string": "a text",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "minLength": "a text of length at least",
    "pattern": "a text that matches",
}


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _not_finite(content: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[list[Any], str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _not_finite(value, (*where, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _not_finite(value, (*where, index))
    elif isinstance(content, float) and not math.isfinite(content):
        yield list(where), f"expected a finite number, came {content}"


def _mark(node: yaml.Node | None, where: Sequence[Any]) -> yaml.Mark | None:
    """The place of a key or an item, or of the innermost thing around it."""
    mark = node.start_mark if node is not None else None
    for step in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == str(step):
                mark, node = key.start_mark, value
                break
        else:
            break
    return mark


def _at(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
