"""The tables of docs/verdict.md, from what was found so far."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import TypeVar

import numpy as np

from canari.gate.statistics import Levels, share_interval
from proofs.gate import real
from proofs.gate.faults import MEANING
from proofs.gate.recording import kinds, traces
from proofs.gate.simulation import CLOSED_LOOP, KAYENTA, THRESHOLD, Compared, Gate, Judged, Release
from proofs.results import OUT, ROOT, listed, load, machine, write_section

STATE = OUT / "gate"
DOCUMENT = ROOT / "docs" / "verdict.md"
TITLE = "What was measured"

MOST_FALSE_ALARMS = 0.05
MOST_INCONCLUSIVE = 0.10
LEAST_FOUND = 0.95
CLEAR = {"10 times slower": 5.0, "all errors": 5.0}  # seconds of load within which they are to fail

_KINDS = ("quiet", "noisy")
_OTHERS = (KAYENTA, THRESHOLD, CLOSED_LOOP)
_LEVELS = Levels(0.025, 0.025)

T = TypeVar("T", Judged, Compared)


def write() -> None:
    """Write the section anew."""
    judged, compared, found = _all("simulated", Judged), _all("compared", Compared), load(STATE / "real.json", real.Found)
    parts = [_recorded(), _false_alarms(judged), _misses(judged), _side_by_side(judged, compared), _real(found)]
    write_section(TITLE, "\n\n".join(part.strip() for part in parts if part), DOCUMENT)


def shortfalls() -> list[str]:
    """Where what was found is less than promised, a sentence each."""
    wrong = []
    for one in _all("simulated", Judged):
        outcomes, n = Counter(release.outcome for release in one.releases), len(one.releases)
        of = f"{one.plan.kind} traces, {one.plan.rules}.yaml, {one.plan.seconds:g} s"
        if one.plan.fault:
            if outcomes["fail"] < LEAST_FOUND * n:
                wrong.append(f"{one.plan.fault}: only {outcomes['fail']} of {n} gates failed ({of})")
            slowest = max(release.gates[0].seconds for release in one.releases)
            if slowest >= CLEAR.get(one.plan.fault, slowest + 1):
                wrong.append(f"{one.plan.fault}: took up to {slowest:.1f} s to fail ({of})")
            continue
        if outcomes["fail"] > MOST_FALSE_ALARMS * n:
            wrong.append(f"{outcomes['fail']} of {n} releases of an unchanged model failed ({of})")
        if one.plan.kind == "quiet" and outcomes["inconclusive"] >= MOST_INCONCLUSIVE * n:
            wrong.append(f"{outcomes['inconclusive']} of {n} releases of an unchanged model were inconclusive ({of})")
    found = load(STATE / "real.json", real.Found)
    for fault, runs in (found.faults if found else {}).items():
        if missed := sum(run.release.outcome != "fail" for run in runs):
            wrong.append(f"{fault}: {missed} of {len(runs)} gates against real servers did not fail")
    if found and found.releases:
        outcomes, n = Counter(run.release.outcome for run in found.releases), len(found.releases)
        if outcomes["fail"] > MOST_FALSE_ALARMS * n:
            wrong.append(f"{outcomes['fail']} of {n} real releases of an unchanged model failed")
        if outcomes["inconclusive"] >= MOST_INCONCLUSIVE * n:
            wrong.append(f"{outcomes['inconclusive']} of {n} real releases of an unchanged model were inconclusive")
    return wrong


def order(kind: str) -> tuple[int, str]:
    """Kinds of traces in the order of the tables."""
    return (_KINDS.index(kind) if kind in _KINDS else len(_KINDS)), kind


def _all(folder: str, kind: type[T]) -> list[T]:
    """What was found of all plans; those without a fault first."""
    found = [load(path, kind) for path in sorted((STATE / folder).glob("*.json"))]
    faults = ["", *MEANING]
    return sorted(
        (one for one in found if one is not None and one.releases),
        key=lambda one: (faults.index(one.plan.fault), order(one.plan.kind), one.plan.rules),
    )


def _recorded() -> str:
    lines = []
    for kind in sorted(kinds(), key=order):
        found = traces(kind)
        latencies = np.concatenate([trace.latency_ms for trace in found])
        p50, p95, p99 = np.quantile(latencies, (0.5, 0.95, 0.99))
        minutes, failed = sum(trace.seconds for trace in found) / 60, sum(int(trace.failed.sum()) for trace in found)
        lines.append(
            f"| {kind} | {minutes:.0f} | {len(found)} | {len(latencies):,} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {failed} |"
        )
    return f"""
