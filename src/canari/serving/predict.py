"""`POST /predict`: rows in, in any of the formats, predictions out."""

from canari.runtime import Runtime
from canari.serving.formats import Formats
from canari.serving.http import Answer, Request
from canari.serving.settings import Settings


class Predict:
    """Answers the requests to /predict."""

    def __init__(self, runtime: Runtime, settings: Settings, bento: str | None) -> None:
        self._runtime = runtime
        self._formats = Formats(runtime.signature, settings.max_rows, bento)

    def __call__(self, request: Request) -> Answer:
        """The predictions of a request's rows; raises `HttpError`."""
        headers, json = request.headers, self._formats.json
        chosen = self._formats.negotiate(headers.get(b"content-type"), headers.get(b"accept"), headers.get(b"content-encoding"))
        if chosen.reads is json and chosen.writes is json:
            row = json.one(request.body)
            if row is not None:
                return Answer(json.encode_one(self._runtime.predict_row(row)), rows=1)
        feeds, rows = chosen.reads.feeds(request.body)
        body = chosen.writes.encode(self._runtime.predict(feeds), chosen.content_type)
        return Answer(body, content_type=chosen.content_type, rows=rows)
