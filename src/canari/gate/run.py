"""A whole gate, as `canari gate run` does it: rows, predictions, load, verdict."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from canari.errors import CanariError, UsageError
from canari.gate import recording, report
from canari.gate.arrivals import due_times
from canari.gate.http import NoAnswerError
from canari.gate.live import LiveMeter
from canari.gate.plan import Load, LoadPlan
from canari.gate.predictions import Comparison, compare, judge_predictions
from canari.gate.report import junit, markdown
from canari.gate.rows import GENERATED, ask_signature, check_some, generate, read_csv, records
from canari.gate.rules import PREDICTION_RULES, SHADOW_RULES, Rules
from canari.gate.sending import send
from canari.gate.sequence import decides, look, looks, replay
from canari.gate.shadow.judging import judge_shadow
from canari.gate.verdict import Dropped, Live, RuleResult, Verdict, Version, combine, only, undecided
from canari.signature import Signature

VERDICT = "verdict.json"
REQUESTS = "requests.ndjson"
PREDICTIONS = "predictions.json"
REPORT = "report.html"
JUNIT = "junit.xml"
SUMMARY = "summary.md"

_ATTEMPTS = 2
_POLITE_SECONDS = 3.0  # for the candidate to say its name; its silence is judged by the load


def run_gate(
    baseline_url: str,
    candidate_url: str,
    rules: Rules,
    out: Path,
    *,
    rows_file: Path | None = None,
    seed: int = 0,
    baseline_name: str | None = None,
    candidate_name: str | None = None,
    patience_s: float = 1.0,
    live: LiveMeter | None = None,
    shadow_url: str | None = None,
    workers: int = 0,
    bind: str = "127.0.0.1:5557",
    web_port: int | None = None,
) -> Verdict:
    """Measure both servers side by side and judge; writes the verdict, its reports and the raw data into `out`.

    Waits up to `patience_s` seconds for either to answer at all. With `rows_file` its rows are sent and their predictions
    compared; else rows are drawn from the baseline's signature. `live` watches live servers while the load is sent;
    `shadow_url` is that of a comparer, `canari gate shadow`, which is asked after it. `workers` processes that come to `bind`
    send the load where one is not enough; Locust's page of it is at `web_port`. Raises `CanariError` where the baseline cannot be
    measured: then `out` holds no verdict.
    """
    _prepare(out)
    try:
        baseline = ask_signature(baseline_url, rules.timeout_s, patience_s)
    except NoAnswerError as error:
        raise CanariError(f"the baseline cannot be measured: {error}") from None
    candidate: Signature | None = None
    with suppress(NoAnswerError):
        candidate = ask_signature(candidate_url, min(rules.timeout_s, _POLITE_SECONDS), patience_s)
    results: list[RuleResult] = []
    if rows_file is None:
        columns = check_some(generate(baseline.inputs, GENERATED, seed))
        predictions = "not compared: no rows were given"
    else:
        columns = read_csv(rows_file, baseline.inputs)
        comparison = compare(baseline_url, candidate_url, columns, baseline, candidate or baseline, timeout=rules.timeout_s)
        if candidate is None:
            # Taken for one of the baseline's kind: that it answers otherwise is then no fault of its own.
            comparison = msgspec.structs.replace(comparison, refused=False)
        (out / PREDICTIONS).write_bytes(msgspec.json.encode(comparison))
        results += judge_predictions(comparison, rules, seed)
        predictions = _say(comparison, rules)
    plan = LoadPlan(
        urls={"baseline": baseline_url, "candidate": candidate_url},
        rows=records(columns),
        rate=rules.rate,
        arrivals=rules.arrivals,
        duration_s=rules.duration_s,
        warmup_s=rules.warmup_s,
        timeout_s=rules.timeout_s,
        seed=seed,
        locustfile=rules.locustfile,
        recording=str(out / REQUESTS),
        workers=workers,
        bind=bind,
        web_port=web_port,
    )
    due = due_times(plan)

    def enough(requests: Sequence[recording.Request], load: Load, seconds: float) -> bool:
        return decides(look(recording.to_table(requests), load, rules, seconds, due), rules, seconds)

    attempts = 0
    with live or nullcontext():
        while True:
            attempts += 1
            load = send(plan, looks(rules)[:-1], enough)
            requests = recording.read(out / REQUESTS)
            judged = replay(recording.to_table(requests), load, rules, due)
            if not any(request.arm == "baseline" and request.error is None for request in requests):
                raise CanariError(f"the baseline cannot be measured: {_first_error(requests)}")
            # What a starved generator left open says nothing of the candidate, so it may be measured once more.
            if attempts == _ATTEMPTS or not judged.measured.starved or judged.outcome != "inconclusive":
                break
    results += judged.results
    live_results, seen = live.judge(rules) if live else ([], None)
    results += live_results
    if shadow_url and candidate:
        results += judge_shadow(shadow_url, rules, baseline.tag, candidate.tag)
    absent = _absent(rules, results, seen, rows_file is not None, shadow_url is not None)
    results += [undecided(name, only(rules.limits[name]), why) for name, why in absent.items() if name not in rules.optional]
    verdict = Verdict(
        outcome=combine(results),
        rules=tuple(results),
        baseline=_version(baseline_name, baseline, baseline_url),
        candidate=_version(candidate_name, candidate, candidate_url),
        seed=seed,
        started=datetime.fromtimestamp(load.started, UTC).isoformat(timespec="milliseconds"),
        duration_s=load.duration_s,
        rate=rules.rate,
        generator=judged.measured.generator,
        attempts=attempts,
        dropped=Dropped(warmup=judged.measured.warmup, warmup_s=rules.warmup_s, missing=judged.measured.missing),
        predictions=predictions,
        rules_file=rules.file,
        rules_sha256=rules.sha256,
        live=seen,
        planned_s=rules.duration_s,
        false_alarms=rules.false_alarms,
        misses=rules.misses,
        gates=rules.gates,
        looks=judged.looks,
        not_judged=tuple(f"{name}: {why}" for name, why in absent.items() if name in rules.optional),
    )
    (out / REPORT).write_text(report.render(verdict, requests), "utf-8")
    (out / JUNIT).write_text(junit.render(verdict), "utf-8")
    (out / SUMMARY).write_text(markdown.render(verdict), "utf-8")
    verdict.save(out / VERDICT)
    return verdict


def _prepare(out: Path) -> None:
    """A directory without the results of an earlier gate, which must not be taken for this one's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (VERDICT, REQUESTS, PREDICTIONS, REPORT, JUNIT, SUMMARY):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None


