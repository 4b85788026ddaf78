"""Reading R's serialization without running any of it."""

from canari.intake.rds.reader import read, read_content
from canari.intake.rds.size import size, sizes
from canari.intake.rds.values import NA_INTEGER, NA_REAL, Environment, Promise, RObject
from canari.intake.rds.workspace import read_object

__all__ = ["NA_INTEGER", "NA_REAL", "Environment", "Promise", "RObject", "read", "read_content", "read_object", "size", "sizes"]
