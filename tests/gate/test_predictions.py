"""Predictions of two servers on the same rows: unlike outputs aligned, differences judged."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import numpy as np
import pytest

from canari.errors import CanariError
from canari.gate.predictions import Comparison, compare, judge_predictions
from canari.gate.rules import Rules
from canari.model import Columns
from canari.signature import Input, Output, Signature, Source

N = 250
X = np.random.default_rng(1).random(N)
ROWS: Columns = {"x": X.tolist(), "row": list(range(N))}
RULES = Rules(
    file="",
    sha256="",
    limits={
        "prediction_shift": {"max": 0.1},
        "prediction_difference": {"max": 0.25},
        "class_disagreement": {"max": 0.3},
        "missing_mismatch": {"max": 0.05},
    },
)
Row = dict[str, Any]
Start = Callable[..., str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server that answers each row with a function's record, or a whole request with another's (status, body)."""
    servers = []

    def start(predict: Callable[[Row], Row], request: Callable[[list[Row]], tuple[int, Any] | None] = lambda rows: None) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/predict"
                assert self.headers["X-Canari-Synthetic"] == "1"
                rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert len(rows) <= 100
                status, body = request(rows) or (200, {"model": "m", "predictions": [predict(row) for row in rows]})
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def signature(*outputs: Output) -> Signature:
    source = Source(language="R", version="4", model_class="glm", sha256="")
    return Signature(name="m", version="1", inputs=(Input(name="x", kind="number"),), outputs=outputs, source=source)


def results(comparison: Comparison) -> dict[str, str]:
    return {result.name: result.outcome for result in judge_predictions(comparison, RULES)}


PROBABILITY = signature(Output(name="p", kind="probability"))


def test_another_model_of_the_same_thing_passes_and_a_shift_fails(start: Start) -> None:
    noise = np.random.default_rng(2).normal(0.01, 0.12, N)
    glm = start(lambda row: {"p": row["x"]})
    forest = start(lambda row: {"p": row["x"] + noise[row["row"]]})
    mistake = start(lambda row: {"p": row["x"] - 0.22})
    assert set(results(compare(glm, forest, ROWS, PROBABILITY, PROBABILITY)).values()) == {"pass"}
    shifted = judge_predictions(compare(glm, mistake, ROWS, PROBABILITY, PROBABILITY), RULES)[0]
    assert (shifted.name, shifted.outcome, shifted.samples) == ("prediction_shift", "fail", N)
    assert shifted.value == pytest.approx(0.22)
    assert shifted.interval == pytest.approx((0.22, 0.22))


