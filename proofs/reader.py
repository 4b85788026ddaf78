"""A hundred thousand mutations of real files of R: each is imported, or refused by one sentence, in bounded memory and time.

    python -m proofs.reader [--cases 120000] [--seed 1]
    python -m proofs.reader --seed 1 --case 4711

The files are what real R makes of the scripts in tests/intake/r/models: models of every class that is read. A case is made
from the seed and its number: it changes lengths, types, values, names and whole objects at the places where the reader finds
them, or any bytes, and most are compressed again, so that a change reaches more than a checksum. Each is read, and what can
be read is translated to ONNX. Interrupted and started again it goes on; --case repeats one case.
"""

import argparse
import hashlib
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import msgspec

from canari.errors import CanariError, IntakeError
from canari.intake import rds
from canari.intake.r import read_r
from proofs.reader_cases import ReaderCases
from proofs.results import OUT, ProofError, commit, listed, load, machine, save, write_section
from tests.intake.fitting import SCRIPTS, FittingError, fit_models, install_package

_BATCH = 500
_PROCESSES = 2
_MOST_WRONG = 20  # are told before it is given up
_SECONDS = 20.0  # for one case
_ADDRESS_SPACE = 4 << 30
_LARGEST = 30_000  # bytes of a file that is mutated: larger ones take longer, and hold more of the same
_SHARED = ("common", "refused", "bare")  # scripts that make no models of their own
_PYTHON = 16 << 20  # what the interpreter's own allocator may ask for beside what is counted


class Most(msgspec.Struct):
    """The greatest of something, and the case that it was found in."""

    value: float = 0.0
    case: int = -1

    def take(self, other: "Most") -> None:
        """Keep the greater one."""
        if other.value > self.value:
            self.value, self.case = other.value, other.case


class Found(msgspec.Struct):
    """What was found so far."""

    seed: int
    commit: str
    next: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = {}
    kinds: dict[str, int] = {}  # of mutations
    slowest: Most = msgspec.field(default_factory=Most)  # seconds
    reading: Most = msgspec.field(default_factory=Most)  # bytes of memory, without the file
    multiple: Most = msgspec.field(default_factory=Most)  # of the file, beyond 64 MiB
    importing: Most = msgspec.field(default_factory=Most)  # bytes of memory
    wrong: dict[int, str] = {}

    def add(self, other: "Found") -> None:
        """Add what another batch has found."""
        self.next += other.next
        self.outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        self.kinds = dict(Counter(self.kinds) + Counter(other.kinds))
        for name in ("slowest", "reading", "multiple", "importing"):
            getattr(self, name).take(getattr(other, name))
        self.wrong |= other.wrong


class _TooSlow(BaseException):
    """Not an `Exception`, so that nothing on the way catches it."""


def files(folder: Path) -> list[Path]:
    """The models that are mutated, fitted once; raises `ProofError` where R or one of its packages is missing."""
    done = folder / "done"
    scripts = sorted(path.stem for path in SCRIPTS.glob("*.R") if path.stem not in _SHARED)
    if not done.exists() or done.read_text() != " ".join(scripts):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            install_package(folder / "library")
            for script in scripts:
                print(f"fitting {script}", flush=True)
                fit_models(script, folder / script, folder / "library")
        except (OSError, FittingError) as error:
            raise ProofError(f"the models cannot be fitted: {error}") from error
        done.write_text(" ".join(scripts))
    return sorted(path for script in scripts for path in (folder / script).glob("*.rds") if path.stat().st_size <= _LARGEST)


def judge(data: bytes, number: int) -> Found:
    """Read one case, and translate what can be read."""
    found = Found(0, "", next=1)
    began = time.monotonic()
    before = _reset_peak()
    try:
        with _timer():
            outcome = _outcome(data, number, before, found)
    except _TooSlow:
        outcome, found.wrong[number] = "too slow", f"takes longer than {_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  it is what this is looking for
        outcome = "wrong"
        frame = traceback.extract_tb(error.__traceback__)[-1]
        found.wrong[number] = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}: {str(error)[:200]}"
    found.outcomes[outcome] = 1
    found.importing = Most(_peak() - before, number)
    found.slowest = Most(time.monotonic() - began, number)
    return found


def _outcome(data: bytes, number: int, before: int, found: Found) -> str:
    try:
        rds.read_content(data)
    except IntakeError as error:
        return _refused("the reader", error)
    finally:
        taken = _peak() - before
        found.reading = Most(taken, number)
        found.multiple = Most(max(0, taken - (64 << 20)) / max(1, len(data)), number)
        if taken > (64 << 20) + 250 * len(data) + _PYTHON:
            found.wrong[number] = f"reading {len(data)} bytes takes {taken >> 20} MiB"
    try:
        fitted = read_r(data, hashlib.sha256(data).hexdigest())
    except IntakeError as error:
        return _refused("the translation", error)
    return f"translated ({fitted.source.model_class})" if len(fitted.source.model_class) < 20 else "translated (others)"


