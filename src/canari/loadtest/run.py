"""A whole load test, as `canari loadtest` does it: rows, load, objectives, report."""

import collections
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from canari.errors import CanariError, UsageError
from canari.gate import recording
from canari.gate.judging import GRACE_SECONDS
from canari.gate.plan import Load
from canari.gate.rows import GENERATED, check_some, generate, read_csv, records
from canari.gate.verdict import Outcome, combine
from canari.loadtest import report
from canari.loadtest.highest import find_highest, seconds_at
from canari.loadtest.judging import judge
from canari.loadtest.payloads import Row
from canari.loadtest.plan import Plan
from canari.loadtest.recorded import Recorded, read_recorded
from canari.loadtest.result import Latency, Result, Step
from canari.loadtest.scenario import Scenario
from canari.loadtest.sending import sender
from canari.loadtest.target import Target, ask_target, check_url

RESULT = "result.json"
REQUESTS = "requests.ndjson"
REPORT = "report.html"

_ONE_LOAD = ".load.ndjson"
_SHORTEST_REPLAY_S = 1.0
_AFTER_LAST_S = 0.01  # so that a replay's last request is within its time
_PAUSE_S = 0.2


class Source(NamedTuple):
    """Where the rows come from, besides the server's signature."""

    rows: Path | None = None  # CSV
    replay: Path | None = None  # NDJSON
    signature: str | None = None  # URL of the server that tells it


DRAWN = Source()  # rows that the signature describes


class _Requests(NamedTuple):
    """What is sent."""

    rows: list[list[Row]]
    seconds: list[float] | None
    about: str
    skipped: int = 0


def run_loadtest(
    url: str,
    scenario: Scenario,
    out: Path,
    *,
    source: Source = DRAWN,
    duration: float | None = None,
    rate: float | None = None,
    highest: bool = False,
    seed: int = 0,
    patience_s: float = 1.0,
    web_port: int | None = None,
) -> Result:
    """Send a scenario to one server and judge its answers; writes the result, the report and the raw requests into `out`.

    `duration` and `rate` stretch the scenario's stages, `rate` being the highest of them; with `highest` they are the length of
    each load and the rate of the first. Raises `CanariError` where nothing can be sent; then `out` holds no result.
    """
    check_url(url, scenario)
    _check_source(scenario, source)
    _prepare(out)
    target = ask_target(url, scenario, source.signature, patience_s)
    requests = _requests(target, scenario, source, seed)
    if requests.seconds is not None and (rate is not None or highest):
        option = "--rate" if rate is not None else "--highest"
        raise UsageError(f"{option}: a replay's requests are due at their recorded distances: expected another scenario")
    with sender() as process, _removed(out / _ONE_LOAD):

        def send(scenario: Scenario, seconds: float) -> tuple[Step, list[recording.Request]]:
            plan = Plan(
                target=target,
                scenario=scenario,
                requests=requests.rows,
                seconds=requests.seconds,
                duration_s=seconds,
                seed=seed,
                recording=str(out / _ONE_LOAD),
                web_port=web_port,
            )
            load = process.send(plan)
            answered = _keep(out)
            return _step(answered, load, scenario, _mean_rows(requests.rows, scenario)), answered

        if highest:
            answered: list[recording.Request] = []

            def measure(rate: float, seconds: float) -> Step:
                step, answers = send(scenario.steady(rate, seconds), seconds)
                answered.extend(answers)
                # What the client gave up, the server may still be at.
                time.sleep(_PAUSE_S if all(request.status for request in answers) else scenario.timeout_s)
                return step

            found = find_highest(
                measure, scenario.peak if rate is None else rate, lambda rate: duration or seconds_at(scenario, rate)
            )
            step = _best(found.steps)
            outcome: Outcome = "pass" if found.rate is not None else _none_kept(found.steps)
        else:
            found = None
            if requests.seconds is None:
                scenario = scenario if duration is None else scenario.lasting(duration)
                scenario = scenario if rate is None else scenario.peaking(rate)
                seconds = scenario.duration_s
            else:
                seconds = max(requests.seconds[-1] + _AFTER_LAST_S, _SHORTEST_REPLAY_S)
                seconds = min(seconds, duration or math.inf)
            step, answered = send(scenario, seconds)
            outcome = step.outcome
    result = Result(
        outcome=outcome,
        scenario=scenario.name,
        scenario_file=scenario.file,
        scenario_sha256=scenario.sha256,
        url=target.url,
        protocol=target.protocol,
        model=target.name,
        seed=seed,
        rows=requests.about,
        skipped=requests.skipped,
        step=step,
        highest=found,
    )
    (out / REPORT).write_text(report.render(result, scenario, answered), "utf-8")
    result.save(out / RESULT)
    return result


