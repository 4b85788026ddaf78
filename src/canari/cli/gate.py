"""`canari gate`: measure two running versions side by side."""

import os
import sys
from pathlib import Path

import click
from rich.console import Console

from canari.cli.number import NOT_NEGATIVE, POSITIVE, SECONDS, Number
from canari.errors import ExitCode, UsageError
from canari.gate.address import parse_address
from canari.gate.live import Fleet, LiveMeter, Server
from canari.gate.planning import Needs, RuleNeeds, plan_gate, record_same
from canari.gate.recording import read
from canari.gate.rules import load_rules
from canari.gate.run import run_gate
from canari.gate.shadow.answers import Tolerance
from canari.gate.shadow.server import Shadow
from canari.gate.verdict import EXIT_CODES, Verdict, line
from canari.gate.words import number
from canari.rehearsal.plan import Gate, load_plan, read_plan


@click.group()
def gate() -> None:
    """Judge a candidate beside a baseline."""


def _url(_context: click.Context, option: click.Parameter, value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise UsageError(f"{option.opts[0]}: expected a URL such as http://127.0.0.1:3000, came {value!r}")
    return value.rstrip("/")


def _urls(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_url(context, option, value) for value in values)


def _optional_url(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _url(context, option, value)


def _address(_context: click.Context, option: click.Parameter, value: str) -> str:
    try:
        parse_address(value)
    except UsageError as error:
        raise UsageError(f"{option.opts[0]}: {error}") from None
    return value


@gate.command()
@click.option("--baseline", required=True, callback=_url, help="URL of a fresh server of the stable version.")
@click.option("--candidate", required=True, callback=_url, help="URL of a fresh server of the candidate.")
@click.option("--rules", "rules_file", required=True, type=click.Path(path_type=Path), help="What to keep to, in YAML.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory for verdict.json and requests.ndjson.")
@click.option("--duration", type=SECONDS, help="Seconds of load; else as the rules file says.")
@click.option("--rows", type=click.Path(path_type=Path), help="CSV file of rows to send, and to compare the predictions on.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of rows and arrivals.")
@click.option(
    "--gates", type=click.IntRange(1), default=1, show_default=True, help="Of the release: they share its rate of false alarms."
)
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="`canari gate worker`s that send the load.")
@click.option("--bind", callback=_address, default="127.0.0.1:5557", show_default=True, help="Where the workers come to.")
@click.option("--web-port", type=click.IntRange(1, 65535), help="Show Locust's page of the load on this port of this machine.")
@click.option("--baseline-name", help="How the verdict calls the baseline; else as its server does.")
@click.option("--candidate-name", help="The same for the candidate.")
@click.option("--shadow", "shadow_url", callback=_optional_url, help="URL of a comparer, `canari gate shadow`, to judge as well.")
@click.option("--live-baseline", multiple=True, callback=_urls, help="URL of a baseline's server that callers use; repeatable.")
@click.option("--live-candidate", multiple=True, callback=_urls, help="The same of a candidate's; both for the live rules.")
def run(
    baseline: str,
    candidate: str,
    rules_file: Path,
    out: Path,
    duration: float | None,
    rows: Path | None,
    seed: int,
    gates: int,
    workers: int,
    bind: str,
    web_port: int | None,
    baseline_name: str | None,
    candidate_name: str | None,
    shadow_url: str | None,
    live_baseline: tuple[str, ...],
    live_candidate: tuple[str, ...],
) -> int:
    """Send the same load to both servers in the same seconds and judge the candidate.

    Exits with 0 where it passes, 10 where it fails, 11 where the data do not decide.
    """
    fleet: Fleet = {
        "baseline": [Server(name=url, url=url) for url in live_baseline],
        "candidate": [Server(name=url, url=url) for url in live_candidate],
    }
    verdict = run_gate(
        baseline,
        candidate,
        load_rules(rules_file).lasting(duration).of(gates),
        out,
        rows_file=rows,
        seed=seed,
        baseline_name=baseline_name,
        candidate_name=candidate_name,
        live=LiveMeter(lambda: fleet) if live_baseline or live_candidate else None,
        shadow_url=shadow_url,
        workers=workers,
        bind=bind,
        web_port=web_port,
    )
    show_verdict(verdict)
    return EXIT_CODES[verdict.outcome]


def show_verdict(verdict: Verdict) -> None:
    """Print a line a rule, what the live servers left open, and the outcome."""
    for result in verdict.rules:
        click.echo(line(result))
    for note in verdict.not_judged:
        click.echo(f"{'not judged':<13} {note}")
    if verdict.live is not None:
        for note in verdict.live.not_judged:
            click.echo(f"{'not counted':<13} {note}")
        for problem in verdict.live.problems:
            click.echo(f"{'not told':<13} {problem}")
    click.echo(
        f"{verdict.outcome.upper()}: {verdict.candidate.name} beside {verdict.baseline.name}; predictions {verdict.predictions}"
    )


@gate.command()
@click.option("--stable", required=True, callback=_url, help="URL of the stable version's Service.")
@click.option("--candidate", required=True, callback=_url, help="URL of the candidate's.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--rate", type=POSITIVE, default=50.0, show_default=True, help="Compare at most so many a second.")
@click.option("--absolute", type=NOT_NEGATIVE, default=1e-6, show_default=True, help="Numbers so near are the same.")
@click.option("--relative", type=NOT_NEGATIVE, default=1e-6, show_default=True, help="The same, in shares of stable's.")
def shadow(stable: str, candidate: str, host: str, port: int, rate: float, absolute: float, relative: float) -> None:
    """Take copies of callers' requests, send them to both versions, and compare the answers, until SIGTERM or Ctrl-C.

    GET /summary tells what was found. While both serve the same version, nothing is sent.
    """
    comparer = Shadow(stable, candidate, rate=rate, tolerance=Tolerance(absolute=absolute, relative=relative))
    comparer.serve(
        host, port, lambda port: click.echo(f"comparing {candidate} with {stable}; summary on http://{host}:{port}/summary")
    )


@gate.command()
@click.option("--master", required=True, callback=_address, help="HOST:PORT where gates look for workers: their --bind.")
def worker(master: str) -> None:
    """Send shares of the load of one gate after the other, for ever, until SIGTERM or Ctrl-C.

    Waits for a gate with `--workers` to listen at MASTER, does its share, and waits for the next one.
    """
    os.execv(sys.executable, [sys.executable, "-m", "canari.gate.workers", master])  # noqa: S606  Locust wants a process of its own


@gate.command()
@click.option("--rules", "rules_file", required=True, type=click.Path(path_type=Path), help="The gate's rules, in YAML.")
@click.option(
    "--recording", type=click.Path(path_type=Path), help="requests.ndjson of a gate of the stable version against itself."
)
@click.option("--baseline", callback=_optional_url, help="Without one: URL of a fresh server of the stable version,")
@click.option("--candidate", callback=_optional_url, help="and of another one; the rules' load is sent to both.")
@click.option("--duration", type=SECONDS, default=60.0, show_default=True, help="Seconds of that load.")
@click.option("--rows", type=click.Path(path_type=Path), help="CSV file of rows to send; else they are drawn.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/plan"), show_default=True, help="Where that recording is kept."
)
@click.option("--rollout", type=click.Path(path_type=Path), help="The release's overlay, or a file that it was rendered to.")
@click.option("--gates", type=click.IntRange(1), help="Of the release; else as many as the Rollout has, or 1.")
@click.option("--power", type=Number(0.5, 0.999), default=0.95, show_default=True, help="How often each must end as it should.")
@click.option(
    "--excess",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    help="What must fail: so much beyond a limit, in shares of what the limit is beyond no change.",
)
@click.option("--runs", type=click.IntRange(20), default=100, show_default=True, help="Gates that are simulated of each length.")
def plan(
    rules_file: Path,
    recording: Path | None,
    baseline: str | None,
    candidate: str | None,
    duration: float,
    rows: Path | None,
    out: Path,
    rollout: Path | None,
    gates: int | None,
    power: float,
    excess: float,
    runs: int,
) -> int:
    """Tell how long a gate must last to pass an unchanged candidate and to fail what its rules forbid.

    Exits with 0, or with 11 where a gate of the Rollout is too short, or none is long enough.
    """
    planned = _gates(rollout) if rollout else []
    rules = load_rules(rules_file).of(gates or max(len(planned), 1))
    if recording is not None:
        if baseline or candidate:
            raise UsageError("expected either --recording, or --baseline and --candidate, came both")
        requests = read(recording)
    elif baseline and candidate:
        requests = record_same(baseline, candidate, rules.lasting(duration), out, rows_file=rows)
    else:
        raise UsageError("expected either --recording, or --baseline and --candidate, came neither")
    with Console(stderr=True).status("") as status:
        needs = plan_gate(requests, rules, power=power, excess=excess, runs=runs, tell=status.update)
    _show_needs(needs, rules.gates)
    warnings = []
    for seconds in sorted({one.duration for one in planned if one.duration is not None}):
        if problem := needs.too_short(seconds):
            which = ", ".join(str(i) for i, one in enumerate(planned, start=1) if one.duration == seconds)
            warnings.append(f"{rollout}, gate {which} of {len(planned)}: {problem}")
    warnings += [
        f"{rollout}: the argument `gates` is {one.gates}, and the Rollout has {len(planned)}"
        for one in planned[:1]
        if one.gates not in (None, len(planned))
    ]
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return ExitCode.INCONCLUSIVE if warnings or needs.seconds is None else ExitCode.OK