def _first_error(requests: list[recording.Request]) -> str:
    errors = [request.error for request in requests if request.arm == "baseline" and request.error]
    return f"none of its {len(errors)} requests had a good answer, the first: {errors[0]}" if errors else "no request was sent"


def _say(comparison: Comparison, rules: Rules) -> str:
    if comparison.failure is not None:
        return f"not compared: {comparison.failure}"
    judged = [name for name in PREDICTION_RULES if name in rules.limits]
    return f"compared on {comparison.rows} rows" + ("" if judged else "; no rule judges them")


def _absent(rules: Rules, results: Sequence[RuleResult], live: Live | None, rows: bool, shadow: bool) -> dict[str, str]:
    """The rules without a result that no one speaks of elsewhere, and why they have none."""
    judged = {result.name for result in results}
    told = {note.partition(":")[0] for note in live.not_judged} if live else set()
    return {name: _why_not(name, rows, shadow) for name in rules.limits if name not in judged | told}


def _why_not(name: str, rows: bool, shadow: bool) -> str:
    if name in PREDICTION_RULES:
        return "the model has no prediction of this kind" if rows else "no rows were given"
    if name in SHADOW_RULES:
        return "the shadow compares no two versions now" if shadow else "no shadow was named"
    return "no live servers were named"


def _version(name: str | None, signature: Signature | None, url: str) -> Version:
    said = signature.tag if signature else url
    return Version(name=name or said, version=signature.version if signature else None, url=url)
