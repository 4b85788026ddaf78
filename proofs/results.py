"""What a proof has found so far, kept in out/proofs, and its section in docs/proofs.md."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from canari.errors import CanariError

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out" / "proofs"
DOCUMENT = ROOT / "docs" / "proofs.md"

_TITLE = """# Proofs

What takes too long for a test, as `make proof` last found it. Each section is written by its proof; the gate's is in
[verdict.md](verdict.md#what-was-measured).
"""

T = TypeVar("T", bound=msgspec.Struct)


class ProofError(CanariError):
    """What was to be proved is not so."""


def load(path: Path, kind: type[T]) -> T | None:
    """What an earlier, interrupted run had found; None where there was none, or one of another form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def save(path: Path, found: msgspec.Struct) -> None:
    """Keep what was found so far, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    new.replace(path)


def write_section(title: str, text: str, document: Path = DOCUMENT) -> None:
    """Write a proof's section, in the place of its last one."""
    before = document.read_text() if document.exists() else _TITLE
    section = f"## {title}\n\n{text.strip()}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", before, re.MULTILINE | re.DOTALL)
    if found is None:
        after = f"{before.rstrip()}\n\n{section}"
    else:
        after = before[: found.start()] + section + ("\n" if before[found.end() :] else "") + before[found.end() :]
    document.write_text(after)


def listed(counts: Mapping[str, int]) -> str:
    """Names with their numbers, the largest first."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def commit() -> str:
    """The commit that is proved, and whether the files that matter differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "pyproject.toml", "requirements")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def machine() -> str:
    """The machine, in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores {model}"
