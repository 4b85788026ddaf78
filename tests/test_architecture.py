"""Arrows go one way: cli, then rehearsal, release, loadtest, monitor, export, then gate, serving, intake, runtime, the nouns.

Rooms on one level do not import each other.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "canari"
LEVELS = [
    {"errors", "signature", "model", "store", "project", "__version__"},
    {"runtime"},
    {"gate", "serving", "intake"},
    {"rehearsal", "release", "loadtest", "monitor", "export"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of each import of canari in a file, also of those inside functions."""
    for node in ast.walk(ast.parse((SOURCE / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "canari":
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("canari."):
            yield node.lineno, str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, a.name.split(".")[1]) for a in node.names if a.name.startswith("canari."))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_down(path: Path) -> None:
    room = path.parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    for line, other in imported_rooms(path):
        assert other == room or LEVEL[other] < LEVEL[room] or LEVEL[room] == LEVEL[other] == 0, f"{path}:{line} imports {other}"


def test_every_room_has_a_level() -> None:
    rooms = {path.parts[0].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert rooms <= set(LEVEL)
    assert {"cli", "rehearsal", "gate", "serving", "intake", "runtime"} <= rooms
