"""Transformers that keep or combine columns: selection, principal components."""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)

from canari.intake.sklearn.arrays import Table
from canari.intake.sklearn.steps import transformer


@transformer(
    RFE,
    RFECV,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
def _select(selector: Any, table: Table) -> Table:
    return table.select(selector.get_support(indices=True).tolist())


@transformer(PCA)
def _principal_components(pca: Any, table: Table) -> Table:
    X = (table.numbers - pca.mean_) @ pca.components_.T
    if pca.whiten:
        # As scikit-learn does: the smallest scale is the machine's precision.
        scale = np.sqrt(pca.explained_variance_)
        X = X / np.maximum(scale, np.finfo(scale.dtype).eps)
    return Table(matrix=X)


@transformer(TruncatedSVD)
def _singular_vectors(svd: Any, table: Table) -> Table:
    return Table(matrix=table.numbers @ svd.components_.T)
