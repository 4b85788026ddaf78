"""The command line: one file a command, no logic of its own.

A command's module is imported only when it runs, so that `canari --help` needs none of the extras.
"""

import os
import sys
from collections.abc import Sequence

import click

from canari import __version__
from canari.cli.lazy import LazyGroup
from canari.errors import CanariError, ExitCode

_COMMANDS = {
    "gate": "canari.cli.gate:gate",
    "import": "canari.cli.import_:import_",
    "loadtest": "canari.cli.loadtest:loadtest",
    "models": "canari.cli.models:models",
    "predict": "canari.cli.predict:predict",
    "rehearse": "canari.cli.rehearse:rehearse",
    "release": "canari.cli.release:release",
    "serve": "canari.cli.serve:serve",
    "show": "canari.cli.show:show",
}


@click.group(cls=LazyGroup, members=_COMMANDS)
@click.version_option(__version__, prog_name="canari")
def cli() -> None:
    """Take a fitted R or scikit-learn model into production: proved, load-tested, released as a canary."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 an error, 2 wrong usage, 10 failed or rolled back, 11 inconclusive."""
    # BentoML reads this at import; only "true" is understood by its 1.4 releases.
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    try:
        code = cli.main(arguments, standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = 130  # what a shell reports after Ctrl-C
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except CanariError as error:
        click.echo(f"canari: {error}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.ERROR
    sys.exit(int(code or 0))
