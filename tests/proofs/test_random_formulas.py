"""A small sample of the random formulas, and whether the proof would notice a model that predicts otherwise."""

import shutil
from pathlib import Path

import pytest

from proofs import random_formulas
from proofs.random_formulas import Drawn, Found, difference, reason
from proofs.results import ProofError

pytestmark = [pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Rscript is not on the PATH)"), pytest.mark.r]
MODELS = 40


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Drawn]:
    folder = tmp_path_factory.mktemp("models")
    try:
        return random_formulas.draw(1_000_001, MODELS, random_formulas.library(folder / "library"), folder)
    except ProofError as error:
        if "there is no package called" in str(error):
            pytest.skip(f"needs a package of R: {error}")
        raise


def test_random_models_predict_what_r_predicts(drawn: list[Drawn]) -> None:
    found, wrong = Found("sample"), list[str]()
    for one in drawn:
        random_formulas.compare(one, found, wrong)
    assert not wrong
    assert sum(found.proved.values()) > 0.75 * MODELS
    assert len(found.proved) > 3  # kinds of answer
    assert found.rows > 1_000


def test_a_wrong_prediction_is_noticed(drawn: list[Drawn], tmp_path: Path) -> None:
    one = next(one for one in drawn if not one.refused)
    shutil.copy(one.path, tmp_path / one.path.name)
    header, *rows = one.path.with_suffix(".tsv").read_text().splitlines()
    place = next(i for i, row in enumerate(rows) if row.split("\t")[0] not in ("NA", "NaN"))
    first, *others = rows[place].split("\t")
    rows[place] = "\t".join([f"{float(first) * (1 + 1e-8) + 1e-8:.17g}", *others])
    (tmp_path / one.path.name).with_suffix(".tsv").write_text("\n".join([header, *rows]))
    with pytest.raises(ProofError, match="disagree"):
        difference(Drawn(one.seed, one.call, one.kind, 0.0, "", tmp_path / one.path.name))
    found, wrong = Found("sample"), list[str]()
    random_formulas.compare(Drawn(one.seed, one.call, one.kind, 0.0, "", tmp_path / one.path.name), found, wrong)
    assert wrong
    assert not found.refused


def test_refusals_are_counted_by_their_reason() -> None:
    unknown = "the function signif() in `signif(x, 2)` is not translated; compute the column before"
    assert reason(unknown) == "signif() is not translated"
    assert reason("`cut(x, 3)` chooses its breaks by the rows; give them") == "chooses its breaks by the rows"
