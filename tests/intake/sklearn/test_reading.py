"""What can be read, what needs trust, what is refused; and what a saved file says of itself."""

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
import sklearn
import sklearn.compose
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, gaussian_process, linear_model, neighbors, preprocessing, svm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline

from canari.errors import IntakeError, UsageError
from canari.intake.sklearn import read_sklearn, save_model
from canari.runtime.feeds import to_feeds
from tests.intake.sklearn.parity import assert_same, read, runtime

IRIS = load_iris(as_frame=True)
ROWS = IRIS.data
SPECIES = IRIS.target_names[IRIS.target]


def iris_model() -> Any:
    return make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(ROWS, SPECIES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "iris.skops"
    save_model(iris_model(), ROWS, path, name="iris", metrics={"accuracy": 0.97}, units={ROWS.columns[0]: "cm"})
    return path


def test_a_saved_file_says_what_it_is(saved: Path) -> None:
    fitted = read(saved)
    assert fitted.name == "iris"
    assert fitted.source.language == "scikit-learn"
    assert fitted.source.version == sklearn.__version__
    assert fitted.source.model_class == "Pipeline(StandardScaler, LogisticRegression)"
    assert fitted.source.metrics == {"accuracy": 0.97}
    assert fitted.source.packages["numpy"] == np.__version__
    first = fitted.translation.inputs[0]
    assert (first.name, first.kind, first.unit, first.range) == ("sepal length (cm)", "number", "cm", (4.3, 7.9))
    answers = [(o.name, o.kind, o.labels) for o in fitted.translation.outputs]
    labels = ("setosa", "versicolor", "virginica")
    assert answers == [("class", "class", labels), ("probabilities", "probability", labels)]
    assert fitted.translation.warnings == ()


def test_a_saved_file_is_small_and_alone(saved: Path) -> None:
    assert saved.stat().st_size < 100_000
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_check_rows_are_the_persons_and_probes(saved: Path) -> None:
    checks = read(saved).checks
    assert checks is not None
    given = checks.given()
    assert given[ROWS.columns[0]] == ROWS.iloc[:, 0].tolist()
    assert sum(checks.probe) >= 25
    values = checks.rows[ROWS.columns[1]]
    assert min(values) < ROWS.iloc[:, 1].min()  # type: ignore[type-var]
    assert max(values) > ROWS.iloc[:, 1].max()  # type: ignore[type-var]
    assert checks.predictions["class"][:150] == iris_model().predict(ROWS).tolist()


def test_the_same_model_is_saved_with_the_same_probes(saved: Path, tmp_path: Path) -> None:
    save_model(iris_model(), ROWS, tmp_path / "again.skops")
    assert read(tmp_path / "again.skops").checks == read(saved).checks


def test_probes_hold_every_level_and_a_missing_value(tmp_path: Path) -> None:
    rows = pd.DataFrame({"k": ["x", "y", "x", "y"] * 5, "n": np.arange(20.0)})
    encoder = preprocessing.OneHotEncoder(categories=[["x", "y", "never seen"]], handle_unknown="ignore")
    model = make_pipeline(
        sklearn.compose.make_column_transformer((encoder, ["k"]), ("passthrough", ["n"])),
        ensemble.RandomForestRegressor(5, random_state=0),
    ).fit(rows, np.arange(20.0))
    save_model(model, rows, tmp_path / "m.skops")
    fitted = read(tmp_path / "m.skops")
    assert_same(fitted)
    assert fitted.checks is not None
    assert {"x", "y", "never seen", None} == set(fitted.checks.rows["k"])
    assert None in fitted.checks.rows["n"]
    assert fitted.translation.inputs[0].levels == ("x", "y", "never seen")


def test_missing_values_that_the_model_refuses_are_not_in_the_signature(saved: Path) -> None:
    fitted = read(saved)
    assert not any(column.missing for column in fitted.translation.inputs)


def test_a_bare_skops_file_has_no_checks(tmp_path: Path) -> None:
    path = tmp_path / "bare.skops"
    model = iris_model()
    path.write_bytes(skops.io.dumps(model))
    fitted = read(path)
    assert fitted.checks is None
    assert "no rows" in fitted.translation.warnings[0]
    feeds = to_feeds(fitted.translation.inputs, {str(name): ROWS[name].tolist() for name in ROWS})
    np.testing.assert_allclose(runtime(fitted).predict(feeds)["probabilities"], model.predict_proba(ROWS), atol=1e-12)


def test_a_model_of_an_array_names_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "bare.skops"
    path.write_bytes(skops.io.dumps(linear_model.Ridge().fit(ROWS.to_numpy(), IRIS.target)))
    assert [column.name for column in read(path).translation.inputs] == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize("form", ["pickle", "joblib", "joblib compressed"])
def test_a_pickle_needs_trust(form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    if form == "pickle":
        path.write_bytes(pickle.dumps(iris_model()))
    else:
        joblib.dump(iris_model(), path, compress=3 if "compressed" in form else 0)
    with pytest.raises(IntakeError, match=r"a pickle can run code.*--trust.*save_model"):
        read(path)
    assert read(path, trust=True).source.model_class == "Pipeline(StandardScaler, LogisticRegression)"


class Exploit:
    """Its reading would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def test_an_untrusted_pickle_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "proof"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Exploit(target)))
    with pytest.raises(IntakeError):
        read(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists()


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of the person's own."""

    def fit(self, X: Any, y: Any = None) -> "Doubled":
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X * 2


def test_types_that_skops_does_not_know_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.skops"
    path.write_bytes(skops.io.dumps(make_pipeline(Doubled(), linear_model.Ridge()).fit(ROWS, IRIS.target)))
    with pytest.raises(IntakeError, match=r"Doubled; if the file is yours, pass --trust"):
        read(path)
    with pytest.raises(IntakeError, match=r"transformer .*Doubled is not supported; supported are .*StandardScaler"):
        read(path, trust=True)


class Careless(linear_model.Ridge):  # type: ignore[misc]
    """A subclass that predicts something else."""

    def predict(self, X: Any) -> Any:
        return super().predict(X) + 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (neighbors.KNeighborsRegressor(), "regressor .*KNeighborsRegressor is not supported; supported are .*Ridge"),
        (gaussian_process.GaussianProcessRegressor(), "GaussianProcessRegressor is not supported"),
        (Careless(), "Careless is not supported"),
        (make_pipeline(preprocessing.QuantileTransformer(n_quantiles=20), linear_model.Ridge()), "QuantileTransformer"),
        (make_pipeline(preprocessing.SplineTransformer(extrapolation="linear"), linear_model.Ridge()), "extrapolation='linear'"),
        (
            make_pipeline(preprocessing.FunctionTransformer(np.arcsinh), linear_model.Ridge()),
            "arcsinh.*it may use numpy.absolute",
        ),
        (ensemble.GradientBoostingRegressor(init=linear_model.Ridge(), n_estimators=2), "init=Ridge"),
        (svm.SVC(probability=True), "probability=True"),
        (make_pipeline(preprocessing.StandardScaler(), preprocessing.MinMaxScaler()), "neither a classifier nor a regressor"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_cannot_be_translated_is_refused_by_name(model: Any, message: str, tmp_path: Path) -> None:
    model.fit(ROWS, IRIS.target)
    with pytest.raises(IntakeError, match=message):
        save_model(model, ROWS, tmp_path / "m.skops")
    assert list(tmp_path.iterdir()) == []


def test_several_targets_are_refused(tmp_path: Path) -> None:
    two = np.column_stack([IRIS.target, IRIS.target])
    for model in (linear_model.Ridge(), ensemble.RandomForestRegressor(3), ensemble.RandomForestClassifier(3)):
        with pytest.raises(IntakeError, match="several columns at once"):
            save_model(model.fit(ROWS, two), ROWS, tmp_path / "m.skops")


def test_another_version_of_scikit_learn_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.pkl"
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.6.1")
        path.write_bytes(pickle.dumps(iris_model()))
    fitted = read(path, trust=True)
    assert fitted.source.version == "1.6.1"
    assert any("written with scikit-learn 1.6.1" in note for note in fitted.translation.warnings)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.iloc[:0], "at least one row"),
        (ROWS.iloc[:, :3], "fitted on a column 'petal width"),
        (ROWS.assign(**{ROWS.columns[2]: pd.Timestamp("2026-01-01")}), "expected numbers, booleans or text, found Timestamp"),
        (ROWS.assign(**{ROWS.columns[2]: np.inf}), "row 0: expected a finite number, found inf"),
        ({"a": [1.0]}, "pandas data frame"),
    ],
)
def test_rows_that_are_not_the_models_are_refused(rows: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match=re.escape(message) if "(" in message else message):
        save_model(iris_model(), rows, tmp_path / "m.skops")
    assert list(tmp_path.iterdir()) == []


