"""`canari predict` from the command line."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from canari.cli import main
from canari.store import put
from tests.conftest import ROWS, make_toy, toy_probability

HEADER = "age,visits,smoker,exercise"
GOOD = f"{HEADER}\n30,2,TRUE,some\nNA,2,FALSE,none\n"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Predict = Callable[..., Done]


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Predict:
    """`canari predict` in this process."""

    def run(*arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as stop:
            main(["predict", *map(str, arguments)])
        return Done(int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*ROWS, "id"])
        for number, row in enumerate(zip(*ROWS.values(), strict=True)):
            writer.writerow(["" if v is None else v for v in row] + [number])
    return file


def test_one_line_a_row_in_order(predict: Predict, stored_toy: str, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = predict(stored_toy, rows, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert done.err == "canari: warning: ignored 'id': no inputs of toy:1\n"
    header, *lines = csv.reader(out.read_text().splitlines())
    assert header == ["prediction"]
    found = [float(line[0]) if line[0] else None for line in lines]
    assert found == [
        pytest.approx(toy_probability(*row), rel=1e-14) if row[0] is not None else None
        for row in zip(*ROWS.values(), strict=True)
    ]


def test_standard_input_to_standard_output(stored_toy: str) -> None:
    command = [sys.executable, "-m", "canari", "predict", stored_toy, "-"]
    done = subprocess.run(command, input=GOOD, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, 'prediction\n0.33458944125318602\n""\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n30,2,TRUE,some\n30,two,TRUE,some\n", "line 3, column 'visits': expected a whole number, came 'two'"),
        ("age,visits\n1,2\n", "columns 'smoker', 'exercise' missing"),
        (f"{HEADER}\n30,2,TRUE,much\n", "line 2, column 'exercise': expected one of 'none', 'some', 'a lot', came 'much'"),
    ],
)
def test_bad_rows_leave_the_old_output_alone(predict: Predict, stored_toy: str, tmp_path: Path, text: str, message: str) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_text(text)
    out.write_text("before")
    done = predict(stored_toy, rows, "--out", out)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert out.read_text() == "before"
    assert not list(tmp_path.glob(".out.csv*"))


def test_what_is_not_there_is_said(predict: Predict, stored_toy: str, rows: Path, tmp_path: Path) -> None:
    for arguments, code, message in (
        (("nobody:1", rows), 2, "no model nobody:1 in the store; there is: toy:1"),
        (("toy", rows), 2, "'toy': expected NAME:VERSION"),
        ((stored_toy, tmp_path / "none.csv"), 2, "No such file"),
        ((stored_toy, rows, "--out", tmp_path / "no" / "out.csv"), 1, "No such file"),
    ):
        done = predict(*arguments)
        assert (done.code, message in done.err) == (code, True), done.err


def test_latin_1_is_refused(predict: Predict, stored_toy: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(f"{HEADER}\n30,2,TRUE,m\xfcch\n".encode("latin-1"))
    done = predict(stored_toy, rows)
    assert done.code == 2
    assert "is not UTF-8" in done.err


def test_an_unproved_model_is_said_to_be_one(predict: Predict, store: Path, tmp_path: Path) -> None:
    put(make_toy(version="2", proved=False))
    rows = tmp_path / "rows.csv"
    rows.write_text(GOOD)
    done = predict("toy:2", rows)
    assert done.code == 0
    assert "toy:2 is UNPROVED" in done.err
    assert "UNPROVED" not in done.out
