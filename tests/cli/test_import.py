"""`canari import` as a person and a script see it."""

import re
from pathlib import Path

import pytest

from canari.cli import main
from canari.errors import ExitCode

MODELS = Path(__file__).parents[2] / "models" / "diabetes"

pytestmark = pytest.mark.usefixtures("store")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["import", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_says_what_was_imported_and_how_well_it_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(MODELS / "diabetes-2.rds", "--version", "2") == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.startswith("diabetes:2  imported\n")
    assert "randomForest of R 4" in out
    assert "glu (integer, mg/dL)" in out
    assert "prediction (probability of Yes)" in out
    assert re.search(r"proof    332 \+ \d+ rows \(given \+ probes\), worst difference \S+, limit 1e-9", out)
    assert err == ""


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(MODELS / "diabetes-1.rds") == ExitCode.OK
    assert "warning: the file holds the rows that the model was fitted to" in capsys.readouterr().err


def test_a_second_time_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    run(MODELS / "diabetes-1.rds")
    assert run(MODELS / "diabetes-1.rds") == ExitCode.OK
    assert "nothing changed" in capsys.readouterr().out


def test_another_file_under_the_same_tag_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    run(MODELS / "diabetes-1.rds", "--name", "m", "--version", "1")
    assert run(MODELS / "diabetes-2.rds", "--name", "m", "--version", "1") == ExitCode.ERROR
    assert "canari: m:1 exists, made from another file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.rds"], ExitCode.USAGE, "no such file"),
        ([MODELS], ExitCode.USAGE, "is a directory"),
        ([MODELS / "train.R"], ExitCode.ERROR, "is no model file"),
        ([MODELS / "diabetes-1.rds", "--name", "A B"], ExitCode.USAGE, "name 'A B'"),
        ([], ExitCode.USAGE, "Missing argument 'FILE'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[object], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert "Traceback" not in err
