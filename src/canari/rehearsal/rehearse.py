"""The rehearsal: stable takes the callers, the candidate comes, the plan is followed, the verdict decides.

The plan's steps are the Rollout's; each gate measures two fresh servers that no caller reaches. Whatever happens, every
process is stopped and every request of the callers is accounted for.
"""

import collections
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from canari import __version__, store
from canari.errors import CanariError, ExitCode, UsageError
from canari.gate.judging import judge_share
from canari.gate.predictions import Comparison, compare, judge_predictions
from canari.gate.recording import Request, read
from canari.gate.rows import GENERATED, generate
from canari.gate.rules import Rules, load_rules
from canari.gate.run import REQUESTS, VERDICT
from canari.gate.statistics import Risks
from canari.gate.verdict import RuleResult, Verdict, load_verdict
from canari.model import Model
from canari.rehearsal.outcome import DECISIONS, ArmCalls, Calls, ReleaseVerdict, StepRule, WeightSet
from canari.rehearsal.plan import Gate, NotRehearsed, Pause, Plan, SetWeight
from canari.rehearsal.processes import Process, check_memory, free_ports, stopping_on_signals, uninterrupted
from canari.rehearsal.servers import Recipe, Server, ServerError
from canari.rehearsal.stage import Stage
from canari.rehearsal.view import View, describe
from canari.runtime.tabular import write_rows
from canari.serving import bento
from canari.signature import Signature

# What lies in the folder of a rehearsal, besides the verdict.
CALLS, GATES, LOGS = "calls.ndjson", "gates", "logs"
REPORT, JUNIT, SUMMARY = "report.html", "junit.xml", "summary.md"

_SETTLE_SECONDS = 3.0  # of traffic before the candidate comes and after the end, so that the report shows both states
_START_SECONDS = 10.0  # of bentos and servers; only for the progress bar, as is the next
_GATE_OVERHEAD_SECONDS = 7.0
# The callers' errors are looked at every second: so many looks may each risk only a little.
_LIVE_RISKS = Risks(false_alarm=5e-5, miss=5e-5)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is rehearsed, and how."""

    stable: str  # NAME:VERSION
    candidate: str
    plan: Plan
    rules: Path
    out: Path
    time_scale: float = 1.0
    candidate_command: str | None = None
    caller_rate: float = 50.0  # requests per second
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class GateRun:
    """One gate of the release, with the raw requests behind its verdict."""

    where: str
    verdict: Verdict
    requests: list[Request]


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Everything that a rehearsal found; the report is drawn from it."""

    verdict: ReleaseVerdict
    signatures: dict[str, Signature]  # by arm
    bentos: dict[str, str]  # by arm
    began: float  # Unix time in seconds, the zero of the report's clock
    calls: list[Request]
    timeline: list[tuple[float, str]]  # seconds since then, and what happened
    comparison: Comparison | None
    gates: list[GateRun]


def rehearse(settings: Settings, view: View) -> Rehearsal:
    """Rehearse the release of `settings.candidate` over `settings.stable`; what it records lies in `settings.out`.

    Writes `verdict.json` there. Raises `CanariError` where the surroundings fail: stable does not start, Envoy does not,
    memory is short.
    """
    rules = load_rules(settings.rules)
    models = {"stable": store.get(settings.stable), "candidate": store.get(settings.candidate)}
    _clear(settings.out)
    started = datetime.now(UTC)
    with stopping_on_signals(), view.shown(), TemporaryDirectory(prefix="canari-") as scratch, ExitStack() as processes:
        view.expect(_expected_seconds(settings, rules))
        view.event("building the bentos")
        bentos = {"stable": bento.build(settings.stable), "candidate": bento.build(settings.candidate)}
        stage = Stage(processes, settings.out / LOGS, settings.out / CALLS, Path(scratch), view)
        release = _Release(settings, rules, models, bentos, stage, view, Path(scratch) / "rows.csv")
        try:
            decisive = release.run()
        finally:
            with uninterrupted():
                processes.close()
    verdict = release.verdict(decisive, started)
    (settings.out / VERDICT).write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    return Rehearsal(
        verdict=verdict,
        signatures=release.signatures,
        bentos=bentos,
        began=stage.began,
        calls=stage.calls,
        timeline=release.timeline,
        comparison=release.comparison,
        gates=release.gates,
    )


