"""What the person sees while the rehearsal runs: the plan's steps, a progress bar, the weight and the callers' rates."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from canari.rehearsal.plan import Gate, NotRehearsed, Pause, SetWeight, Step


@dataclass
class CallerRates:
    """The callers' last two seconds, and what failed since the start."""

    by_arm: dict[str, float] = field(default_factory=dict)  # answers per second
    failed: int = 0

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {rate:.0f}/s" for name, rate in sorted(self.by_arm.items(), reverse=True)) or "none yet"
        return f"callers answered by: {rates}; failed: {self.failed}"


def describe(step: Step) -> str:
    """A step of the plan in a few words."""
    match step:
        case SetWeight(weight):
            return f"{weight} % to the candidate"
        case Pause(None):
            return "pause until a person decides"
        case Pause(seconds):
            return f"pause {seconds} s"
        case Gate(name):
            return name
        case NotRehearsed(kind):
            return f"{kind} (only in a cluster)"


class View:
    """Progress on a terminal; one line an event where the output is no terminal."""

    def __init__(self, console: Console, title: str, steps: Sequence[Step]) -> None:
        """`title` stands above the plan's `steps`."""
        self._console = console
        self._title = title
        self._steps = [describe(step) for step in steps]
        self._at = -1
        self._weight = 0
        self._rates = CallerRates()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn()
        )
        self._bar = self._progress.add_task("release", total=1.0)
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress for the duration of the block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self, console=self._console, refresh_per_second=5, transient=True) as self._live:
            yield
        self._live = None

    def event(self, text: str) -> None:
        """Something happened that stays on the screen."""
        self._console.print(Text(f"{time.strftime('%H:%M:%S')}  {text}"))

    def step(self, index: int) -> None:
        """The plan's step `index` begins; the number of steps means that all are done."""
        self._at = index
        if index < len(self._steps):
            self.event(f"step {index + 1} of {len(self._steps)}: {self._steps[index]}")

    def weight(self, weight: int) -> None:
        """The candidate's weight is now `weight` percent."""
        self._weight = weight

    def expect(self, seconds: float) -> None:
        """About how long the rehearsal will take, for the progress bar."""
        self._progress.update(self._bar, total=seconds)

    def tick(self, rates: CallerRates, seconds: float) -> None:
        """The callers' rates, and the seconds since the start."""
        self._rates = rates
        self._progress.update(self._bar, completed=seconds)

    def __rich__(self) -> Group:
        lines = []
        for index, name in enumerate(self._steps):
            mark, style = ("✓", "green") if index < self._at else ("▶", "bold") if index == self._at else ("·", "dim")
            lines.append(Text(f" {mark} {name}", style=style))
        return Group(
            Text(self._title, style="bold"),
            *lines,
            Text(f"candidate's weight {self._weight} %; {self._rates}"),
            self._progress,
        )