### Traces

`python -m proofs.gate record`, {machine()}. Two processes of one version of a model (a GLM of R, as `canari serve` starts it)
under the gate's own generator: Poisson arrivals, 200 a second to each. The noisy neighbour takes every core for a random half of
the time, in stretches of 2 to 20 s.

| traces | minutes | pairs of processes | requests | p50, ms | p95, ms | p99, ms | failed |
|---|---:|---:|---:|---:|---:|---:|---:|
{_table(lines)}
"""


def _false_alarms(found: list[Judged]) -> str:
    lines, rules = [], []
    for one in (one for one in found if not one.plan.fault):
        gates = [gate for release in one.releases for gate in release.gates]
        seconds = sum(gate.seconds for gate in gates) / len(gates)
        lines.append(
            f"| {one.plan.kind} | `{one.plan.rules}.yaml` | {one.plan.gates} of {one.plan.seconds:g} s | {len(one.releases):,} "
            f"| {_share(one.releases, 'fail')} | {_share(one.releases, 'inconclusive')} | {seconds:.0f} s |"
        )
        failed, undecided = _by_rule(gates)
        rules.append(
            f"- {one.plan.kind}, `{one.plan.rules}.yaml`: failed by {failed}; undecided by {undecided} (commit {one.commit})."
        )
    if not lines:
        return ""
    return f"""
### Stable against itself, simulated

`python -m proofs.gate simulate`. A release is drawn from the traces: for each of its gates stretches of 10 to 30 s from any place
of them, both servers together, and in each the servers' parts changed at random. A false alarm is a release with any gate that
fails; one that has none, but a gate that does not decide, is inconclusive. In brackets are exact intervals at 95 %.

| traces | rules | gates of a release | releases | false alarms | inconclusive | load a gate, on average |
|---|---|---|---:|---:|---:|---:|
{_table(lines)}

Rules, by gates:

{_table(rules)}
"""


def _misses(found: list[Judged]) -> str:
    faulty = [one for one in found if one.plan.fault]
    lines = []
    for one in faulty:
        gates = [release.gates[0] for release in one.releases]
        seconds = [gate.seconds for gate in gates if gate.outcome == "fail"]
        spent = f"{median(seconds):.1f} | {max(seconds):.1f}" if seconds else "- | -"
        lines.append(
            f"| {one.plan.fault}: {MEANING[one.plan.fault]} | {one.plan.kind} | {len(gates)} | {_share(one.releases, 'fail')} "
            f"| {spent} | {_by_rule(gates)[0]} |"
        )
    if not faulty:
        return ""
    plan = faulty[0].plan
    return f"""
### Faults, simulated

Gates of {plan.seconds:g} s by `{plan.rules}.yaml`, each one of {plan.gates} of its release, with a fault put into the candidate's
requests and nothing else changed. Whatever is not *fail* is a miss.

| fault | traces | gates | fail | load until then, s: median | most | rules that failed |
|---|---|---:|---:|---:|---:|---|
{_table(lines)}
"""


def _side_by_side(judged: list[Judged], compared: list[Compared]) -> str:
    lines = []
    for others in compared:
        plan, n = others.plan, len(others.releases)
        counts = [sum(release[name] for release in others.releases) for name in _OTHERS]
        shares = [(n - count if plan.fault else count) / n for count in counts]
        ours = next((one.releases[:n] for one in judged if one.plan == plan), [])
        fails = sum(release.outcome == "fail" for release in ours)
        own = f"{(len(ours) - fails if plan.fault else fails) / len(ours):.1%}" if ours else "-"
        what = f"missed: {plan.fault}" if plan.fault else "false alarms"
        lines.append(f"| {what} | {plan.kind} | {n} | {own} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    if not lines:
        return ""
    return f"""