class _Stop(Exception):  # noqa: N818 (not an error: the release does not go on)
    """The release does not go on; `rule` says why, and its outcome what follows."""

    def __init__(self, rule: RuleResult) -> None:
        super().__init__()
        self.rule = rule


class _Release:
    """One release while it runs on its stage."""

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        models: dict[str, Model],
        bentos: dict[str, str],
        stage: Stage,
        view: View,
        rows_file: Path,
    ) -> None:
        self.settings = settings
        self.rules = rules
        self.signatures = {arm: model.signature for arm, model in models.items()}
        self.stable_recipe = Recipe("stable", settings.stable, bentos["stable"])
        self.candidate_recipe = Recipe("candidate", settings.candidate, bentos["candidate"], settings.candidate_command)
        checks = models["stable"].checks
        self.rows = checks.given() if checks else generate(self.signatures["stable"].inputs, GENERATED, settings.seed)
        self.rows_file = rows_file
        self.stage = stage
        self.view = view
        self.where = "before any traffic"
        self.weights: list[WeightSet] = []
        self.timeline: list[tuple[float, str]] = []
        self.results: list[StepRule] = []
        self.gates: list[GateRun] = []
        self.comparison: Comparison | None = None
        self.live_candidate: Server | None = None
        self.rolled_back_at: float | None = None
        self.next_look = 0.0
        stage.look = self._look_at_live_candidate

    def run(self) -> RuleResult | None:
        """Follow the plan to its end, or to the rule that stops it, which is returned."""
        settings = self.settings
        self._event(f"starting stable, {settings.stable}")
        self.stable = self.stage.start_stable(self.stable_recipe)
        check_memory(self.stable.memory, f"a server of {settings.candidate} beside the one of {settings.stable}")
        with self.rows_file.open("w", newline="", encoding="utf-8") as file:
            write_rows(file, self.rows)
        self.stage.start_callers(settings.caller_rate, self.rows_file, self.rules, settings.seed)
        self._set_weight(0)
        self._event(f"callers send {settings.caller_rate:g} requests a second through Envoy")
        self.stage.wait(_SETTLE_SECONDS)
        decisive = None
        try:
            self._follow_plan()
        except _Stop as stop:
            decisive = stop.rule
            if decisive.outcome == "fail":
                self._roll_back()
            else:
                self._event(f"paused, {decisive.name} is inconclusive: in a cluster a person decides now")
        self.stage.stop_callers()
        return decisive

    def _follow_plan(self) -> None:
        candidate = self._start_candidate()
        self._compare_predictions(candidate)
        steps = self.settings.plan.steps
        for index, step in enumerate(steps):
            self.where = f"step {index + 1}, {describe(step)}"
            self.view.step(index)
            self.timeline.append((self.stage.seconds, self.where))
            match step:
                case SetWeight(weight):
                    self._set_weight(weight)
                case Pause(seconds):
                    self.stage.wait((seconds or 0) / self.settings.time_scale)
                case Gate():
                    self._gate()
                case NotRehearsed():
                    pass
        self.where = "promotion"
        self.view.step(len(steps))
        self._event(f"promotion: all callers to {self.settings.candidate}")
        self._set_weight(100)
        self.stage.wait(_SETTLE_SECONDS)

    def _start_candidate(self) -> Server:
        self._event(f"starting the candidate, {self.settings.candidate}")
        candidate = self.stage.start_candidate(self.candidate_recipe)
        self._until_candidate(lambda: candidate.ready)
        self.live_candidate = candidate
        return candidate

    def _compare_predictions(self, candidate: Server) -> None:
        self._event("the same rows to both versions")
        signatures = self.signatures["stable"], self.signatures["candidate"]
        self.comparison = compare(self.stable.url, candidate.url, self.rows, *signatures)
        self._judge(judge_predictions(self.comparison, self.rules))

    def _gate(self) -> None:
        number = len(self.gates) + 1
        out = self.settings.out / GATES / str(number)
        out.mkdir(parents=True, exist_ok=True)
        check_memory(2 * self.stable.memory, "the gate's two servers")
        with ExitStack() as fresh:
            logs = self.stage.logs
            baseline = fresh.enter_context(Server(self.stable_recipe, f"gate {number}", logs, free_ports(2)))
            candidate = fresh.enter_context(Server(self.candidate_recipe, f"gate {number}", logs, free_ports(2)))
            self.stage.until(lambda: baseline.ready)
            self._until_candidate(lambda: candidate.ready)
            options = {
                "--baseline": baseline.url,
                "--candidate": candidate.url,
                "--baseline-name": self.settings.stable,
                "--candidate-name": self.settings.candidate,
                "--rules": self.settings.rules,
                "--rows": self.rows_file,
                "--duration": self.rules.duration_s / self.settings.time_scale,
                "--gates": sum(isinstance(step, Gate) for step in self.settings.plan.steps),
                "--seed": self.settings.seed + number,
                "--out": out,
            }
            command = [sys.executable, "-m", "canari", "gate", "run", *(str(word) for pair in options.items() for word in pair)]
            gate = fresh.enter_context(Process("the gate", command, logs / f"gate-{number}.log"))
            self.stage.until(lambda: gate.exit_code is not None)
            if gate.exit_code not in (ExitCode.OK, ExitCode.FAILED, ExitCode.INCONCLUSIVE):
                raise CanariError(f"the gate could not be run, it {gate.ending}; see {gate.log}")
        verdict = load_verdict(out / VERDICT)
        self.gates.append(GateRun(where=self.where, verdict=verdict, requests=read(out / REQUESTS)))
        self._event(f"{self.where}: {verdict.outcome}")
        self._judge(verdict.rules)

    def _roll_back(self) -> None:
        self.where = "after the rollback"
        self._set_weight(0)
        self.rolled_back_at = time.time()
        self._event(f"rolled back: all callers to {self.settings.stable}")
        self.stage.wait(_SETTLE_SECONDS)

    def _until_candidate(self, ready: Callable[[], bool]) -> None:
        try:
            self.stage.until(ready)
        except ServerError as error:
            if error.arm != "candidate":
                raise
            raise _Stop(self._record(_failed("candidate_ready", str(error)))) from None

    def _look_at_live_candidate(self) -> None:
        """Stop where the candidate has died, or fails its callers beyond the gates' limit for errors.

        A look that finds nothing proves nothing, so it leaves no result behind: passing is the gates' work.
        """
        candidate = self.live_candidate
        if candidate is None or self.rolled_back_at is not None:
            return
        if candidate.exit_code is not None:
            raise _Stop(self._record(_failed("candidate_alive", f"{candidate.name} {candidate.ending}")))
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + 1
        answers = [call for call in self.stage.calls if call.arm == "candidate"]
        failed = sum(call.error is not None for call in answers)
        limit = self.rules.limits.get("error_rate")
        if failed and limit:
            what = "of the callers' requests that reached the candidate failed"
            rule = judge_share("live_error_rate", failed, len(answers), limit["max"], _LIVE_RISKS, what=what)
            if rule.outcome == "fail":
                raise _Stop(self._record(rule))

    def _judge(self, rules: Sequence[RuleResult]) -> None:
        """Record the rules' results; stop at the first that fails, else at the first that is inconclusive."""
        for rule in rules:
            self._record(rule)
        for outcome in ("fail", "inconclusive"):
            for rule in rules:
                if rule.outcome == outcome:
                    raise _Stop(rule)

    def _record(self, rule: RuleResult) -> RuleResult:
        self.results.append(StepRule(**msgspec.structs.asdict(rule), step=self.where))
        return rule

    def _set_weight(self, weight: int) -> None:
        self.stage.set_weight(weight)
        self.weights.append(WeightSet(seconds=self.stage.seconds, weight=weight))

    def _event(self, text: str) -> None:
        self.timeline.append((self.stage.seconds, text))
        self.view.event(text)

    def verdict(self, decisive: RuleResult | None, started: datetime) -> ReleaseVerdict:
        """The whole release's verdict; `decisive` is the rule that stopped it."""
        settings = self.settings
        outcome = decisive.outcome if decisive else "pass"
        if decisive is None:
            reason = f"every rule of {len(self.gates)} gates passed; {settings.candidate} now answers all callers"
        else:
            reason = f"{decisive.name} ({self._step_of(decisive)}): {decisive.why}"
        return ReleaseVerdict(
            outcome=outcome,
            decision=DECISIONS[outcome],
            reason=reason,
            rule=decisive.name if decisive else None,
            stable=settings.stable,
            candidate=settings.candidate,
            unproved=[signature.tag for signature in self.signatures.values() if not signature.proved],
            breaking=self.signatures["candidate"].breaks(self.signatures["stable"]),
            rules=self.results,
            gates=[run.verdict for run in self.gates],
            calls=_account(self.stage.calls, self.rolled_back_at),
            weights=self.weights,
            plan=[describe(step) for step in settings.plan.steps],
            not_rehearsed=sorted({step.kind for step in settings.plan.steps if isinstance(step, NotRehearsed)}),
            time_scale=settings.time_scale,
            seed=settings.seed,
            started=started.isoformat(timespec="seconds"),
            duration_s=self.stage.seconds,
            canari=__version__,
        )

    def _step_of(self, rule: RuleResult) -> str:
        return next(result.step for result in reversed(self.results) if result.name == rule.name)


