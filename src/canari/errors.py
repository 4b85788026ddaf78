"""The errors that a person sees: one sentence, no traceback, and an exit code that scripts can rely on."""

import enum


class ExitCode(enum.IntEnum):
    """What every canari command exits with."""

    OK = 0  # promoted, passed, done
    ERROR = 1  # an error of ours or the surroundings'
    USAGE = 2  # wrong usage
    FAILED = 10  # rolled back, gate failed
    INCONCLUSIVE = 11  # the data do not decide


class CanariError(Exception):
    """An error with a message for the person; the command line prints it and exits with `exit_code`."""

    exit_code = ExitCode.ERROR


class UsageError(CanariError):
    """The command was given something that it cannot mean: an unknown model, a name that is not allowed."""

    exit_code = ExitCode.USAGE


class IntakeError(CanariError):
    """A model file that cannot be read, translated or proved."""


class InputError(CanariError):
    """Rows that do not fit a model's signature; the message names row, column, what was expected and what came."""

    exit_code = ExitCode.USAGE