### Side by side

`python -m proofs.gate compare`. The same requests, judged by others: false alarms as a share of releases, misses of gates.

| | traces | cases | canari | {" | ".join(_OTHERS)} |
|---|---|---:|---:|---:|---:|---:|
{_table(lines)}

- Kayenta: its NetflixACAJudge as the source has it, Mann and Whitney's U at a confidence of 0.98 with a band of 0.25 of the
  estimated shift, on p50, p95, p99 and the error rate of each 5 s (60 samples in 300 s; its documentation asks for 50), where an
  increase is bad. One run a gate; a score under 75 fails a release, and one under 95 in its last run, the values that the
  documentation starts with.
- p95 threshold: the candidate's p95 at most a tenth above what all traces of the kind have, and at most 0.5 % errors.
- closed-loop Locust: the same threshold on what one user sees who waits for each answer, with a p95 from the same user. Of the
  recorded requests, those that became due while it waited are never sent.
"""


def _real(found: real.Found | None) -> str:
    if found is None:
        return ""
    text = f"""
### Real servers

`python -m proofs.gate real`, commit {", ".join(found.commits)}: `canari gate run`, each gate against two fresh processes.
"""
    if releases := [run.release for run in found.releases]:
        gates = [gate for release in releases for gate in release.gates]
        failed, undecided = _by_rule(gates)
        seconds = sum(gate.seconds for gate in gates) / len(gates)
        text += f"""
{len(releases)} releases of an unchanged model{_at_once(found.at_once)},
{real.PLANNED} gates of {found.seconds:g} s each by `{real.RULES}.yaml`: false alarms {_share(releases, "fail")},
inconclusive {_share(releases, "inconclusive")}; a gate took {seconds:.0f} s of load on average.

Gates failed by {failed}; undecided by {undecided}.
"""
    lines = []
    for fault, runs in ((fault, runs) for fault, runs in found.faults.items() if runs):
        gates = [run.release.gates[0] for run in runs]
        fails = sum(gate.outcome == "fail" for gate in gates)
        spent = ", ".join(f"{gate.seconds:.1f}" for gate in gates)
        lines.append(f"| {fault} | {fails} of {len(gates)} | {spent} | {_by_rule(gates)[0]} |")
    if lines:
        text += f"""
Faults are put in by a proxy, which keeps the server's own answers back or refuses instead; the baseline has one without a fault.
They are as large for the caller as they say: how long requests take outside the proxy is measured before each gate. Judged by
`{real.FAULTY_RULES}.yaml`, as long as it says.

| fault | fail | load until then, s | rules that failed |
|---|---:|---|---|
{_table(lines)}
"""
    if found.closed_loop:
        before, after = found.closed_loop
        outcome = "passes" if real.threshold_passes(found.closed_loop) else "fails"
        text += f"""
Locust itself with one user and `constant_throughput(200)` saw p95 {before.p95_ms:g} ms and p99 {before.p99_ms:g} ms in
{before.requests:,} requests to a sound server, and p95 {after.p95_ms:g} ms and p99 {after.p99_ms:g} ms in {after.requests:,} to
one that {after.fault}: that {outcome} a threshold of a tenth more than before.
"""
    return text


def _at_once(releases: int) -> str:
    return f", {releases} of them on the machine at the same time" if releases > 1 else ""


def _table(lines: list[str]) -> str:
    return "\n".join(lines)


def _by_rule(gates: Iterable[Gate]) -> tuple[str, str]:
    """How many gates each rule failed, and left open."""
    failed: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
    for gate in gates:
        failed.update(gate.failed)
        undecided.update(gate.undecided)
    return listed(failed) or "none", listed(undecided) or "none"


def _share(releases: Sequence[Release], outcome: str) -> str:
    n, k = len(releases), sum(release.outcome == outcome for release in releases)
    low, high = share_interval(k, k, n, _LEVELS)
    return f"{k / n:.1%} [{low:.1%}, {high:.1%}]"
