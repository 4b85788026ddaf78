"""`canari rehearse`: the whole canary on this machine."""

from pathlib import Path

import click
from rich.console import Console

from canari.cli.number import POSITIVE, Number
from canari.gate.verdict import EXIT_CODES
from canari.project import project_directory
from canari.rehearsal.plan import load_plan
from canari.rehearsal.rehearse import Settings
from canari.rehearsal.rehearse import rehearse as run_rehearsal
from canari.rehearsal.report import print_summary, write_report
from canari.rehearsal.view import View
from canari.signature import parse_tag

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--stable", required=True, metavar="NAME:VERSION", help="The version that answers callers now.")
@click.option("--candidate", required=True, metavar="NAME:VERSION", help="The version to release.")
@click.option("--rules", type=_FILE, help="The gate's rules [default: the project's loadtests/gates/release.yaml].")
@click.option("--plan", type=_FILE, help="The Rollout whose steps are followed [default: the project's k8s/base/rollout.yaml].")
@click.option(
    "--time-scale",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    help="How many times faster than the plan: pauses and gates are that much shorter.",
)
@click.option(
    "--candidate-command",
    metavar="CMD",
    help="Start this (a shell command) instead of the candidate's server; {http_port} and {grpc_port} are replaced.",
)
@click.option("--caller-rate", type=Number(1, 100_000), default=50.0, show_default=True, help="The callers' requests per second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/rehearsal"),
    show_default=True,
    help="Where verdict.json, report.html, junit.xml, summary.md and all that was recorded go.",
)
def rehearse(
    stable: str,
    candidate: str,
    rules: Path | None,
    plan: Path | None,
    time_scale: float,
    candidate_command: str | None,
    caller_rate: float,
    seed: int,
    out: Path,
) -> int:
    """Rehearse a release: two servers, a real Envoy, callers, the gate, the verdict, a report.

    Exits with 0 when the candidate was promoted, 10 when it was rolled back, 11 when a gate was inconclusive.
    """
    for tag in (stable, candidate):
        parse_tag(tag)
    settings = Settings(
        stable=stable,
        candidate=candidate,
        plan=load_plan(plan or project_directory() / "k8s/base/rollout.yaml"),
        rules=rules or project_directory() / "loadtests/gates/release.yaml",
        out=out,
        time_scale=time_scale,
        candidate_command=candidate_command,
        caller_rate=caller_rate,
        seed=seed,
    )
    console = Console()
    view = View(console, f"{candidate} in place of {stable}", settings.plan.steps)
    rehearsal = run_rehearsal(settings, view)
    report = write_report(rehearsal, out)
    print_summary(rehearsal, console)
    console.print(f"report: {report}", soft_wrap=True)
    return EXIT_CODES[rehearsal.verdict.outcome]
