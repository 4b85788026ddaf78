"""The GLM of diabetes:1 as a scikit-learn pipeline, for the peers that serve scikit-learn.

python glm.py COEFFICIENTS FILE.joblib    # a JSON array, the intercept first
"""

import json
import sys
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

COLUMNS = ("npreg", "glu", "bp", "skin", "bmi", "ped", "age")


def log_of_last_three(X: Any) -> npt.NDArray[np.float64]:
    """[n, 7] with the logarithms of bmi, ped and age in their place; X is an array or a data frame."""
    terms = np.array(X, np.float64)
    terms[:, 4:] = np.log(terms[:, 4:])
    return terms


def pipeline(coefficients: list[float]) -> Pipeline:
    """The fitted pipeline, made of what R fitted."""
    regression = LogisticRegression()
    regression.classes_ = np.array([0, 1])
    regression.intercept_ = np.array(coefficients[:1])
    regression.coef_ = np.array([coefficients[1:]])
    regression.n_features_in_ = len(COLUMNS)
    return make_pipeline(FunctionTransformer(log_of_last_three).fit(np.ones((1, len(COLUMNS)))), regression)


if __name__ == "__main__":
    import glm  # so that the file names this module, not __main__

    joblib.dump(glm.pipeline(json.loads(sys.argv[1])), Path(sys.argv[2]))
