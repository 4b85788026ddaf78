"""One HTTP request on its way to its answer, whatever brought it."""

from abc import abstractmethod
from time import perf_counter
from typing import TYPE_CHECKING

from canari.serving.http import UNKNOWN, Answer, HttpError, Request, Route
from canari.serving.queue import Job
from canari.serving.request_id import request_id

if TYPE_CHECKING:
    from canari.serving.app import App


class Exchange(Job):
    """A request and its answer. A subclass says how the answer is sent."""

    __slots__ = ("answer", "app", "id", "predicted", "request", "route", "span", "waited")

    answer: Answer
    request: Request

    def __init__(self, app: "App", route: Route) -> None:
        self.app = app
        self.route = route
        self.deadline = None
        self.waited = 0.0  # seconds in the queue
        self.predicted: float | None = None  # seconds with the model, taken where there is a span

    def begin(self, request: Request) -> None:
        """Answer a request that has come whole: now, or when it is its turn."""
        self._arrive(request)
        app, route = self.app, self.route
        if route.predicts and request.method == "POST":
            app.queue.submit(self, small=len(request.body) <= app.SMALL_BYTES)
        else:
            self.answer = app.answer(route, request)
            self.finish()

    def decline(self, request: Request, error: HttpError) -> None:
        """Answer a request that has not come whole, and will not be read further, with an error."""
        self._arrive(request)
        self.refuse(error)

    def run(self, waited: float) -> None:
        """Make the answer."""
        self.waited = waited
        if self.span is None:
            self.answer = self.app.answer(self.route, self.request)
        else:
            begun = perf_counter()
            self.answer = self.app.answer(self.route, self.request)
            self.predicted = perf_counter() - begun

    def refuse(self, error: HttpError) -> None:
        """Answer with an error."""
        self.answer = error.answer()
        self.finish()

    def finish(self) -> None:
        """Send the answer, and tell of it."""
        answer, request = self.answer, self.request
        self.send(answer)
        self.app.telemetry.answered(
            *("http", request.method, self.route.template, answer.status, self.id, request.headers, self.span),
            arrived=self.arrived,
            waited=self.waited,
            predicted=self.predicted,
            rows=answer.rows,
            request_bytes=len(request.body),
            response_bytes=len(answer.body),
        )

    def _arrive(self, request: Request) -> None:
        self.arrived = perf_counter()
        self.request = request
        self.id = request_id(request.headers.get(b"x-request-id"))
        template = None if self.route is UNKNOWN else self.route.template
        self.span = self.app.telemetry.http_span(request.method, template, request.headers)

    @abstractmethod
    def send(self, answer: Answer) -> None:
        """Give the answer to whoever asked."""
