"""The functions that a formula may use, with R's semantics; none is ever evaluated by R.

A function is here if it answers each row from that row alone, given what the fitted model has stored. Adding one is adding
one function to one of these modules; what is not here is refused by name.
"""

from canari.intake.r.functions import arithmetic, bases, conversion, growth, logic, texts
from canari.intake.r.functions.calls import CONSTANTS, Scope, evaluate, variable_of

__all__ = ["CONSTANTS", "Scope", "arithmetic", "bases", "conversion", "evaluate", "growth", "logic", "texts", "variable_of"]