def _failed(name: str, why: str) -> RuleResult:
    """A rule of the rehearsal's own that has nothing to measure."""
    return RuleResult(name=name, outcome="fail", value=None, unit="", interval=None, limit=None, samples=0, why=why)


def _clear(out: Path) -> None:
    """A folder without what an earlier rehearsal left: an old verdict must not be taken for this one's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (VERDICT, REPORT, JUNIT, SUMMARY):
            (out / name).unlink(missing_ok=True)
        for name in (GATES, LOGS):
            shutil.rmtree(out / name, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None


def _account(calls: Sequence[Request], rolled_back_at: float | None) -> Calls:
    answered: collections.Counter[str] = collections.Counter(call.arm or "none" for call in calls if call.error is None)
    failed: collections.Counter[str] = collections.Counter(call.arm or "none" for call in calls if call.error is not None)
    after = None
    if rolled_back_at is not None:
        after = sum(call.arm == "candidate" and call.intended > rolled_back_at for call in calls)
    return Calls(
        sent=len(calls),
        answered=answered.total(),
        failed=failed.total(),
        by_arm={arm: ArmCalls(answered=answered[arm], failed=failed[arm]) for arm in sorted({*answered, *failed}, reverse=True)},
        on_candidate_after_rollback=after,
    )


def _expected_seconds(settings: Settings, rules: Rules) -> float:
    seconds = _START_SECONDS + 2 * _SETTLE_SECONDS
    for step in settings.plan.steps:
        if isinstance(step, Pause):
            seconds += (step.seconds or 0) / settings.time_scale
        elif isinstance(step, Gate):
            seconds += rules.duration_s / settings.time_scale + _GATE_OVERHEAD_SECONDS
    return seconds