@pytest.mark.parametrize(
    ("single", "several"),
    [
        (Output(name="p", kind="probability", labels=("yes",)), Output(name="q", kind="probability", labels=("yes", "no"))),
        (Output(name="p", kind="probability"), Output(name="q", kind="probability", labels=("no", "yes"))),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_one_probability_meets_its_label_among_several(start: Start, single: Output, several: Output, turned: bool) -> None:
    one = (start(lambda row: {"p": row["x"]}), signature(single))
    two = (start(lambda row: {"q": {"yes": row["x"], "no": 1 - row["x"]}}), signature(several))
    (left, ours), (right, theirs) = (two, one) if turned else (one, two)
    comparison = compare(left, right, ROWS, ours, theirs)
    assert len(comparison.quantities) == 1
    assert comparison.quantities[0].baseline == comparison.quantities[0].candidate == X.tolist()
    assert comparison.largest == ()


def test_every_label_of_three_is_compared(start: Start) -> None:
    labels = Output(name="p", kind="probability", labels=("a", "b", "c"))
    baseline = start(lambda row: {"p": {"a": 0.2, "b": 0.3, "c": 0.5}})
    swapped = start(lambda row: {"p": {"a": 0.2, "b": 0.5, "c": 0.3}})
    comparison = compare(baseline, swapped, ROWS, signature(labels), signature(labels))
    assert [one.name for one in comparison.quantities] == ["p of a", "p of b", "p of c"]
    assert results(comparison)["prediction_shift"] == "fail"


def test_numbers_are_measured_in_the_baselines_spread(start: Start) -> None:
    number = signature(Output(name="y", kind="number"))
    baseline = start(lambda row: {"y": 1000 * row["x"]})
    candidate = start(lambda row: {"y": 1000 * row["x"] + 50})
    comparison = compare(baseline, candidate, ROWS, number, number)
    result = judge_predictions(comparison, RULES)[0]
    assert result.value == pytest.approx(50 / (1000 * X.std()))
    assert result.outcome == "fail"
    # Numbers may have a limit of their own, which probabilities do not take.
    own = msgspec.structs.replace(RULES, limits={"prediction_shift": {"max": 0.1, "max_sd": 0.3}})
    judged = judge_predictions(comparison, own)[0]
    assert (judged.outcome, judged.limit) == ("pass", 0.3)
    probability, shifted = start(lambda row: {"p": row["x"]}), start(lambda row: {"p": row["x"] - 0.2})
    judged = judge_predictions(compare(probability, shifted, ROWS, PROBABILITY, PROBABILITY), own)[0]
    assert (judged.outcome, judged.limit) == ("fail", 0.1)


def test_classes_agree_or_not(start: Start) -> None:
    output = signature(Output(name="class", kind="class", labels=("a", "b")))
    baseline = start(lambda row: {"class": "a"})
    candidate = start(lambda row: {"class": "b" if row["row"] % 2 else "a"})
    comparison = compare(baseline, candidate, ROWS, output, output)
    assert results(comparison) == {"class_disagreement": "fail", "missing_mismatch": "pass"}
    assert [one.row for one in comparison.largest] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert comparison.largest[0].values == {"x": X[1], "row": 1}


def test_missing_and_infinite_predictions_are_no_numbers(start: Start) -> None:
    number = signature(Output(name="y", kind="number"))
    baseline = start(lambda row: {"y": "Inf" if row["row"] == 3 else None if row["row"] % 5 == 0 else row["x"]})
    candidate = start(lambda row: {"y": "Inf" if row["row"] == 3 else row["x"]})
    comparison = compare(baseline, candidate, ROWS, number, number)
    found = {result.name: result for result in judge_predictions(comparison, RULES)}
    assert (found["missing_mismatch"].outcome, found["missing_mismatch"].value) == ("fail", 0.2)
    assert (found["prediction_shift"].outcome, found["prediction_shift"].samples) == ("pass", N - N // 5 - 1)
    assert comparison.largest[0].baseline is None
    assert comparison.largest[0].candidate == X[0]
    assert {one.row for one in comparison.largest} <= set(range(1, N, 5))


def test_the_rows_that_differ_most_come_first(start: Start) -> None:
    candidate = start(lambda row: {"p": row["x"] + {7: 0.5, 100: -0.9}.get(row["row"], 0.0)})
    comparison = compare(start(lambda row: {"p": row["x"]}), candidate, ROWS, PROBABILITY, PROBABILITY)
    assert [(one.row, one.output) for one in comparison.largest] == [(101, "p"), (8, "p")]


def test_few_rows_are_inconclusive(start: Start) -> None:
    few: Columns = {name: values[:19] for name, values in ROWS.items()}
    url = start(lambda row: {"p": row["x"]})
    assert set(results(compare(url, url, few, PROBABILITY, PROBABILITY)).values()) == {"inconclusive"}


def test_a_request_that_fails_now_and_then_is_sent_again(start: Start) -> None:
    seen: list[int] = []

    def every_other_fails(rows: list[Row]) -> tuple[int, Any] | None:
        seen.append(rows[0]["row"])
        return (503, {"error": "busy"}) if len(seen) % 2 else None

    candidate = start(lambda row: {"p": row["x"]}, every_other_fails)
    comparison = compare(start(lambda row: {"p": row["x"]}), candidate, ROWS, PROBABILITY, PROBABILITY)
    assert (comparison.failure, seen) == (None, [0, 0, 100, 100, 200, 200])


@pytest.mark.parametrize(
    ("request_", "candidate", "outcome", "says"),
    [
        (lambda rows: (422, {"error": "row 0, column 'z' is missing"}), PROBABILITY, "fail", "column 'z' is missing"),
        (lambda rows: (200, {"predictions": [{"p": 1.0}]}), PROBABILITY, "fail", "1 predictions for 100 rows"),
        (lambda rows: (200, "fine"), PROBABILITY, "fail", "not predictions"),
        (lambda rows: (200, [{"other": 1.0} for _ in rows]), PROBABILITY, "fail", "has no 'p'"),
        (lambda rows: (500, {}), PROBABILITY, "inconclusive", "HTTP 500"),
        (lambda rows: None, signature(Output(name="class", kind="class", labels=("a",))), "fail", "nothing can be compared"),
    ],
)
def test_a_candidate_that_cannot_be_compared(
    start: Start, request_: Callable[[list[Row]], Any], candidate: Signature, outcome: str, says: str
) -> None:
    baseline, other = start(lambda row: {"p": row["x"]}), start(lambda row: {"p": row["x"]}, request_)
    comparison = compare(baseline, other, ROWS, PROBABILITY, candidate)
    assert says in (comparison.failure or "")
    assert set(results(comparison).values()) == {outcome}


def test_a_baseline_that_refuses_is_an_error(start: Start) -> None:
    baseline = start(lambda row: {"p": 1.0}, lambda rows: (400, {"error": "no"}))
    with pytest.raises(CanariError, match="the baseline does not predict the rows: HTTP 400: no"):
        compare(baseline, baseline, ROWS, PROBABILITY, PROBABILITY)
