"""What `POST /predict` answers: `{"model": ..., "version": ..., "predictions": [record, ...]}`, or the records alone."""

from typing import Any

import msgspec


class _Answer(msgspec.Struct):
    predictions: list[dict[str, Any]]


_decode = msgspec.json.Decoder(_Answer | list[dict[str, Any]]).decode


def predictions(body: bytes, rows: int | None = None) -> list[dict[str, Any]]:
    """The records of an answer to `rows` rows, one each; raises ValueError, saying what came, where it is none."""
    try:
        answer = _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the answer is not predictions as JSON: {error}") from None
    records = answer if isinstance(answer, list) else answer.predictions
    if rows is not None and len(records) != rows:
        raise ValueError(f"the answer has {len(records)} predictions for {rows} rows")
    if not all(records):
        raise ValueError("the answer has an empty prediction")
    return records
