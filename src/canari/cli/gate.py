"""`canari gate`: measure two running versions side by side."""

from pathlib import Path

import click

from canari.errors import UsageError
from canari.gate.rules import load_rules
from canari.gate.run import run_gate
from canari.gate.verdict import EXIT_CODES, line


@click.group()
def gate() -> None:
    """Judge a candidate beside a baseline."""


def _url(_context: click.Context, option: click.Parameter, value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise UsageError(f"--{option.name}: expected a URL such as http://127.0.0.1:3000, came {value!r}")
    return value.rstrip("/")


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
) -> int:
    """Send the same load to both servers in the same seconds and judge the candidate.

    Exits with 0 where it passes, 10 where it fails, 11 where the data do not decide.
    """
    verdict = run_gate(
        baseline,
        candidate,
        load_rules(rules_file).lasting(duration),
        out,
        rows_file=rows,
        seed=seed,
        baseline_name=baseline_name,
        candidate_name=candidate_name,
    )
    for result in verdict.rules:
        click.echo(line(result))
    click.echo(
        f"{verdict.outcome.upper()}: {verdict.candidate.name} beside {verdict.baseline.name}; predictions {verdict.predictions}"
    )
    return EXIT_CODES[verdict.outcome]
