"""Fits a logistic regression to scikit-learn's breast cancer data and saves it for canari.

python models/breast_cancer/train.py [OUTDIR]
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from canari.intake.sklearn import save_model

SEED = 1995


def preprocess() -> tuple[pd.DataFrame, pd.Series]:
    """The 569 tumours: 30 measurements of cell nuclei under names that a caller can type, and the diagnosis as a word.

    What the measurements need before the regression is in the pipeline, so that it goes into production with the model.
    """
    data = load_breast_cancer(as_frame=True)
    measurements = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return measurements, data.target.map(dict(enumerate(map(str, data.target_names)))).rename("diagnosis")


def train(measurements: pd.DataFrame, diagnosis: pd.Series) -> Pipeline:
    """Fit the pipeline with the penalty that has the smallest log loss over ten folds."""
    pipeline = Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=2000))])
    search = GridSearchCV(
        pipeline,
        {"classify__C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(10, shuffle=True, random_state=SEED),
    )
    search.fit(measurements, diagnosis)
    print(f"C = {search.best_params_['classify__C']:g}: log loss {-search.best_score_:.4f} over ten folds")
    best: Pipeline = search.best_estimator_
    return best


def predict(pipeline: Pipeline, measurements: pd.DataFrame) -> pd.DataFrame:
    """The probability of each diagnosis, one column each."""
    return pd.DataFrame(pipeline.predict_proba(measurements), columns=pipeline.classes_, index=measurements.index)


def evaluate(pipeline: Pipeline, measurements: pd.DataFrame, diagnosis: pd.Series) -> dict[str, float]:
    """Scores on data that the training did not see."""
    probabilities = predict(pipeline, measurements)
    return {
        "auc": float(roc_auc_score(diagnosis == "malignant", probabilities["malignant"])),
        "log_loss": float(log_loss(diagnosis, probabilities, labels=list(probabilities.columns))),
        "accuracy": float(accuracy_score(diagnosis, probabilities.idxmax(axis=1))),
    }


def main(out: Path) -> None:
    """Fit on three quarters, score on the last quarter and save the model with the latter's rows."""
    measurements, diagnosis = preprocess()
    seen, unseen, seen_diagnosis, unseen_diagnosis = train_test_split(
        measurements, diagnosis, test_size=0.25, stratify=diagnosis, random_state=SEED
    )
    pipeline = train(seen, seen_diagnosis)
    metrics = evaluate(pipeline, unseen, unseen_diagnosis)
    save_model(pipeline, unseen, out / "breast-cancer-1.skops", name="breast-cancer", metrics=metrics)
    print("breast-cancer-1:", ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
