"""The sets of a factor's levels on which forests split, written as one number: its bit i stands for the level i + 1."""

from canari.errors import IntakeError

MOST_LEVELS = 53  # the bits of a double's whole numbers


def levels_in(bits: float) -> frozenset[int]:
    """The levels in the set, counted from 1; raises `IntakeError` for what is no whole number of 53 bits."""
    if not 0 <= bits < 2**MOST_LEVELS or bits != int(bits):
        raise IntakeError(f"the forest is damaged: a split on a factor by {bits}")
    whole = int(bits)
    return frozenset(i + 1 for i in range(MOST_LEVELS) if whole >> i & 1)
