"""Live servers beside a gate: their own counts, read over HTTP, decide the live rules; few requests decide nothing."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import CanariError
from canari.gate.live import Fleet, LiveMeter, Server, read_metrics
from canari.gate.rules import Rules
from canari.gate.verdict import Live, RuleResult
from canari.serving.metrics import Metrics
from tests.conftest import make_toy

RULES = Rules(
    file="rules.yaml",
    sha256="",
    limits={
        "live_error_rate": {"max": 0.005},
        "live_p95_vs_baseline": {"max_ratio": 2.0, "max_ms": 50.0},
        "live_restarts": {"max": 1},
    },
    optional=("live_error_rate", "live_p95_vs_baseline", "live_restarts"),
)


class Mock:
    """A server with nothing but `/metrics`: canari's own page of them, unless `page` says otherwise."""

    def __init__(self) -> None:
        self.page: bytes | None = None
        self.looks = 0
        self.looked = threading.Condition()
        self.restart()

    def restart(self) -> None:
        self.metrics = Metrics(make_toy().signature)

    def text(self) -> bytes:
        return self.metrics.text() if self.page is None else self.page

    def answered(
        self, count: int, status: str = "2xx", seconds: float = 0.002, route: str = "/predict", load_test: bool = False
    ) -> "Mock":
        protocol = "grpc" if status.isupper() else "http"
        for _ in range(count):
            self.metrics.observe(protocol, route, status, seconds, synthetic=load_test)
        return self

    def wait_for_looks(self, count: int) -> None:
        with self.looked:
            wanted = self.looks + count
            assert self.looked.wait_for(lambda: self.looks >= wanted, timeout=60)


@contextmanager
def listening(mock: Mock) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = mock.text()
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            with mock.looked:
                mock.looks += 1
                mock.looked.notify_all()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Watched:
    """A stable and a candidate server, watched by a meter; `while_watched` is what happens meanwhile."""

    def __init__(self) -> None:
        self.stable, self.candidate = Mock(), Mock()
        self.fleet: dict[str, list[Server]] = {}

    def judged(self, happens: object = None, rules: Rules = RULES) -> tuple[dict[str, RuleResult], Live]:
        with ExitStack() as stack:
            urls = {arm: stack.enter_context(listening(mock)) for arm, mock in self.mocks.items()}
            fleet: Fleet = {arm: [Server(name=arm, url=url)] for arm, url in urls.items()}  # type: ignore[misc]
            meter = LiveMeter(lambda: fleet, every_s=0.02)
            with meter:
                for mock in self.mocks.values():
                    mock.wait_for_looks(1)
                if callable(happens):
                    happens()
            results, live = meter.judge(rules)
        return {result.name: result for result in results}, live

    @property
    def mocks(self) -> dict[str, Mock]:
        return {"baseline": self.stable, "candidate": self.candidate}


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_healthy_callers_pass(watched: Watched) -> None:
    def happens() -> None:
        for mock in watched.mocks.values():
            mock.answered(800)
            mock.answered(200, "OK", route="/inference.GRPCInferenceService/ModelInfer")

    results, live = watched.judged(happens)
    assert {name: result.outcome for name, result in results.items()} == dict.fromkeys(RULES.limits, "pass")
    assert live.not_judged == live.problems == ()
    assert (live.candidate.requests, live.candidate.window_requests, live.candidate.errors) == (1000, 1000, 0)


def test_latency_is_that_of_the_buckets(watched: Watched) -> None:
    """Half of the answers between 1 and 2.5 ms, half between 25 and 50 ms, as `histogram_quantile` has it."""

    def happens() -> None:
        for mock in watched.mocks.values():
            mock.answered(500, seconds=0.002)
            mock.answered(500, seconds=0.03)

    _, live = watched.judged(happens)
    assert live.candidate.p50_ms == pytest.approx(2.5)
    assert live.candidate.p95_ms == pytest.approx(25 + 25 * 0.9)


def test_errors_from_before_the_gate_count_for_the_candidate_alone(watched: Watched) -> None:
    for mock in watched.mocks.values():
        mock.answered(900)
        mock.answered(100, "5xx")

    def happens() -> None:
        watched.stable.answered(1000)
        watched.candidate.answered(1000)

    results, live = watched.judged(happens)
    assert results["live_error_rate"].outcome == "fail"
    assert results["live_error_rate"].value == pytest.approx(0.05)
    assert (live.baseline.window_requests, live.baseline.window_errors, live.baseline.errors) == (1000, 0, 100)