def test_names_and_units_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name 'No Name'"):
        save_model(iris_model(), ROWS, tmp_path / "m.skops", name="No Name")
    with pytest.raises(IntakeError, match="no column 'height'"):
        save_model(iris_model(), ROWS, tmp_path / "m.skops", units={"height": "m"})


def test_a_path_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="cannot be written: No such file or directory"):
        save_model(iris_model(), ROWS, tmp_path / "nowhere" / "m.skops")


@pytest.mark.parametrize("content", [{"format": 2}, {"format": 1}, {"format": 1, "model": 1, "content": "{}"}, 5, [1]])
def test_other_skops_files_are_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.skops"
    path.write_bytes(skops.io.dumps(content))
    with pytest.raises(IntakeError, match=r"other\.skops"):
        read(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"{}")
    data = bytearray(path.read_bytes())
    claimed = (2**32 - 2).to_bytes(4, "little")  # in the central directory
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = claimed
    with pytest.raises(IntakeError, match="would unpack to"):
        read_sklearn(path, bytes(data), "0" * 64, trust=False)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_read(data: st.DataObject, saved: Path) -> None:
    content = bytearray(_stored(saved))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(content), len(content) // 2, len(content) - 10]))
    try:
        read_sklearn(saved, bytes(content[:end]), "0" * 64, trust=False)
    except IntakeError as error:
        message = str(error)
    else:
        message = "read"
    assert "\n" not in message


def _stored(path: Path) -> bytes:
    """The same archive without compression and with right checksums, so that damage reaches the content."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return out.getvalue()
