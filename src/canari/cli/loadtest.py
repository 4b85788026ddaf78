"""`canari loadtest`: send a scenario to one running server."""

from pathlib import Path

import click
import msgspec

from canari.cli.number import RATE, Number
from canari.gate.report.page import quantity_text
from canari.gate.verdict import EXIT_CODES, line
from canari.loadtest.result import Result, Step
from canari.loadtest.run import REPORT, Source, run_loadtest
from canari.loadtest.scenario import Scenario, find_scenario

_WEEK = Number(0, 604_800, min_open=True)


@click.command()
@click.argument("url")
@click.option("--scenario", "scenario_name", required=True, help="A file, or the name of one in loadtests/scenarios.")
@click.option("--duration", type=_WEEK, help="Seconds; else as the scenario says. With --highest of each load.")
@click.option("--rate", type=RATE, help="Highest rate of the scenario, requests a second. With --highest the first one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/loadtest"),
    show_default=True,
    help="Directory for result.json, report.html and requests.ndjson.",
)
@click.option("--highest", is_flag=True, help="Search for the highest rate that keeps the objectives.")
@click.option("--rows", type=click.Path(path_type=Path), help="CSV file of rows to send; else they are drawn from /signature.")
@click.option("--replay", type=click.Path(path_type=Path), help="NDJSON file of recorded requests, for a scenario that replays.")
@click.option("--skip-unfit", is_flag=True, help="Skip recorded requests that do not fit the signature, and count them.")
@click.option("--signature", "signature_url", help="URL of a server of canari whose /signature tells what a gRPC server takes.")
@click.option("--model", help="The model's name at a gRPC server; else as the scenario or the signature says.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of rows and arrivals.")
@click.option("--web-port", type=click.IntRange(1, 65535), help="Show Locust's page of the load on this port meanwhile.")
def loadtest(
    url: str,
    scenario_name: str,
    duration: float | None,
    rate: float | None,
    out: Path,
    highest: bool,
    rows: Path | None,
    replay: Path | None,
    skip_unfit: bool,
    signature_url: str | None,
    model: str | None,
    seed: int,
    web_port: int | None,
) -> int:
    """Send a scenario to the server at URL (http:// or grpc://) and judge its answers by the scenario's objectives.

    Exits with 0 where they are kept, 10 where they are not, 11 where the data do not decide.
    """
    result = run_loadtest(
        url,
        _with_options(find_scenario(scenario_name), model, skip_unfit),
        out,
        source=Source(rows=rows, replay=replay, signature=signature_url),
        duration=duration,
        rate=rate,
        highest=highest,
        seed=seed,
        web_port=web_port,
    )
    _show(result)
    click.echo(f"{result.outcome.upper()}: {result.scenario} on {result.model}; {out / REPORT}")
    return EXIT_CODES[result.outcome]


def _with_options(scenario: Scenario, model: str | None, skip_unfit: bool) -> Scenario:
    if model is not None:
        scenario = msgspec.structs.replace(scenario, model=model)
    if skip_unfit and scenario.replay is not None:
        scenario = msgspec.structs.replace(scenario, replay=msgspec.structs.replace(scenario.replay, unfit="skip"))
    return scenario


def _show(result: Result) -> None:
    steps = result.highest.steps if result.highest else (result.step,)
    rows = [_HEAD, *(_cells(step) for step in steps)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    for reason, count in result.step.failures.items():
        click.echo(f"{count:,} failed: {reason}")
    for objective in result.step.objectives:
        click.echo(line(objective))
    if result.skipped:
        click.echo(f"rows: {result.rows}")
    if result.highest:
        click.echo(f"highest rate: {result.highest.why}")


_HEAD = ["asked/s", "got/s", "requests", "failed", "p50", "p95", "p99", "max", "outcome"]


def _cells(step: Step) -> list[str]:
    latency = step.latency
    quantiles = ("-" if ms is None else quantity_text(ms, "ms") for ms in (latency.p50, latency.p95, latency.p99, latency.max))
    rates = (f"{step.rate_asked:.1f}", f"{step.rate_got:.1f}")
    return [*rates, f"{step.requests:,}", f"{step.failed:,}", *quantiles, step.outcome]
