"""Steady caller traffic: `python -m canari.gate.callers --url URL --rate R --out FILE.ndjson`.

An open loop of real callers' requests: they never retry, are not marked synthetic, and go on while the server is down. Ends
after `--seconds`, or on SIGTERM or Ctrl-C: no request becomes due any more, those in flight are waited for, and each is recorded.
"""

# ruff: noqa: I001 - the generator first: Locust patches what the others import
from canari.gate.generator import load_user, send

import math
import signal
import sys
from pathlib import Path
from typing import Any

import click
import gevent

from canari.errors import CanariError
from canari.gate.arrivals import ARRIVALS
from canari.gate.rows import GENERATED, ask_signature, generate, read_csv, records


@click.command()
@click.option("--url", required=True, help="Whom to call.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), required=True, help="Requests a second.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the raw requests, one JSON line each.")
@click.option("--rows", type=click.Path(path_type=Path), help="CSV file of rows to send; else they are drawn from /signature.")
@click.option("--locustfile", type=click.Path(path_type=Path), help="What one call is; else one row to POST /predict.")
@click.option("--arrivals", type=click.Choice(sorted(ARRIVALS)), default="poisson", show_default=True)
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="How long; else until SIGTERM or Ctrl-C.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Seconds for one answer."
)
@click.option("--seed", type=int, default=0, show_default=True)
def callers(
    url: str,
    rate: float,
    out: Path,
    rows: Path | None,
    locustfile: Path | None,
    arrivals: str,
    seconds: float | None,
    timeout: float,
    seed: int,
) -> None:
    """Call a service steadily and record every request."""
    signature = ask_signature(url, timeout, patience=timeout)
    columns = generate(signature.inputs, GENERATED, seed) if rows is None else read_csv(rows, signature.inputs)
    user = load_user(locustfile)
    user.host = url.rstrip("/")
    user.rate = rate
    user.arrivals = arrivals
    user.timeout = timeout
    user.duration = math.inf if seconds is None else seconds
    user.seed = seed
    user.rows = records(columns)

    def stop_on_signals(stop: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, stop)

    send([user], out, ready=stop_on_signals)


def main() -> int:
    """Run the command; an error is one line on standard error."""
    try:
        callers.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CanariError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