def _refused(by: str, error: IntakeError) -> str:
    if not re.fullmatch(r"[^\n]{10,3000}", str(error)):
        raise ValueError(f"no sentence: {str(error)[:300]!r}")
    return f"refused by {by}"


@contextmanager
def _timer() -> Iterator[None]:
    """Interrupt what takes too long; the kernel ends the process where that does not help."""

    def too_slow(*_: object) -> None:
        raise _TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    signal.setitimer(signal.ITIMER_PROF, 3 * _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _reset_peak() -> int:
    """Begin anew with the process's peak memory, and return what it has."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    found = re.search(rb"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_bytes(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _judge_all(paths: list[Path], seed: int, numbers: range, place: Path) -> Found:
    """One batch, in a process of its own; the case that it is at is in the file `place`."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    cases = _cases(paths, seed)
    batch = Found(seed, "")
    for number in numbers:
        place.write_text(str(number))
        what, data = cases[number]
        one = judge(data, number)
        one.kinds[what] = 1
        batch.add(one)
    place.unlink()
    return batch


_made: dict[int, ReaderCases] = {}


def _cases(paths: list[Path], seed: int) -> ReaderCases:
    if seed not in _made:
        _made[seed] = ReaderCases({path.stem: path.read_bytes() for path in paths}, seed)
    return _made[seed]


def run(paths: list[Path], cases: int, seed: int, state: Path, processes: int = _PROCESSES) -> Found:
    """Judge so many cases; raises `ProofError` where one of them is neither imported nor refused as it should be."""
    found = load(state, Found)
    if found is None or (found.seed, found.commit) != (seed, commit()):
        found = Found(seed, commit())
    state.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=os.nice, initargs=(19,)) as pool:
        while found.next < cases and len(found.wrong) < _MOST_WRONG:
            began = time.monotonic()
            starts = range(found.next, min(cases, found.next + processes * _BATCH), _BATCH)
            places = [state.with_suffix(f".{i}") for i in range(len(starts))]
            batches = [
                pool.submit(_judge_all, paths, seed, range(n, min(cases, n + _BATCH)), place)
                for n, place in zip(starts, places, strict=True)
            ]
            try:
                for batch in batches:
                    found.add(batch.result())
            except BrokenProcessPool:
                at = " or ".join(place.read_text() for place in places if place.exists())
                raise ProofError(f"a process has ended at case {at} of --seed {seed}, by it or by one shortly before") from None
            found.seconds += time.monotonic() - began
            save(state, found)
            print(f"{found.next:,} of {cases:,} cases, {len(found.wrong)} wrong, {found.seconds:,.0f} s", flush=True)
    if found.wrong:
        lines = [f"python -m proofs.reader --seed {seed} --case {n}: {what}" for n, what in sorted(found.wrong.items())]
        raise ProofError("\n".join([f"{len(lines)} cases are wrong:", *lines]))
    return found


def repeat(paths: list[Path], seed: int, number: int) -> None:
    """Make one case, leave it in out/proofs, and judge it."""
    what, data = _cases(paths, seed)[number]
    path = OUT / f"case-{seed}-{number}.rds"
    path.write_bytes(data)
    print(f"{path}: {len(data)} bytes, {what}", flush=True)
    try:
        read_r(data, "")
    except Exception:  # noqa: BLE001  it is what is asked for
        traceback.print_exc()
    print(judge(data, number))


def report(found: Found, models: int, command: str) -> str:
    """What was found, for a reader."""
    memory = [f"{value / 1e6:.0f} MB" for value in (found.reading.value, found.importing.value)]
    return f"""
`{command}`, commit {found.commit}, {machine()}.

{found.next:,} mutations of {models} models of R, in {found.seconds:,.0f} s. None raised anything but the one error that a person
is told, none took longer than {found.slowest.value:.1f} s.

- Outcomes: {listed(found.outcomes)}.
- Mutations: {listed(found.kinds)}.
- Peak memory (RSS) of reading one, without the file itself: {memory[0]}, and never more than 64 MiB and
  {found.multiple.value:.0f} times the file; promised are 64 MiB and 250 times. Of reading and translating: {memory[1]}.
"""


def main() -> None:
    """Prove it, and write what was found into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=120_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="what the cases are made from (%(default)s)")
    parser.add_argument("--case", type=int, help="the number of one case to repeat")
    chosen = parser.parse_args()
    try:
        paths = files(OUT / "reader-models")
        if chosen.case is not None:
            repeat(paths, chosen.seed, chosen.case)
            return
        found = run(paths, chosen.cases, chosen.seed, OUT / "reader.json")
    except CanariError as error:
        sys.exit(f"not proved: {error}")
    command = f"python -m proofs.reader --cases {chosen.cases} --seed {chosen.seed}"
    write_section("Mutated files of R", report(found, len(paths), command))


if __name__ == "__main__":
    main()
