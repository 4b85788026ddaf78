"""Models fitted with scikit-learn: saving them with their check rows, reading them, translating them to ONNX."""

from canari.intake.sklearn.reading import read_sklearn
from canari.intake.sklearn.saving import save_model

__all__ = ["read_sklearn", "save_model"]
