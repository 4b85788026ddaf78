"""Newline-delimited JSON: one record a line in, one prediction a line out. What answered is said by the headers alone."""

import msgspec

from canari.model import Feeds, Predictions
from canari.serving.formats.records import MAX_ROWS, RecordEncoder, RowDecoder
from canari.serving.http import UNREADABLE, HttpError, decode_json
from canari.signature import Signature


class NdJson:
    """`application/x-ndjson`; empty lines are skipped."""

    content_types: tuple[bytes, ...] = (b"application/x-ndjson", b"application/jsonlines", b"application/jsonl")

    def __init__(self, signature: Signature, max_rows: int = MAX_ROWS, bento: str | None = None) -> None:
        self._rows = RowDecoder(signature.inputs, max_rows)
        self._records = RecordEncoder(signature, bento)
        self._decode = msgspec.json.Decoder(self._rows.row).decode_lines
        self._columns = len(signature.inputs)

    def feeds(self, body: bytes) -> tuple[Feeds, int]:
        """The arrays and the number of rows; raises `HttpError` 400 or 413, which names line, column, expected and came."""
        numbered = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if not line.isspace() and line]
        self._rows.check_count(len(numbered))
        columns = self._typed_columns(body, len(numbered))
        if columns is not None:
            return self._rows.arrays(columns), len(numbered)
        records = []
        for number, line in numbered:
            try:
                records.append(decode_json(line))
                self._rows.check_keys(line)
            except HttpError as error:
                raise HttpError(400, f"line {number}: {str(error).replace('the body', 'it')}") from None
        return self._rows.checked(records, lambda row: f"line {numbered[row][0]}"), len(records)

    def _typed_columns(self, body: bytes, lines: int) -> list[list[object]] | None:
        """One list of values a column; None where the decoder made for the model refuses a line, or a key may be there twice."""
        if not self._rows.typed:
            return None
        try:
            rows = self._decode(body)
        except UNREADABLE:
            return None
        if len(rows) != lines:
            return None
        columns = self._rows.columns(rows)
        expected_quotes = 2 * self._columns * lines + self._rows.quotes(columns)
        return columns if body.count(b'"') == expected_quotes else None

    def encode(self, predictions: Predictions, content_type: bytes = content_types[0]) -> bytes:  # noqa: ARG002  all are the same
        """One record a line."""
        lines = self._records.joined(predictions, b"\n")
        return lines + b"\n" if lines else b""
