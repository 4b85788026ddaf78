"""How requests go wrong: values of the wrong kind, rows of the wrong shape, bodies that were cut or changed."""

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from canari.signature import Input

# The number of a text that must not appear in a log is in it: its request can be found again.
MARKER = "Zq7%08xq"
MARKER_NUMBER = 773104291158

# As either looks, in a log or among metrics, however a double is written.
MARKED = rb"Zq7[0-9a-f]{8}|7\.?73104291158"

# Stand for what json.dumps cannot write; `dumps` puts in what they stand for.
_TWICE = "\u00a7twice\u00a7"
_BARE = "\u00a7bare\u00a7"

Rows: TypeAlias = list[Any]


def bare(text: str) -> str:
    """Stands for `text` as it is, without quotation marks, in what `dumps` writes."""
    return _BARE + text + _BARE


def twice(key: str) -> str:
    """Stands for `key`, once more in the same object, in what `dumps` writes."""
    return _TWICE + key


def dumps(content: Any) -> bytes:
    """JSON, with what `bare` and `twice` stand for."""
    text = json.dumps(content, ensure_ascii=False)
    if _TWICE[0] in text:
        text = text.replace(f'"{_BARE}', "").replace(f'{_BARE}"', "").replace(_TWICE, "")
    return text.encode("utf-8", "surrogatepass")


def wrong_value(rng: Random, column: Input, marker: str) -> Any:
    """A value that a column never takes."""
    wrong: list[Any] = [[marker], {marker: marker}, bare("NaN"), bare("-Infinity"), bare(marker), [], {}]
    if not column.missing:
        wrong.append(None)
    match column.kind:
        case "number" | "integer":
            wrong += [
                marker,
                str(MARKER_NUMBER),
                "1.5",
                "",
                True,
                bare("1e999"),
                bare(f"{MARKER_NUMBER}{'0' * 400}"),
                bare("0x10"),
            ]
            if column.kind == "integer":
                wrong += [MARKER_NUMBER + 0.125, bare(f"{MARKER_NUMBER}00000000")]
        case "boolean":
            wrong += [marker, "true", MARKER_NUMBER, 0.5]
        case "category":
            wrong += [marker, MARKER_NUMBER, False, column.levels[0] + " ", column.levels[0].upper() + "\u0000"]
    return rng.choice(wrong)


def marked_value(column: Input) -> Any:
    """A value that a column takes, and that is somebody's own."""
    return MARKER_NUMBER if column.kind == "integer" else MARKER_NUMBER + 0.125


def wrong_rows(rng: Random, rows: Rows, inputs: tuple[Input, ...], marker: str) -> tuple[str, Rows]:
    """What was done, and records of which at least one is wrong; changes `rows`."""
    column = rng.choice(inputs)
    place = rng.randrange(len(rows))
    row = rows[place]
    for other in inputs:
        if other.kind in ("number", "integer") and rng.random() < 0.2:
            row[other.name] = marked_value(other)
    match rng.randrange(8):
        case 0 | 1 | 2:
            row[column.name] = wrong_value(rng, column, marker)
            return f"a wrong {column.kind}", rows
        case 3:
            del row[column.name]
            return "a column is missing", rows
        case 4:
            row[marker] = row.pop(column.name)
            return "a column has another name", rows
        case 5:
            row[twice(column.name)] = rng.choice([row[column.name], marker])
            return "a key twice", rows
        case 6:
            rows[place] = rng.choice([marker, MARKER_NUMBER, None, [row], True, list(row.values())])
            return "a row that is no object", rows
        case _:
            row.update(
                {f"{marker}{number}": number for number in range(1_001 + rng.randrange(200))} if rng.random() < 0.02 else {}
            )
            row[column.name] = [row[column.name]]
            return "an array for a value", rows


def wrong_text(rng: Random, body: bytes, marker: str) -> tuple[str, bytes]:
    """What was done, and a text that is no JSON any more."""
    mark = marker.encode()
    wrongs: list[tuple[str, Callable[[], bytes]]] = [
        ("cut", lambda: body[: rng.randrange(1, len(body) - 1)]),
        ("empty", lambda: b""),
        ("spaces", lambda: b" \r\n\t" * 5),
        ("plain text", lambda: mark),
        ("a text after it", lambda: body + mark),
        ("twice", lambda: body + b"," + body),
        ("a byte order mark", lambda: b"\xff\xfe" + body),
        ("UTF-16", lambda: body.decode("utf-8", "replace").encode("utf-16")),
        ("no UTF-8", lambda: body.replace(b'"', b'"\xc3\x28\xff', 1)),
        ("a surrogate", lambda: body.replace(b'"', b'"\xed\xa0\x80', 1)),
        ("single quotes", lambda: body.replace(b'"', b"'")),
        ("a comment", lambda: b"/* " + mark + b" */" + body),
        ("no colons", lambda: body.replace(b":", b" ", 1)),
        ("control characters", lambda: body.replace(b'"', b'"\x00\x1f', 1)),
        ("a bad escape", lambda: body.replace(b'"', b'"\\x41\\u12', 1)),
        ("gzip without a header", lambda: gzip.compress(body, 1, mtime=0)),
        ("nested deeply", lambda: b"[" * rng.choice([500, 5_000, 100_000]) + body),
        ("nested objects", lambda: b'{"a":' * rng.choice([500, 5_000, 50_000])),
        ("random bytes", lambda: rng.randbytes(rng.randrange(1, 600))),
    ]
    what, make = rng.choice(wrongs)
    return what, make()


def changed_bytes(rng: Random, body: bytes) -> tuple[str, bytes]:
    """What was done, and bytes that may mean the same as before, or something else, or nothing."""
    changed = bytearray(body)
    at = rng.randrange(len(body))
    end = min(len(body), at + rng.randrange(1, 40))
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randrange(1, 8)):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            return "flipped bits", bytes(changed)
        case 1:
            del changed[at:end]
            return "bytes left out", bytes(changed)
        case 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 20))
            return "bytes put in", bytes(changed)
        case 3:
            changed[at:at] = changed[at:end]
            return "bytes twice", bytes(changed)
        case _:
            return "cut", bytes(changed[:at])
