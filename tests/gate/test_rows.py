"""Rows drawn from a signature fit it, and a CSV file is read by its kinds or refused by line and column."""

from pathlib import Path

import numpy as np
import pytest

from canari.errors import InputError
from canari.gate.rows import generate, read_csv, records
from canari.runtime.feeds import to_feeds
from canari.signature import Input

INPUTS = (
    Input(name="age", kind="number", range=(21.5, 80.0), missing=True),
    Input(name="visits", kind="integer", range=(-2, 12)),
    Input(name="smoker", kind="boolean"),
    Input(name="exercise", kind="category", levels=("none", "some", "a lot"), shares=(0.2, 0.5, 0.3)),
)


def test_drawn_rows_fit_the_signature_and_its_shares() -> None:
    columns = generate(INPUTS, 4000, seed=1)
    to_feeds(INPUTS, columns)  # the service's own check
    ages = np.array([age for age in columns["age"] if age is not None], float)
    assert 21.5 <= ages.min() < 22
    assert 79 < ages.max() <= 80
    assert {type(v) for v in columns["visits"]} == {int}
    assert set(columns["visits"]) == set(range(-2, 13))
    assert 0.45 < columns["exercise"].count("some") / 4000 < 0.55
    assert 0 < columns["age"].count(None) < 200
    assert generate(INPUTS, 4000, seed=1) == columns != generate(INPUTS, 4000, seed=2)


def test_a_csv_file_is_read_by_kinds(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('exercise,more,age,visits,smoker\n"a lot",x,21.5,3,TRUE\nnone,,,4.0,FALSE\nsome,,NA,0,true\n')
    assert records(read_csv(path, INPUTS)) == [
        {"age": 21.5, "visits": 3, "smoker": True, "exercise": "a lot"},
        {"age": None, "visits": 4, "smoker": False, "exercise": "none"},
        {"age": None, "visits": 0, "smoker": True, "exercise": "some"},
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"age,visits,smoker,exercise\n", "rows.csv: has no rows"),
        (b"", "rows.csv is empty"),
        (b"age,visits,smoker\n1,2,TRUE\n", "'exercise'"),
        (b"age,visits,smoker,exercise\n1,2,TRUE,none\nold,2,TRUE,none\n", "line 3, column 'age'"),
        (b"age,visits,smoker,exercise\n1,2.5,TRUE,none\n", "line 2, column 'visits'"),
        (b"age,visits,smoker,exercise\n1,2,TRUE,other\n", "line 2, column 'exercise'"),
        (b"age\n\xff\xfe\n", "not UTF-8"),
    ],
)
def test_a_wrong_csv_file_is_refused_with_its_place(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_csv(path, INPUTS)
    assert says in str(error.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_csv(tmp_path, INPUTS)