@pytest.mark.parametrize("status", ["5xx", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"])
def test_what_is_the_versions_fault_fails(watched: Watched, status: str) -> None:
    route = "/inference.GRPCInferenceService/ModelInfer" if status.isupper() else "/v2/models/{model}/infer"
    watched.stable.answered(1000)
    results, live = watched.judged(lambda: (watched.stable.answered(1000), watched.candidate.answered(30, status, route=route)))
    assert results["live_error_rate"].outcome == "fail"
    assert live.candidate.errors == 30


@pytest.mark.parametrize("status", ["4xx", "INVALID_ARGUMENT", "NOT_FOUND"])
def test_what_is_the_callers_fault_does_not(watched: Watched, status: str) -> None:
    results, _ = watched.judged(lambda: [mock.answered(1000, status) for mock in watched.mocks.values()])
    assert results["live_error_rate"].outcome == "pass"


def test_a_candidate_is_not_blamed_for_what_the_baseline_does_too(watched: Watched) -> None:
    def happens() -> None:
        for mock in watched.mocks.values():
            mock.answered(4500)
            mock.answered(500, "5xx")

    results, _ = watched.judged(happens)
    assert results["live_error_rate"].outcome != "fail"


def test_probes_and_load_tests_are_no_callers(watched: Watched) -> None:
    def happens() -> None:
        watched.candidate.answered(1000, "5xx", route="/readyz")
        watched.candidate.answered(1000, "5xx", load_test=True)

    results, live = watched.judged(happens)
    assert set(results) == {"live_restarts"}
    assert live.candidate.requests == 0
    assert "no caller is on the candidate yet" in live.not_judged[0]


@pytest.mark.parametrize("good", [0, 1, 50, 400])
def test_few_good_requests_decide_nothing(watched: Watched, good: int) -> None:
    watched.candidate.answered(good)
    results, live = watched.judged()
    assert {name: result.outcome for name, result in results.items()} == {"live_restarts": "pass"}
    assert len(live.not_judged) == 2


def test_few_requests_leave_a_rule_open_that_is_not_optional(watched: Watched) -> None:
    results, live = watched.judged(rules=msgspec.structs.replace(RULES, optional=("live_error_rate",)))
    assert {name: result.outcome for name, result in results.items()} == {
        "live_p95_vs_baseline": "inconclusive",
        "live_restarts": "pass",
    }
    assert [note.partition(":")[0] for note in live.not_judged] == ["live_error_rate"]


def test_a_slow_candidate_fails_beside_the_baseline(watched: Watched) -> None:
    results, _ = watched.judged(lambda: (watched.stable.answered(500), watched.candidate.answered(500, seconds=0.3)))
    assert results["live_p95_vs_baseline"].outcome == "fail"


def test_a_candidate_slower_than_any_bucket_fails(watched: Watched) -> None:
    results, live = watched.judged(lambda: (watched.stable.answered(500), watched.candidate.answered(500, seconds=30)))
    assert results["live_p95_vs_baseline"].outcome == "fail"
    assert live.candidate.p95_ms is None


def test_restarts_show_in_the_counters_and_lose_no_error(watched: Watched) -> None:
    watched.candidate.answered(1000)

    def happens() -> None:
        for errors in (40, 30, 0):
            watched.candidate.answered(errors, "5xx")
            watched.candidate.wait_for_looks(2)
            watched.candidate.restart()
            watched.candidate.wait_for_looks(2)

    results, live = watched.judged(happens)
    assert live.candidate.errors == 70
    assert live.candidate.restarts == 2, "the third had counted nothing, and lost nothing"
    assert results["live_restarts"].outcome == "fail"
    assert results["live_error_rate"].outcome == "fail"


def test_whoever_names_a_server_may_know_its_restarts() -> None:
    meter = LiveMeter(lambda: {"candidate": [Server(name="pod", url="http://127.0.0.1:1", restarts=2)]})
    with meter:
        pass
    results, live = meter.judge(RULES)
    assert [(result.name, result.outcome) for result in results] == [("live_restarts", "fail")]
    assert (live.candidate.servers, live.candidate.restarts) == (0, 2)
    assert any("pod: " in problem for problem in live.problems)


def test_servers_come_and_go() -> None:
    """What a server told before it went still counts, and one that comes later is asked too."""
    first, second = Mock(), Mock()
    first.answered(100, "5xx")
    with listening(first) as one, listening(second) as other:
        servers = [Server(name="one", url=one)]
        meter = LiveMeter(lambda: {"candidate": list(servers)}, every_s=0.02)
        with meter:
            first.wait_for_looks(1)
            servers[:] = [Server(name="other", url=other)]
            second.wait_for_looks(1)
            second.answered(900)
    results, live = meter.judge(RULES)
    assert (live.candidate.servers, live.candidate.requests, live.candidate.errors) == (2, 1000, 100)
    assert results[0].outcome == "fail"


def test_those_who_do_not_know_the_servers_say_so() -> None:
    def find() -> Fleet:
        raise CanariError("the API server is away")

    meter = LiveMeter(find)
    with meter:
        pass
    results, live = meter.judge(RULES)
    assert results == []
    assert "the API server is away (2 of 2 times)" in live.problems[0]


@pytest.mark.parametrize(
    "page",
    [
        b"<html>hello</html>",
        b"\xff\xfe",
        b'canari_request_duration_seconds_count{route="/predict",synthetic="false",status="2xx"} NaN\n',
    ],
)
def test_a_page_that_is_no_metrics_is_a_problem_in_words(watched: Watched, page: bytes) -> None:
    watched.candidate.page = page
    _, live = watched.judged()
    assert live.problems[0].startswith("candidate: /metrics is not ")
    assert live.candidate.servers == 0


@given(st.one_of(st.text(), st.text(alphabet='canari_request_duration_seconds_count{}"=,.0123456789 \n#TYPEle\\')))
def test_any_text_is_metrics_or_a_value_error(text: str) -> None:
    try:
        scrape = read_metrics(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(count >= 0 for count in scrape.counts.values())


def _page() -> str:
    mock = Mock()
    mock.answered(3)
    return mock.text().decode()


PAGE = _page()


@given(st.integers(0, len(PAGE)), st.text(max_size=5), st.integers(0, 3))
def test_a_damaged_page_is_metrics_or_a_value_error(at: int, inserted: str, left_out: int) -> None:
    try:
        counts = read_metrics(PAGE[:at] + inserted + PAGE[at + left_out :]).counts
    except ValueError:
        return
    assert all(np.isfinite(count) and count >= 0 for count in counts.values())