def _gates(path: Path) -> list[Gate]:
    """The gates of a release, each with its duration."""
    if path.is_dir():
        from canari.release.kubectl import render  # noqa: PLC0415  the gate's image has neither kubectl nor what this needs

        steps = read_plan(render(path), path).steps
    else:
        steps = load_plan(path).steps
    found = [step for step in steps if isinstance(step, Gate)]
    if not found:
        raise UsageError(f"{path}: the Rollout has no gate")
    if any(one.duration is None for one in found):
        raise UsageError(f"{path}: the gates' duration is not in it: expected an overlay's folder, or all that it renders to")
    return found


def _show_needs(needs: Needs, gates: int) -> None:
    """Print a line a rule, what is not planned, and the duration."""
    click.echo(
        f"seconds of load until each rule ends as it should with probability {needs.power:g}, "
        f"at {needs.rate:g} requests a second to each of the two:"
    )
    titles = ("rule", "allows", "must fail", "noise", "stretches", "passes after", "fails after")
    lines = [titles, *(_cells(one, needs.longest_s) for one in needs.rules)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    click.echo("noise: standard error after one second, a quarter of it after sixteen; also from how much stretches differ")
    for one in needs.rules:
        if one.why:
            click.echo(f"{one.name}: {one.why}")
        elif one.passes_s is None or one.fails_s is None:
            click.echo(f"{one.name}: not within {needs.longest_s:g} s at this rate: raise the rate, or the limit")
    if needs.not_planned:
        click.echo(f"not planned, since they rest on rows or on callers: {', '.join(needs.not_planned)}")
    if needs.seconds is None:
        click.echo(f"no duration up to {needs.longest_s:g} s is enough for all rules")
    else:
        click.echo(
            f"duration: {needs.seconds:g} s for each of {gates} gate{'s' * (gates != 1)}; "
            f"of the simulated ones without a change {needs.passed:.0%} passed and {needs.failed:.0%} failed"
        )


def _cells(one: RuleNeeds, longest: float) -> tuple[str, ...]:
    noise, spread = ("-" if value is None else f"{value:.2%}" for value in (one.noise, one.spread))
    passes, fails = (f"> {longest:g} s" if seconds is None else f"{number(seconds)} s" for seconds in (one.passes_s, one.fails_s))
    return one.name, one.allowed, one.forbidden, noise, spread, passes, fails
