"""`canari gate`: measure two running versions side by side."""

from pathlib import Path

import click

from canari.errors import UsageError
from canari.gate.live import Fleet, LiveMeter, Server
from canari.gate.rules import load_rules
from canari.gate.run import run_gate
from canari.gate.shadow.answers import Tolerance
from canari.gate.shadow.server import Shadow
from canari.gate.verdict import EXIT_CODES, Verdict, line


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


@gate.command()
@click.option("--baseline", required=True, callback=_url, help="URL of a fresh server of the stable version.")
@click.option("--candidate", required=True, callback=_url, help="URL of a fresh server of the candidate.")
@click.option("--rules", "rules_file", required=True, type=click.Path(path_type=Path), help="What to keep to, in YAML.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory for verdict.json and requests.ndjson.")
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Seconds of load; else as the rules file says.")
@click.option("--rows", type=click.Path(path_type=Path), help="CSV file of rows to send, and to compare the predictions on.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of rows and arrivals.")
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
        load_rules(rules_file).lasting(duration),
        out,
        rows_file=rows,
        seed=seed,
        baseline_name=baseline_name,
        candidate_name=candidate_name,
        live=LiveMeter(lambda: fleet) if live_baseline or live_candidate else None,
        shadow_url=shadow_url,
    )
    show_verdict(verdict)
    return EXIT_CODES[verdict.outcome]


def show_verdict(verdict: Verdict) -> None:
    """Print a line a rule, what the live servers left open, and the outcome."""
    for result in verdict.rules:
        click.echo(line(result))
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
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=50.0, show_default=True, help="Compare at most so many a second."
)
@click.option("--absolute", type=click.FloatRange(0), default=1e-6, show_default=True, help="Numbers so near are the same.")
@click.option("--relative", type=click.FloatRange(0), default=1e-6, show_default=True, help="The same, in shares of stable's.")
def shadow(stable: str, candidate: str, host: str, port: int, rate: float, absolute: float, relative: float) -> None:
    """Take copies of callers' requests, send them to both versions, and compare the answers, until SIGTERM or Ctrl-C.

    GET /summary tells what was found. While both serve the same version, nothing is sent.
    """
    comparer = Shadow(stable, candidate, rate=rate, tolerance=Tolerance(absolute=absolute, relative=relative))
    comparer.serve(
        host, port, lambda port: click.echo(f"comparing {candidate} with {stable}; summary on http://{host}:{port}/summary")
    )
