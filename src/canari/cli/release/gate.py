"""`canari release gate`: what the gate's Job runs in the cluster."""

import signal
from pathlib import Path

import click

from canari.cli.gate import show_verdict
from canari.cli.number import SECONDS
from canari.errors import ExitCode
from canari.gate.rules import load_rules
from canari.release import gate_job


@click.command()
@click.option("--model", required=True, help="Name of the Rollout.")
@click.option("--release", required=True, help="Pod template hash of the candidate.")
@click.option("--stable", required=True, help="Pod template hash of the stable version.")
@click.option("--baseline", required=True, help="Host of the fresh stable pod: EXPERIMENT-baseline.")
@click.option("--candidate", required=True, help="Host of the fresh candidate pod.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Where the pods serve HTTP.")
@click.option("--shadow", help="Host of the comparer of callers' requests, where there is one.")
@click.option("--rules", "rules_file", required=True, type=click.Path(path_type=Path), help="What to keep to, in YAML.")
@click.option(
    "--rows",
    "rows_file",
    type=click.Path(path_type=Path),
    help="CSV file of rows to send and to compare the predictions on; where no such file is, rows are drawn.",
)
@click.option("--duration", type=SECONDS, help="Seconds of load; else as the rules file says.")
@click.option(
    "--gates", type=click.IntRange(1), default=1, show_default=True, help="Of the release: they share its rate of false alarms."
)
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="`canari gate worker`s that send the load.")
@click.option("--port-for-workers", type=click.IntRange(1, 65535), default=5557, show_default=True, help="Where they come to.")
def gate(
    model: str,
    release: str,
    stable: str,
    baseline: str,
    candidate: str,
    port: int,
    shadow: str | None,
    rules_file: Path,
    rows_file: Path | None,
    duration: float | None,
    gates: int,
    workers: int,
    port_for_workers: int,
) -> int:
    """Measure a release in the cluster, and leave verdict and report in the ConfigMap MODEL-verdict.

    Runs in the gate's Job. Exits with 10 where the candidate fails, with 0 where it passes or the data do not decide: the
    verdict says which. Anything else means that there is no verdict.
    """
    signal.signal(signal.SIGTERM, _end)
    verdict = gate_job.run(
        gate_job.connect(),
        gate_job.Measurement(
            model=model, release=release, stable=stable, baseline=baseline, candidate=candidate, port=port, shadow=shadow
        ),
        load_rules(rules_file).lasting(duration).of(gates),
        rows_file if rows_file and rows_file.exists() else None,
        workers=workers,
        bind=f"0.0.0.0:{port_for_workers}",
    )
    show_verdict(verdict)
    return ExitCode.FAILED if verdict.outcome == "fail" else ExitCode.OK


def _end(_number: int, _frame: object) -> None:
    raise SystemExit("canari: terminated before there was a verdict")
