"""Rows against a signature: what is taken becomes the right arrays, what is not is refused by row and column."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import InputError
from canari.runtime.feeds import CellError, to_feeds
from canari.signature import MISSING, Input

NUMBER = Input(name="x", kind="number")
INTEGER = Input(name="x", kind="integer")
BOOLEAN = Input(name="x", kind="boolean")
CATEGORY = Input(name="x", kind="category", levels=("a", "b"))


def maybe(column: Input) -> Input:
    return Input(name=column.name, kind=column.kind, levels=column.levels, missing=True)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (NUMBER, [1.5, 2, -0.0], [1.5, 2.0, -0.0]),
        (NUMBER, [], []),
        (NUMBER, [2**60], [float(2**60)]),
        (maybe(NUMBER), [1.5, None, math.nan], [1.5, math.nan, math.nan]),
        (INTEGER, [1, -(2**53), 2**53, 3.0], [1.0, -(2.0**53), 2.0**53, 3.0]),
        (maybe(INTEGER), [1, None, math.nan], [1.0, math.nan, math.nan]),
        (BOOLEAN, [True, False], [1.0, 0.0]),
        (maybe(BOOLEAN), [True, None], [1.0, math.nan]),
    ],
)
def test_numbers_become_doubles_one_column_wide(column: Input, values: list[Any], expected: list[float]) -> None:
    array = to_feeds([column], {"x": values})["x"]
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, np.array(expected, np.float64).reshape(-1, 1))


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (CATEGORY, ["b", "a", "b"], ["b", "a", "b"]),
        (maybe(CATEGORY), ["b", None], ["b", MISSING]),
        (Input(name="x", kind="category"), ["anything", ""], ["anything", ""]),
    ],
)
def test_categories_stay_text(column: Input, values: list[Any], expected: list[str]) -> None:
    array = to_feeds([column], {"x": values})["x"]
    assert array.dtype == np.object_
    assert array.tolist() == [[level] for level in expected]


@pytest.mark.parametrize(
    ("column", "bad", "expected", "came"),
    [
        (NUMBER, "7", "a number", "'7'"),
        (NUMBER, True, "a number", "true"),
        (NUMBER, None, "a number", "a missing value"),
        (NUMBER, math.nan, "a number", "NaN"),
        (NUMBER, -math.inf, "a number", "-Inf"),
        (NUMBER, 10**400, "a number", "an integer beyond 2^53"),
        pytest.param(NUMBER, 10**5000, "a number", "an integer beyond 2^53", id="5000 digits"),
        (NUMBER, [1.0], "a number", "a list"),
        (maybe(NUMBER), math.inf, "a number or a missing value", "Inf"),
        (INTEGER, 2.5, "a whole number", "2.5"),
        (INTEGER, 2**53 + 1, "a whole number", "9007199254740993, which is beyond 2^53"),
        (INTEGER, 1e300, "a whole number", "1e+300"),
        (INTEGER, math.inf, "a whole number", "Inf"),
        (INTEGER, False, "a whole number", "false"),
        (BOOLEAN, 1, "true or false", "1"),
        (BOOLEAN, "TRUE", "true or false", "'TRUE'"),
        (CATEGORY, "c", "one of 'a', 'b'", "'c'"),
        (CATEGORY, MISSING, "one of 'a', 'b'", r"'\x1a'"),
        (CATEGORY, None, "one of 'a', 'b'", "a missing value"),
        (CATEGORY, {"a": 1}, "one of 'a', 'b'", "an object"),
        (CATEGORY, 1, "one of 'a', 'b'", "1"),
        (Input(name="x", kind="category"), 1, "a text", "1"),
    ],
)
def test_what_does_not_fit_is_named(column: Input, bad: Any, expected: str, came: str) -> None:
    good: dict[str, Any] = {"number": 1.0, "integer": 1, "boolean": True, "category": "a"}
    with pytest.raises(CellError) as error:
        to_feeds([column], {"x": [good[column.kind]] * 3 + [bad]})
    assert str(error.value) == f"row 3, column 'x': expected {expected}, came {came}"
    assert error.value.row == 3


def test_a_long_value_is_echoed_in_part() -> None:
    with pytest.raises(InputError) as error:
        to_feeds([NUMBER], {"x": ["y" * 10**6]})
    assert len(str(error.value)) < 120


def test_many_levels_are_listed_in_part() -> None:
    column = Input(name="x", kind="category", levels=tuple(f"level{i}" for i in range(200)))
    with pytest.raises(InputError, match="'level7' and 192 more, came 'other'"):
        to_feeds([column], {"x": ["other"]})


def test_an_absent_column_and_ragged_columns_are_named() -> None:
    other = Input(name="y", kind="number")
    with pytest.raises(InputError, match="column 'y' is missing: expected a number"):
        to_feeds([NUMBER, other], {"x": [1.0]})
    with pytest.raises(InputError, match="column 'y' has 1 values, column 'x' has 2"):
        to_feeds([NUMBER, other], {"x": [1.0, 2.0], "y": [1.0]})


def test_columns_that_are_no_input_are_ignored() -> None:
    assert list(to_feeds([NUMBER], {"x": [1.0], "z": ["?"]})) == ["x"]


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["a", "b"]), st.lists(st.none())
)


@given(
    kind=st.sampled_from([NUMBER, INTEGER, BOOLEAN, CATEGORY]),
    missing=st.booleans(),
    column=st.lists(values, max_size=4),
)
def test_rows_together_and_rows_alone_are_judged_alike(kind: Input, missing: bool, column: list[Any]) -> None:
    """The vectorised way and the way that looks at each value agree."""
    which = maybe(kind) if missing else kind

    def judge(some: list[Any]) -> list[Any] | None:
        try:
            return [row[0] for row in to_feeds([which], {"x": some})["x"].tolist()]
        except InputError:
            return None

    alone = [judge([value]) for value in column]
    together = judge(column)
    if together is None:
        assert None in alone
    else:
        assert list(map(repr, together)) == [repr(one[0]) for one in alone if one]
