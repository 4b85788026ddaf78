"""Reading scikit-learn models: skops files safely, pickles only where the person says that the file is theirs."""

import dataclasses
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import joblib  # type: ignore[import-untyped]
import msgspec
import sklearn
import skops.io
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from canari.errors import IntakeError
from canari.intake.sklearn.bundle import FORMAT, Content
from canari.intake.sklearn.columns import inputs_of_model
from canari.intake.sklearn.translate import class_name, translate
from canari.intake.translation import Fitted
from canari.model import Checks
from canari.signature import Source

# Plain data of fitted models that skops does not list as safe; their code is not called, only their arrays are read.
_PLAIN = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
    }
)
_LARGEST = 2 << 30


def read_sklearn(path: Path, data: bytes, sha256: str, *, trust: bool) -> Fitted:
    """Read and translate a model from a `.skops` file, best one of `save_model`, or from a pickle or joblib file.

    Raises `IntakeError` where the file is damaged, needs trust that is not given, or holds what cannot be translated.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = _read_skops if zipfile.is_zipfile(io.BytesIO(data)) else _read_pickle
        found = read(path, data, trust=trust)
    messages = [warning.message for warning in caught]
    written = next((m.original_sklearn_version for m in messages if isinstance(m, InconsistentVersionWarning)), None)
    model, content = _open_bundle(path, found)
    if not isinstance(model, BaseEstimator):
        raise IntakeError(f"{path.name} holds a {type(model).__name__}, not a scikit-learn model")
    version = written or (content.versions.get("scikit-learn") if content else None) or sklearn.__version__
    translation = translate(model, content.inputs if content else inputs_of_model(model))
    notes = []
    if version != sklearn.__version__:
        notes.append(f"{path.name} was written with scikit-learn {version} and read with {sklearn.__version__}")
    if content is None:
        notes.append(f"{path.name} has no rows: missing values are refused; canari's save_model() records what the model answers")
    packages = {name: v for name, v in content.versions.items() if name != "scikit-learn"} if content else {}
    return Fitted(
        translation=dataclasses.replace(translation, warnings=tuple(notes)),
        source=Source(
            language="scikit-learn",
            version=version,
            model_class=class_name(model),
            sha256=sha256,
            created=content.created if content else None,
            packages=packages,
            metrics=content.metrics if content else {},
        ),
        checks=Checks(rows=content.rows, predictions=content.predictions, probe=content.probe) if content else None,
        name=content.name if content else None,
    )


def _read_skops(path: Path, data: bytes, *, trust: bool) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST:
            raise IntakeError(f"{path.name} would unpack to {size} bytes; at most {_LARGEST} are read")
        needed = skops.io.get_untrusted_types(data=data)
        unknown = sorted(set(needed) - _PLAIN)
        if unknown and not trust:
            raise IntakeError(
                f"{path.name} holds objects that may run code when read: {', '.join(unknown)}; if the file is yours, pass --trust"
            )
        return skops.io.loads(data, trusted=needed)
    except IntakeError:
        raise
    except Exception as error:  # noqa: BLE001  # a damaged archive fails in any way
        raise IntakeError(f"{path.name} is no readable skops file: {_first_line(error)}") from None


def _read_pickle(path: Path, data: bytes, *, trust: bool) -> Any:
    if not trust:
        raise IntakeError(
            f"{path.name} is no skops file, and a pickle can run code when read: if the file is yours, pass --trust; "
            "better, write it with canari's save_model(), whose files are read without running anything"
        )
    try:
        return joblib.load(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001  # reading a pickle runs code, which fails in any way
        raise IntakeError(f"{path.name} is no readable pickle or joblib file: {_first_line(error)}") from None


def _open_bundle(path: Path, found: Any) -> tuple[Any, Content | None]:
    if not isinstance(found, dict):
        return found, None
    if found.get("format") != FORMAT or not {"model", "content"} <= set(found):
        raise IntakeError(f"{path.name} holds a dictionary that is no file of canari's save_model() of format {FORMAT}")
    try:
        content = msgspec.json.decode(found["content"], type=Content)
    except (msgspec.MsgspecError, TypeError) as error:
        raise IntakeError(f"{path.name}: its check rows are damaged: {error}") from None
    columns = (*content.rows.values(), *content.predictions.values(), content.probe)
    lengths = set(map(len, cast(tuple[list[Any], ...], columns)))
    if len(lengths) != 1 or not {column.name for column in content.inputs} <= set(content.rows):
        raise IntakeError(f"{path.name}: its check rows are damaged: columns of {sorted(lengths)} rows")
    return found["model"], content


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]
