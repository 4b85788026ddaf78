"""A bundle that is not whole is refused by the field that is wrong; needs no R."""

import copy
from pathlib import Path

import numpy as np
import pytest

from canari.errors import IntakeError
from canari.intake import rds
from canari.intake.r.bundle import read_bundle
from canari.intake.rds import NA_INTEGER, RObject

MODELS = Path(__file__).parents[3] / "models" / "diabetes"


@pytest.fixture
def root() -> RObject:
    return rds.read((MODELS / "diabetes-1.rds").read_bytes())


def changed(root: RObject, name: str, value: RObject | None) -> RObject:
    """The bundle with another field, or without it."""
    fields = {key: item for key, item in root.items() if key != name} | ({} if value is None else {name: value})
    attributes = dict(root.attributes) | {"names": RObject("character", list(fields))}
    return RObject("list", list(fields.values()), attributes)


def text(*values: str | None) -> RObject:
    return RObject("character", list(values))


def numbers(*values: float) -> RObject:
    return RObject("double", np.array(values, float))


def frame(**columns: RObject) -> RObject:
    return RObject("list", list(columns.values()), {"names": text(*columns), "class": text("data.frame")})


def test_a_whole_bundle_is_read(root: RObject) -> None:
    bundle = read_bundle(root)
    assert bundle.name == "diabetes"
    assert bundle.labels == ("Yes",)
    assert bundle.rows["glu"].kind == "integer"
    assert bundle.rows["bmi"].kind == "number"
    assert bundle.units["glu"] == "mg/dL"
    assert set(bundle.metrics) >= {"auc"}
    assert sum(not probe for probe in bundle.probe) == 332  # MASS::Pima.te


@pytest.mark.parametrize("field", ["format", "model", "rows", "probe", "predictions", "type"])
def test_a_field_that_is_not_there_is_named(field: str, root: RObject) -> None:
    with pytest.raises(IntakeError, match=field):
        read_bundle(changed(root, field, None))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", numbers(2), "'format' is 2; this canari reads format 1"),
        ("format", text("1"), "'format' is character"),
        ("rows", numbers(1, 2), "'rows' is no data frame"),
        ("rows", frame(), "'rows' has no columns"),
        ("rows", frame(a=numbers(), b=numbers()), "or no rows"),
        ("rows", frame(a=numbers(1), b=numbers(1, 2)), "different lengths"),
        ("predictions", frame(prediction=numbers(0.5)), "'predictions' has 1 rows, its 'rows' has "),
        (
            "predictions",
            frame(prediction=RObject("complex", np.array([1j]))),
            "'prediction' of the bundle's 'predictions' is of type complex",
        ),
        ("probe", RObject("logical", np.array([1], np.int32)), "'probe'"),
        ("type", text("guess"), "'type' is 'guess'"),
        ("type", numbers(1), "'type' is no text"),
        ("labels", numbers(1), "'labels'"),
        ("name", text(None), "'name'"),
        ("metrics", text("high"), "'metrics'"),
        ("metrics", numbers(1), "'metrics'"),
        ("arguments", numbers(1), "'arguments'"),
        ("units", numbers(1), "'units'"),
        ("created", numbers(1), "'created'"),
    ],
)
def test_a_field_of_another_kind_is_named(field: str, value: RObject, message: str, root: RObject) -> None:
    with pytest.raises(IntakeError, match=message):
        read_bundle(changed(root, field, value))


def test_a_probe_that_is_na_is_refused(root: RObject) -> None:
    probe = copy.copy(root.require("probe"))
    probe.value = probe.value.copy()
    probe.value[3] = NA_INTEGER
    with pytest.raises(IntakeError, match="'probe'"):
        read_bundle(changed(root, "probe", probe))


def test_a_preprocess_function_is_refused_with_a_way_out(root: RObject) -> None:
    with pytest.raises(IntakeError, match="'preprocess' function, which is not translated yet: put it into the formula"):
        read_bundle(changed(root, "preprocess", RObject("closure")))


def test_a_damaged_factor_is_refused(root: RObject) -> None:
    n = len(root.require("probe").value)
    factor = RObject("integer", np.full(n, 3, np.int32), {"levels": text("a", "b"), "class": text("factor")})
    with pytest.raises(IntakeError, match="'g' of the bundle's 'rows' is a damaged factor"):
        read_bundle(changed(root, "rows", frame(g=factor)))


def test_a_level_that_means_missing_is_refused(root: RObject) -> None:
    n = len(root.require("probe").value)
    with pytest.raises(IntakeError, match="stands for a missing value"):
        read_bundle(changed(root, "rows", frame(g=text(*["\x1a"] * n))))


@pytest.mark.parametrize("column", [RObject("complex", np.array([1j])), RObject("list", [RObject("NULL")])])
def test_a_column_of_another_type_is_named(column: RObject, root: RObject) -> None:
    column.value = [*column.value] * len(root.require("probe").value)
    with pytest.raises(IntakeError, match=r"'z' of the bundle's 'rows' is of type (complex|list)"):
        read_bundle(changed(root, "rows", frame(z=column)))
