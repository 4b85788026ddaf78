"""The file that `save_model` writes: a fitted model with the rows that prove its translation.

It is one skops file of a dictionary with `format`, `model` and `content`; the content is JSON, so that reading it needs no trust.
"""

import msgspec

from canari.model import Columns
from canari.signature import Input

FORMAT = 1


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """All but the model itself; rows, predictions and probes as in `canari.model.Checks`."""

    inputs: tuple[Input, ...]
    rows: Columns
    predictions: Columns
    probe: list[bool]
    name: str | None
    metrics: dict[str, float]
    versions: dict[str, str]  # of Python packages
    created: str  # ISO 8601
