"""JSON objects that name a key twice: what they mean is open (RFC 8259), decoders keep the last value, here they are refused."""

import json
from collections.abc import Callable
from typing import Any

from canari.serving.http import HttpError


def refuse_duplicate_keys(body: bytes, keys: int) -> None:
    """Raise `HttpError` 400 where an object in `body`, which a decoder has accepted, names a key twice.

    `keys` is how many keys the decoded objects have. No more colons than that leave no room for another key, which is all that
    most bodies cost to know; where there are more, in a text or after a key that was ignored, the body is read again.
    """
    if body.count(b":") <= keys:
        return
    try:
        twice = _find(read_again(body, _Pairs), "$")
    except TooDeepError:
        raise HttpError(400, "the body is not JSON that can be read: it is nested too deeply") from None
    except ValueError:
        raise HttpError(400, "the body is not JSON: a text in it is not UTF-8, or has control characters") from None
    if twice is not None:
        raise HttpError(400, twice)


class TooDeepError(Exception):
    """JSON that is nested too deeply."""


def read_again(body: bytes, make: Callable[[list[tuple[str, Any]]], object]) -> Any:
    """A body that a decoder has accepted, with `make` of the pairs of each object; numbers are None.

    Raises `TooDeepError`, and ValueError for what a decoder skips without looking at it: text that is not UTF-8, control
    characters.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=make, parse_int=_unread, parse_float=_unread)
    except RecursionError:
        raise TooDeepError from None


class _Pairs:
    """An object as it is written."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _unread(_number: str) -> None:
    """Numbers do not matter here, and a very long one would take long to read."""


def _find(value: Any, path: str) -> str | None:
    """A sentence about the first object in `value` with a key that comes twice."""
    if isinstance(value, _Pairs):
        seen = set()
        for key, element in value.pairs:
            if key in seen:
                return f"key {key[:60]!r} comes twice in the object at `{path}`: expected each key once"
            seen.add(key)
            if isinstance(element, _Pairs | list) and (found := _find(element, f"{path}.{key[:60]}")):
                return found
    else:
        for index, element in enumerate(value):
            if isinstance(element, _Pairs | list) and (found := _find(element, f"{path}[{index}]")):
                return found
    return None
