"""Reading R's serialization without running any of it."""

from canari.intake.rds.reader import read, read_with_version
from canari.intake.rds.values import NA_INTEGER, RObject

__all__ = ["NA_INTEGER", "RObject", "read", "read_with_version"]