def _check_source(scenario: Scenario, source: Source) -> None:
    if scenario.replay is None and source.replay is not None:
        raise UsageError(f"--replay: scenario {scenario.name!r} is no replay: expected one with the key 'replay'")
    if scenario.replay is not None and source.rows is not None:
        raise UsageError(f"--rows: scenario {scenario.name!r} sends the recorded rows: expected --replay FILE.ndjson")
    if scenario.replay is not None and not (source.replay or scenario.replay.file):
        raise UsageError(f"{scenario.file}: replay: names no file: expected the key 'file', or --replay FILE.ndjson")


def _requests(target: Target, scenario: Scenario, source: Source, seed: int) -> _Requests:
    if scenario.replay is not None:
        path = source.replay or Path(scenario.replay.file or "")
        recorded = read_recorded(path, target.inputs, skip_unfit=scenario.replay.unfit == "skip")
        return _Requests(recorded.requests, _seconds(recorded, scenario, path), _about(recorded, path), recorded.skipped)
    if source.rows is not None:
        columns, about = read_csv(source.rows, target.inputs), f"those of {source.rows}"
    else:
        columns, about = check_some(generate(target.inputs, GENERATED, seed)), "drawn from the server's signature"
    return _Requests([[row] for row in records(columns)], None, about)


def _seconds(recorded: Recorded, scenario: Scenario, path: Path) -> list[float] | None:
    """When the recorded requests are due, if they themselves say so."""
    if recorded.seconds is None and not scenario.stages:
        raise UsageError(f"{path}: has no times: expected a \"time\" in each line, or 'stages' in {scenario.file} that say when")
    if recorded.seconds is not None and scenario.stages:
        raise UsageError(f"{path}: has times, and {scenario.file} has stages: expected one of them")
    speed = scenario.replay.speed if scenario.replay else 1.0
    return None if recorded.seconds is None else [seconds / speed for seconds in recorded.seconds]


def _about(recorded: Recorded, path: Path) -> str:
    said = f"{len(recorded.requests):,} recorded requests of {path}"
    if recorded.skipped:
        said += f"; {recorded.skipped:,} do not fit the server's signature and were skipped, the first: {recorded.first_skipped}"
    return said


def _mean_rows(requests: Sequence[Sequence[Row]], scenario: Scenario) -> float:
    if scenario.replay is not None:
        return sum(map(len, requests)) / len(requests)
    return sum(batch.rows * batch.share for batch in scenario.batches)


def _prepare(out: Path) -> None:
    """A directory without the results of an earlier test, which must not be taken for this one's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (RESULT, REQUESTS, REPORT, _ONE_LOAD):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Leave no part of a load behind that did not come to its end."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _keep(out: Path) -> list[recording.Request]:
    """The requests of one load, which are added to those before."""
    path = out / _ONE_LOAD
    requests = recording.read(path)
    with (out / REQUESTS).open("ab") as file:
        file.write(path.read_bytes())
    return requests


def _step(requests: Sequence[recording.Request], load: Load, scenario: Scenario, rows: float) -> Step:
    if load.duration_s <= load.warmup_s:
        raise CanariError("the load was ended before its warm-up was over: there is nothing to judge")
    measured = judge(requests, load, scenario)
    counted = [request for request in requests if load.measured_from <= request.intended < load.measured_to]
    good = np.sort([request.latency_ms for request in counted if request.error is None])
    until = load.measured_to + GRACE_SECONDS
    in_time = sum(request.error is None and request.intended + request.latency_ms / 1e3 <= until for request in counted)
    failures = collections.Counter(request.error for request in counted if request.error is not None)
    asked = max(load.asked["candidate"], len(counted))
    if missing := asked - len(counted):
        failures["not sent: the generator could not keep up"] = missing
    seconds = load.duration_s - load.warmup_s
    return Step(
        outcome=combine(measured.results),
        objectives=measured.results,
        started=datetime.fromtimestamp(load.started, UTC).isoformat(timespec="milliseconds"),
        duration_s=load.duration_s,
        warmup_s=load.warmup_s,
        requests=asked,
        rows=rows,
        rate_asked=asked / seconds,
        rate_got=in_time / seconds,
        failures=dict(failures.most_common()),
        latency=Latency(
            p50=_quantile(good, 0.5),
            p95=_quantile(good, 0.95),
            p99=_quantile(good, 0.99),
            max=float(good[-1]) if len(good) else None,
        ),
        generator=measured.generator,
        starved=measured.starved and asked > 0,
    )


def _quantile(ordered: np.ndarray[tuple[int], np.dtype[np.float64]], q: float) -> float | None:
    """None where fewer than one of the values would lie above it."""
    return float(ordered[math.ceil(q * len(ordered)) - 1]) if len(ordered) * (1 - q) >= 1 else None


def _best(steps: Sequence[Step]) -> Step:
    """The one at the highest rate that passed, else the last one."""
    return max((step for step in steps if step.outcome == "pass"), key=lambda step: step.rate_asked, default=steps[-1])


def _none_kept(steps: Sequence[Step]) -> Outcome:
    return "fail" if any(step.outcome == "fail" for step in steps) else "inconclusive"
