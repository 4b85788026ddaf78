"""Every supported class predicts in onnxruntime, and in numpy, what scikit-learn predicted when the model was saved."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn import ensemble, feature_selection, linear_model, naive_bayes, preprocessing, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR

from tests.intake.sklearn.parity import assert_same, save_and_read

N = 200
RANDOM = np.random.default_rng(5)
NUMBERS = pd.DataFrame({"a": RANDOM.normal(size=N) * 100 + 1e4, "c": RANDOM.gamma(2, size=N), "d": RANDOM.normal(size=N)})
SIGNAL = ((NUMBERS.a - 1e4) * 0.02 + NUMBERS.c - NUMBERS.d).to_numpy()
TWO = np.where(RANDOM.normal(size=N) + SIGNAL > 1.5, "yes", "no")
THREE = np.digitize(SIGNAL, [0.5, 3])
POSITIVE = np.abs(SIGNAL) + 0.1

MIXED = NUMBERS.assign(
    k=RANDOM.choice(["x", "y", "zed"], N), g=RANDOM.choice(["p", "q"], N), i=RANDOM.integers(0, 9, N), b=RANDOM.random(N) < 0.4
)
HOLES = MIXED.copy()
HOLES.loc[RANDOM.random(N) < 0.1, "a"] = np.nan
HOLES.loc[RANDOM.random(N) < 0.1, "k"] = np.nan
MIXED_SIGNAL = (SIGNAL + (MIXED.k == "x") * 2.0 - (MIXED.g == "q") + MIXED.b).to_numpy()


def label(value: Any) -> str:
    words = re.sub(r"<function (\w+) at \w+>", r"\1", " ".join(repr(value).split()))
    return words[:60] if hasattr(value, "get_params") else ""


def fit(model: Any, X: Any, y: npt.NDArray[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


NEIGHBOURS = [("logistic", linear_model.LogisticRegression()), ("bayes", naive_bayes.GaussianNB())]
CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.LogisticRegression(C=1e3, fit_intercept=False),
    linear_model.LogisticRegressionCV(Cs=3),
    linear_model.SGDClassifier(random_state=0),
    linear_model.SGDClassifier(loss="log_loss", random_state=0),
    linear_model.RidgeClassifier(),
    linear_model.Perceptron(),
    LinearSVC(),
    SVC(),
    SVC(kernel="poly", degree=2, coef0=1),
    SVC(kernel="linear"),
    SVC(kernel="sigmoid", gamma=0.1),
    NuSVC(nu=0.2),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    naive_bayes.GaussianNB(),
    naive_bayes.BernoulliNB(),
    MLPClassifier((8,), max_iter=40, random_state=0),
    MLPClassifier((4, 4), activation="tanh", max_iter=40, random_state=0),
    tree.DecisionTreeClassifier(random_state=0),
    tree.DecisionTreeClassifier(max_depth=3, random_state=0),
    tree.ExtraTreeClassifier(random_state=0),
    ensemble.RandomForestClassifier(20, random_state=0),
    ensemble.RandomForestClassifier(20, max_depth=4, random_state=0),
    ensemble.ExtraTreesClassifier(20, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=10, init="zero", subsample=0.5, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=10, init=tree.DecisionTreeClassifier(max_depth=2), random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=15),
    ensemble.AdaBoostClassifier(n_estimators=5, random_state=0),
    ensemble.AdaBoostClassifier(tree.DecisionTreeClassifier(max_depth=2), n_estimators=5, random_state=0),
    ensemble.BaggingClassifier(n_estimators=4, random_state=0),
    ensemble.BaggingClassifier(linear_model.LogisticRegression(), n_estimators=3, max_features=0.7, random_state=0),
    ensemble.VotingClassifier(NEIGHBOURS, voting="soft", weights=[1, 2]),
    ensemble.VotingClassifier([*NEIGHBOURS, ("tree", tree.DecisionTreeClassifier(random_state=0))]),
    ensemble.StackingClassifier(NEIGHBOURS, passthrough=True),
    CalibratedClassifierCV(LinearSVC()),
    CalibratedClassifierCV(naive_bayes.GaussianNB(), ensemble=False),
    GridSearchCV(linear_model.LogisticRegression(), {"C": [0.1, 1]}),
]


@pytest.mark.parametrize("classes", ["two", "three"])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=label)
def test_classifier(model: Any, classes: str, tmp_path: Path) -> None:
    fitted = fit(make_pipeline(preprocessing.StandardScaler(), model), NUMBERS, TWO if classes == "two" else THREE)
    assert_same(save_and_read(fitted, NUMBERS, tmp_path))


REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.RidgeCV(),
    linear_model.LassoCV(),
    linear_model.ElasticNet(0.1),
    linear_model.BayesianRidge(),
    linear_model.HuberRegressor(),
    linear_model.SGDRegressor(random_state=0),
    linear_model.QuantileRegressor(alpha=0.01),
    linear_model.TheilSenRegressor(random_state=0, max_subpopulation=200),
    linear_model.RANSACRegressor(random_state=0),
    linear_model.PoissonRegressor(),
    linear_model.GammaRegressor(),
    linear_model.TweedieRegressor(),
    linear_model.TweedieRegressor(power=1.5),
    LinearSVR(),
    SVR(),
    NuSVR(),
    MLPRegressor(hidden_layer_sizes=(8,), activation="logistic", max_iter=40, random_state=0),
    tree.DecisionTreeRegressor(random_state=0),
    tree.ExtraTreeRegressor(random_state=0),
    ensemble.RandomForestRegressor(20, random_state=0),
    ensemble.ExtraTreesRegressor(20, random_state=0),
    ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
    ensemble.GradientBoostingRegressor(loss="huber", n_estimators=10, init=tree.DecisionTreeRegressor(max_depth=2)),
    ensemble.HistGradientBoostingRegressor(max_iter=20),
    ensemble.HistGradientBoostingRegressor(loss="poisson", max_iter=20),
    ensemble.BaggingRegressor(n_estimators=4, random_state=0),
    ensemble.VotingRegressor([("ridge", linear_model.Ridge()), ("tree", tree.DecisionTreeRegressor(random_state=0))]),
    ensemble.StackingRegressor([("ridge", linear_model.Ridge()), ("tree", tree.DecisionTreeRegressor(random_state=0))]),
    TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=label)
def test_regressor(model: Any, tmp_path: Path) -> None:
    fitted = fit(make_pipeline(preprocessing.StandardScaler(), model), NUMBERS, POSITIVE)
    assert_same(save_and_read(fitted, NUMBERS, tmp_path))


TRANSFORMERS = [
    preprocessing.PolynomialFeatures(3),
    preprocessing.PolynomialFeatures(2, interaction_only=True, include_bias=False),
    preprocessing.SplineTransformer(),
    preprocessing.SplineTransformer(7, degree=2, knots="quantile", include_bias=False),
    preprocessing.MinMaxScaler(clip=True),
    preprocessing.MaxAbsScaler(),
    preprocessing.RobustScaler(),
    preprocessing.PowerTransformer(),
    preprocessing.PowerTransformer(standardize=False),
    preprocessing.Normalizer(),
    preprocessing.Normalizer("l1"),
    preprocessing.KBinsDiscretizer(quantile_method="averaged_inverted_cdf"),
    preprocessing.KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    preprocessing.Binarizer(),
    preprocessing.FunctionTransformer(np.cos),
    preprocessing.FunctionTransformer(),
    PCA(2, whiten=True),
    TruncatedSVD(2),
    feature_selection.SelectKBest(feature_selection.f_regression, k=2),
    feature_selection.VarianceThreshold(),
    feature_selection.SelectFromModel(linear_model.Lasso(0.1)),
    SimpleImputer(add_indicator=True),
    FeatureUnion([("all", preprocessing.StandardScaler()), ("first", PCA(1))]),
]


@pytest.mark.parametrize("step", TRANSFORMERS, ids=label)
def test_transformer(step: Any, tmp_path: Path) -> None:
    fitted = fit(make_pipeline(preprocessing.StandardScaler(), step, linear_model.Ridge()), NUMBERS, POSITIVE)
    assert_same(save_and_read(fitted, NUMBERS, tmp_path))


def columns(**one_hot: Any) -> ColumnTransformer:
    numeric = make_pipeline(SimpleImputer(), preprocessing.StandardScaler())
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(**one_hot))
    return make_column_transformer((numeric, ["a", "c", "d", "i"]), (text, ["k", "g"]), ("passthrough", ["b"]))


ONE_HOT: list[dict[str, Any]] = [
    {},
    {"handle_unknown": "ignore"},
    {"drop": "first"},
    {"sparse_output": False, "handle_unknown": "infrequent_if_exist", "min_frequency": 60},
]


@pytest.mark.parametrize("one_hot", ONE_HOT, ids=lambda options: " ".join(options) or "default")
@pytest.mark.parametrize(
    "model",
    [
        linear_model.LogisticRegression(),
        ensemble.RandomForestClassifier(15, random_state=0),
        ensemble.ExtraTreesClassifier(15, random_state=0),
        ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0),
        ensemble.HistGradientBoostingClassifier(max_iter=15),
    ],
    ids=label,
)
def test_columns_of_several_kinds(model: Any, one_hot: dict[str, Any], tmp_path: Path) -> None:
    fitted = fit(make_pipeline(columns(**one_hot), model), HOLES, MIXED_SIGNAL > 1.5)
    found = save_and_read(fitted, HOLES, tmp_path)
    assert_same(found)
    inputs = {column.name: column for column in found.translation.inputs}
    assert {name: column.kind for name, column in inputs.items()} == {
        "a": "number", "c": "number", "d": "number", "k": "category", "g": "category", "i": "integer", "b": "boolean",
    }  # fmt: skip
    assert inputs["k"].levels == ("x", "y", "zed")
    assert inputs["a"].missing
    assert inputs["k"].missing


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_text_of_any_type(dtype: str, tmp_path: Path) -> None:
    rows = HOLES.astype({"k": dtype, "g": dtype})
    fitted = fit(make_pipeline(columns(), linear_model.LogisticRegression()), rows, MIXED_SIGNAL > 1.5)
    assert_same(save_and_read(fitted, rows, tmp_path))


ORDINAL = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
CONSTANT = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), preprocessing.OneHotEncoder())
TEXT, NUMERIC = make_column_selector(dtype_include="str"), make_column_selector(dtype_include="number")
SLICES = [
    ("slice", preprocessing.StandardScaler(), slice("a", "c")),
    ("mask", preprocessing.MinMaxScaler(), [False, False, True]),
    ("none", "passthrough", []),
]


def encoded(*parts: Any, remainder: str = "drop") -> ColumnTransformer:
    return make_column_transformer(*parts, remainder=remainder)


OTHER_PIPELINES: dict[str, tuple[Any, pd.DataFrame]] = {
    "boosting over categories": (
        ensemble.HistGradientBoostingRegressor(max_iter=20, categorical_features="from_dtype"),
        HOLES.astype({"k": "category", "g": "category"}),
    ),
    "boosting over named columns": (
        ensemble.HistGradientBoostingRegressor(max_iter=20, categorical_features=["k", "g"], min_samples_leaf=5),
        HOLES.astype({"k": object, "g": object}),
    ),
    "ordinal codes": (
        make_pipeline(
            encoded((ORDINAL, ["k", "g"]), remainder="passthrough"), ensemble.HistGradientBoostingRegressor(max_iter=20)
        ),
        HOLES,
    ),
    "target encoding": (
        make_pipeline(
            encoded((preprocessing.TargetEncoder(), ["k", "g"]), remainder="passthrough"), tree.DecisionTreeRegressor(max_depth=5)
        ),
        HOLES,
    ),
    "one-hot integers and booleans": (
        make_pipeline(encoded((preprocessing.OneHotEncoder(handle_unknown="ignore"), ["i", "b"])), linear_model.Ridge()),
        MIXED,
    ),
    "a missing category of its own": (
        make_pipeline(encoded((preprocessing.OneHotEncoder(), ["k"])), linear_model.Ridge()),
        HOLES,
    ),
    "a constant for what is missing": (make_pipeline(encoded((CONSTANT, ["k"])), linear_model.Ridge()), HOLES),
    "columns by type, in another order": (
        make_pipeline(
            encoded((preprocessing.OneHotEncoder(), TEXT), (preprocessing.StandardScaler(), NUMERIC)), linear_model.Ridge()
        ),
        MIXED[["k", "c", "g", "a", "i"]],
    ),
    "a slice and a mask of columns": (make_pipeline(ColumnTransformer(SLICES), linear_model.Ridge()), NUMBERS),
    "steps that do nothing": (
        Pipeline([("none", None), ("same", "passthrough"), ("model", linear_model.Ridge())]),
        NUMBERS,
    ),
    "a search over a pipeline": (
        GridSearchCV(make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()), {"ridge__alpha": [0.1, 1]}),
        NUMBERS,
    ),
}


@pytest.mark.parametrize(("model", "rows"), OTHER_PIPELINES.values(), ids=OTHER_PIPELINES.keys())
def test_other_pipelines(model: Any, rows: pd.DataFrame, tmp_path: Path) -> None:
    assert_same(save_and_read(fit(model, rows, MIXED_SIGNAL), rows, tmp_path))


def test_a_model_fitted_on_an_array(tmp_path: Path) -> None:
    model = fit(make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()), NUMBERS.to_numpy(), POSITIVE)
    assert_same(save_and_read(model, NUMBERS, tmp_path))


@pytest.mark.parametrize(
    "model",
    [
        tree.DecisionTreeRegressor(random_state=0),
        ensemble.RandomForestRegressor(10, random_state=0),
        ensemble.GradientBoostingRegressor(n_estimators=10),
        ensemble.HistGradientBoostingRegressor(max_iter=10),
    ],
    ids=label,
)
def test_rows_on_and_beside_the_thresholds(model: Any, tmp_path: Path) -> None:
    """A threshold lies between two floats, or on one; the data are rounded to single precision first, except for histograms."""
    model = fit(model, NUMBERS, POSITIVE)
    first = tree.DecisionTreeRegressor(random_state=0).fit(NUMBERS, POSITIVE).tree_
    thresholds: dict[Any, list[float]] = {name: [] for name in NUMBERS}
    for feature, threshold in zip(first.feature, first.threshold, strict=True):
        if feature >= 0:
            near = np.float32(threshold)
            thresholds[NUMBERS.columns[feature]] += [
                threshold, np.nextafter(threshold, 1e9), np.nextafter(threshold, -1e9),
                float(near), float(np.nextafter(near, np.float32(1e9))), float(np.nextafter(near, np.float32(-1e9))),
            ]  # fmt: skip
    length = max(map(len, thresholds.values()))
    rows = pd.DataFrame({name: np.resize(values, length) for name, values in thresholds.items()})
    assert_same(save_and_read(model, pd.concat([rows, NUMBERS], ignore_index=True), tmp_path))
