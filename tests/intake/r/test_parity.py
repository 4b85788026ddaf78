"""Every kind of model that is supported predicts what R predicts: the limit is 1e-9, what is reached 1e-12."""

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from canari.errors import IntakeError
from canari.intake import rds
from canari.intake.proof import prove
from canari.intake.r import read_r
from canari.intake.r.classes import SUPPORTED
from canari.intake.translation import Fitted
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from canari.signature import Signature
from tests.intake.conftest import Fit
from tests.intake.fitting import SCRIPTS


def written_in(scripts: str, function: str) -> list[tuple[str, str]]:
    """The names of the models that the scripts make, each with its script."""
    return [
        (script.stem, name)
        for script in sorted(SCRIPTS.glob(scripts))
        for name in re.findall(rf'^ *(?:{function})\("([^"]+)"', script.read_text(), re.MULTILINE)
    ]


def parameters(models: list[tuple[str, str]]) -> list[ParameterSet]:
    """A few classes are tested with everything else, all of them where R's own tests are."""
    return [pytest.param(*model, marks=[] if model[0] in _WITH_EVERYTHING else pytest.mark.r) for model in models]


_WITH_EVERYTHING = ("glm", "random_forest", "refused")
MODELS = written_in("*.R", "linear|generalized|forest|write_model|saved")
REFUSED = written_in("*.R", "refused")
REACHED = 1e-12


def read(path: Path) -> tuple[Fitted, Signature]:
    data = path.read_bytes()
    fitted = read_r(data, hashlib.sha256(data).hexdigest())
    translation = fitted.translation
    signature = Signature(name="model", version="1", inputs=translation.inputs, outputs=translation.outputs, source=fitted.source)
    return fitted, signature


def columns_of(path: Path) -> dict[str, list[str]]:
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.r
def test_there_are_models_of_every_class(fit: Fit) -> None:
    found = {tuple(rds.read((fit(script) / f"{name}.rds").read_bytes()).require("model").classes) for script, name in MODELS}
    assert set(SUPPORTED) - found == set()


@pytest.mark.parametrize(("script", "name"), parameters(MODELS))
def test_predicts_what_r_wrote_down(script: str, name: str, fit: Fit) -> None:
    model, signature = read(fit(script) / f"{name}.rds")
    assert model.checks is not None
    proof = prove(signature, model.translation, model.checks)
    assert proof.worst <= REACHED
    assert proof.worst_evaluator <= REACHED
    # R's own text of its predictions, which our reader of .rds has no part in.
    expected = columns_of(fit(script) / f"{name}.tsv")
    predictions = OnnxRuntime(signature, model.translation.onnx).predict(to_feeds(signature.inputs, model.checks.rows))
    found = {
        column: predictions[output.name][:, i].tolist() for output in signature.outputs for i, column in enumerate(output.columns)
    }
    assert list(found) == list(expected)
    for column, texts in expected.items():
        if column == "class":
            different = sum(
                ours != (None if theirs == "NA" else theirs) for ours, theirs in zip(found[column], texts, strict=True)
            )
            assert different <= proof.ties
            continue
        theirs = np.array([np.nan if text in ("NA", "NaN") else float(text) for text in texts])
        np.testing.assert_array_equal(np.isnan(theirs), np.isnan(found[column]))
        np.testing.assert_allclose(found[column], theirs, rtol=REACHED, atol=REACHED)


def test_missing_values_are_answered_where_r_answers_them(fit: Fit) -> None:
    fitted = fit("random_forest")
    formula, _ = read(fitted / "rf-factors.rds")
    matrix, _ = read(fitted / "rf-factors-xy.rds")
    assert {column.missing for column in formula.translation.inputs} == {True}
    assert {column.missing for column in matrix.translation.inputs} == {False}


def test_ties_are_counted_and_lie_among_the_tied_classes(fit: Fit) -> None:
    model, signature = read(fit("random_forest") / "rf-even-ties.rds")
    assert model.checks is not None
    assert prove(signature, model.translation, model.checks).ties > 10


def test_only_the_columns_of_the_formula_are_inputs(fit: Fit) -> None:
    model, _ = read(fit("lm") / "lm-more-columns.rds")
    assert [column.name for column in model.translation.inputs] == ["wt"]
    assert model.checks is not None
    assert list(model.checks.rows) == ["wt"]


def test_the_model_s_levels_come_first_and_shares_are_of_the_person_s_rows(fit: Fit) -> None:
    model, _ = read(fit("lm") / "lm-three-factors.rds")
    wool, tension = model.translation.inputs
    assert wool.levels == ("A", "B")
    assert tension.levels == ("L", "M", "H")
    assert tension.shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_range_leaves_out_the_probes(fit: Fit) -> None:
    model, _ = read(fit("lm") / "lm-single.rds")
    assert model.translation.inputs[0].range == (1.513, 5.424)


@pytest.mark.parametrize(("script", "name"), parameters(REFUSED))
def test_refuses_by_name_what_is_not_translated(script: str, name: str, fit: Fit) -> None:
    refused = fit(script) / "refused"
    with pytest.raises(IntakeError, match=re.escape((refused / f"{name}.txt").read_text().strip())):
        read(refused / f"{name}.rds")


@pytest.mark.parametrize("name", ["lm", "glm", "forest", "factors"])
def test_a_bare_model_is_read_without_checks(name: str, fit: Fit) -> None:
    model, signature = read(fit("bare") / f"{name}.rds")
    assert model.checks is None
    OnnxRuntime(signature, model.translation.onnx)


def test_a_bare_model_tells_kinds_and_levels(fit: Fit) -> None:
    model, _ = read(fit("bare") / "factors.rds")
    ordered, text, number = model.translation.inputs
    assert (ordered.name, ordered.levels) == ("carb_o", ("1", "2", "3", "4"))
    assert (text.name, text.levels) == ("maker", ("H", "M", "T", "other"))
    assert (number.kind, number.missing) == ("number", True)


def test_what_a_file_drags_along_is_told(fit: Fit) -> None:
    model, _ = read(fit("lm") / "lm-function-environment.rds")
    rows, function = model.translation.warnings
    assert "32 rows" in rows
    assert "personal data" in rows
    assert "noise (7 kB), data (" in function
    assert "personal data" in function
