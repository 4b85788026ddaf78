"""What every benchmark has in common: its command line, the machine's line, Markdown tables, ratios of rounds."""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from load import tools_missing
from servers import ROOT


def options(description: str | None, needs: Sequence[str], **defaults: float) -> argparse.Namespace:
    """The command line: a number for each default's name; ends the process where a tool is missing."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help="default: %(default)s")
    found = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the servers are ended, too
    if missing := tools_missing(*needs):
        sys.exit(f"not installed: {', '.join(missing)}")
    return found


def heading(title: str, chosen: argparse.Namespace) -> None:
    """Print title, command, machine and commit."""
    command = " ".join(f"--{name} {value:g}" for name, value in vars(chosen).items())
    described = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in described if line.startswith("model name")), platform.machine())
    print(f"## {title}\n\n`python benchmarks/{Path(sys.argv[0]).name} {command}`, commit {_commit()}, ", end="")
    print(f"{os.cpu_count()} cores {model}, Linux {platform.release()}, Python {platform.python_version()}.\n", flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table, every column but the first to the right."""
    print(f"| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def ratio(ours: Sequence[float], theirs: Sequence[float], form: str = ".2f") -> str:
    """The median of the rounds' own ratios, with the smallest and the largest."""
    found = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return f"{statistics.median(found):{form}} ({found[0]:{form}} to {found[-1]:{form}})"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
