"""CSV in and out."""

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import InputError
from canari.model import Columns
from canari.runtime.tabular import read_csv, write_csv
from canari.signature import Input, Output

INPUTS = (
    Input(name="age", kind="number", missing=True),
    Input(name="visits", kind="integer"),
    Input(name="smoker", kind="boolean", missing=True),
    Input(name="exercise", kind="category", levels=("none", 'say "a lot"', "x,y"), missing=True),
)


def read(text: str, inputs: tuple[Input, ...] = INPUTS) -> Columns:
    return read_csv(io.StringIO(text, newline=""), inputs, "rows.csv").columns


def test_as_r_writes_it() -> None:
    text = (
        '"","age","visits","smoker","exercise"\r\n"1",1.5,1e+05,TRUE,"say ""a lot"""\r\n"2",NA,3,NA,NA\r\n"3",,3,FALSE,"x,y"\r\n'
    )
    table = read_csv(io.StringIO("\ufeff" + text, newline=""), INPUTS, "rows.csv")
    assert table.columns == {
        "age": [1.5, None, None],
        "visits": [100000, 3, 3],
        "smoker": [True, None, False],
        "exercise": ['say "a lot"', None, "x,y"],
    }
    assert table.ignored == ("",)
    assert len(table) == 3


def test_na_is_a_level_where_the_model_knows_it() -> None:
    inputs = (Input(name="x", kind="category", levels=("NA", ""), missing=True),)
    assert read('x\nNA\n""\n', inputs) == {"x": ["NA", ""]}


def test_columns_in_any_order_and_none_but_the_inputs() -> None:
    text = "extra,exercise,visits,smoker,age\n?,none,1,F,2\n"
    table = read_csv(io.StringIO(text), INPUTS, "rows.csv")
    assert table.columns == {"age": [2.0], "visits": [1.0], "smoker": [False], "exercise": ["none"]}
    assert table.ignored == ("extra",)


def test_a_header_alone_is_no_rows() -> None:
    table = read_csv(io.StringIO("age,visits,smoker,exercise"), INPUTS, "rows.csv")
    assert len(table) == 0


def test_a_column_of_its_own_may_hold_empty_lines() -> None:
    assert read("x\n1\n\n2\n", (Input(name="x", kind="number", missing=True),)) == {"x": [1.0, None, 2.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows.csv is empty: expected a header with age, visits"),
        ("age,exercise\n", "rows.csv: columns 'visits', 'smoker' missing; its header has age, exercise"),
        ("age,age,visits,smoker,exercise\n", "column 'age' is there 2 times"),
        ("age,visits,smoker,exercise\n1,2,T\n", "line 2: expected 4 cells as in the header, came 3"),
        ("age,visits,smoker,exercise\n1,2,T,none\n1,x,T,none\n", "line 3, column 'visits': expected a whole number, came 'x'"),
        ("age,visits,smoker,exercise\n1,,T,none\n", "line 2, column 'visits': expected a whole number, came a missing value"),
        ("age,visits,smoker,exercise\n1_0,1,T,none\n", "line 2, column 'age': expected a number or a missing value, came '1_0'"),
        ("age,visits,smoker,exercise\n1,2.5,T,none\n", "came 2.5"),
        ("age,visits,smoker,exercise\n1,2,yes,none\n", "expected true or false or a missing value, came 'yes'"),
        ("age,visits,smoker,exercise\n1,2,T,nothing\n", "column 'exercise': expected one of 'none'"),
        ("age,visits,smoker,exercise\nInf,2,T,none\n", "column 'age': expected a number or a missing value, came Inf"),
        ('age,visits,smoker,exercise\n1,2,T,"none\n', "line 2: unexpected end of data"),
        ('age,visits,smoker,exercise\n\n1,2,T,"x,y"\n1,2,T,"no\nne"\n', "line 4, column 'exercise'"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(text)
    assert message in str(error.value)


def test_predictions_class_first_then_a_column_a_label() -> None:
    outputs = (
        Output(name="probabilities", kind="probability", labels=("a b", 'c"')),
        Output(name="class", kind="class", labels=("a b", 'c"')),
    )
    predictions = {
        "class": np.array([["a b"], [None], ['c"']], object),
        "probabilities": np.array([[0.1, 0.9], [math.nan, math.nan], [1 / 3, 2 / 3]]),
    }
    file = io.StringIO()
    write_csv(file, outputs, predictions)
    assert file.getvalue() == (
        'class,a b,"c"""\na b,0.10000000000000001,0.90000000000000002\n,,\n"c""",0.33333333333333331,0.66666666666666663\n'
    )


@given(st.lists(st.floats()))
def test_numbers_come_back_as_the_same_doubles(values: list[float]) -> None:
    file = io.StringIO()
    write_csv(file, (Output(name="y", kind="number"),), {"y": np.array(values, np.float64).reshape(-1, 1)})
    header, *lines = csv.reader(io.StringIO(file.getvalue()))
    assert header == ["y"]
    found = [float(cell) if cell else math.nan for (cell,) in lines]
    np.testing.assert_array_equal(found, np.array(values, np.float64))
