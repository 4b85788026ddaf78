"""The gate does not lie: how often it fails an unchanged model, and how often it passes a broken one.

    python -m proofs.gate                        all of it, one after the other
    python -m proofs.gate record [--minutes 20]  latencies of real servers, without and with a noisy neighbour
    python -m proofs.gate simulate               a thousand releases drawn from them, and every fault
    python -m proofs.gate compare                what Kayenta, a plain threshold and closed-loop Locust say of the same requests
    python -m proofs.gate real                   fifty releases of an unchanged model against real servers, and the faults

Each goes on where it was interrupted, and writes what it found into docs/verdict.md. Simulations begin anew where what judges,
the rules or the traces have changed; traces and real gates are kept in out/proofs/gate. Measure on a machine that does nothing
else.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from canari.errors import CanariError
from canari.gate.rules import load_rules
from proofs.gate import real, report
from proofs.gate.faults import FAULTS
from proofs.gate.recording import kinds, record
from proofs.gate.simulation import GATES, Plan, compare_all, simulate
from proofs.results import ProofError

NOISY = "noisy"
COMMANDS = ("record", "simulate", "compare", "real")


def main() -> None:
    """Run what was asked for; ends with 1 where the gate does not keep what it promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="else all, in this order")
    parser.add_argument("--minutes", type=float, default=20, help="of traces, of each kind (%(default)s)")
    parser.add_argument(
        "--kinds",
        nargs="+",
        help=f"of traces: {NOISY!r} has a noisy neighbour, any other name has none (quiet and noisy; all recorded)",
    )
    parser.add_argument("--releases", type=int, default=1_000, help="that are simulated without a fault (%(default)s)")
    parser.add_argument("--runs", type=int, default=300, help="gates that are simulated with each fault (%(default)s)")
    parser.add_argument(
        "--rules", nargs="+", default=["strict", "release"], help="whose false alarms are simulated (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, help="of each simulated gate; else as its rules say")
    parser.add_argument("--real", type=int, default=50, help="real releases (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="real gates with each fault (%(default)s)")
    parser.add_argument("--real-seconds", type=float, default=60, help="of each gate of a real release (%(default)s)")
    parser.add_argument("--at-once", type=int, default=1, help="real releases at the same time (%(default)s)")
    chosen = parser.parse_args()
    try:
        for command in [chosen.command] if chosen.command else COMMANDS:
            _run(command, chosen)
    except CanariError as error:
        sys.exit(f"not proved: {error}")
    report.write()
    if wrong := report.shortfalls():
        sys.exit("\n".join(["not proved:", *wrong]))


def _run(command: str, chosen: argparse.Namespace) -> None:
    match command:
        case "record":
            for kind in chosen.kinds or ("quiet", NOISY):
                record(kind, chosen.minutes, noisy=kind == NOISY)
        case "simulate":
            for plan in _plans(chosen):
                simulate(plan, chosen.runs if plan.fault else chosen.releases, _state("simulated", plan))
        case "compare":
            for plan in _plans(chosen):
                if plan.rules == chosen.rules[0]:
                    compare_all(plan, chosen.runs, _state("compared", plan))
        case "real":
            real.prove(chosen.real, chosen.repeats, chosen.real_seconds, report.STATE / "real.json", chosen.at_once)


def _plans(chosen: argparse.Namespace) -> list[Plan]:
    """With each fault on the first kind of traces by the first rules; without one on all traces by all rules."""
    recorded = chosen.kinds or sorted(kinds(), key=report.order)
    if not recorded:
        raise ProofError("there are no traces; record them first: python -m proofs.gate record")
    seconds = {rules: chosen.seconds or load_rules(GATES / f"{rules}.yaml").duration_s for rules in chosen.rules}
    clean = [Plan(kind=kind, rules=rules, seconds=seconds[rules]) for rules in chosen.rules for kind in recorded]
    return [clean[0], *(msgspec.structs.replace(clean[0], fault=fault) for fault in FAULTS), *clean[1:]]


def _state(folder: str, plan: Plan) -> Path:
    return report.STATE / folder / f"{plan.name}.json"


if __name__ == "__main__":
    main()
