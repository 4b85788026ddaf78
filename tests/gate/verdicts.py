"""Verdicts of any content, and what is well-formed HTML."""

from html.parser import HTMLParser

from hypothesis import strategies as st

from canari.gate.verdict import Dropped, Generator, Look, Reading, RuleResult, Verdict, Version, combine

_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_SECONDS = st.floats(0, 1e5)
_ENDS = st.none() | _NUMBERS
_OUTCOMES = st.sampled_from(["pass", "fail", "inconclusive"])
_TEXTS = st.text() | st.text("|`<>&\"'\\*_[]#$~\n\r\x00\x1b\ufffe", max_size=12)
_NAMES = st.sampled_from(["p95", "generator", "p95_vs_baseline", "error_rate_vs_baseline"]) | _TEXTS
_RESULTS = st.builds(
    RuleResult,
    name=_NAMES,
    outcome=_OUTCOMES,
    value=_ENDS,
    unit=st.sampled_from(["share", "ms", "times the baseline"]) | _TEXTS,
    interval=st.none() | st.tuples(_ENDS, _ENDS),
    limit=st.none() | _NUMBERS | st.dictionaries(st.sampled_from(["max", "max_ratio", "max_ms", "times"]), _NUMBERS),
    samples=st.integers(0, 10**9),
    why=_TEXTS,
    decided_s=st.none() | _SECONDS,
)
_READINGS = st.builds(Reading, outcome=_OUTCOMES, value=_ENDS, low=_ENDS, high=_ENDS)
_LOOKS = st.builds(Look, seconds=_SECONDS, outcome=_OUTCOMES, readings=st.dictionaries(_NAMES, _READINGS, max_size=4))
_VERSIONS = st.builds(Version, name=_TEXTS, version=st.none() | _TEXTS, url=_TEXTS)


@st.composite
def _verdicts(draw: st.DrawFn) -> Verdict:
    rules = tuple(draw(st.lists(_RESULTS, max_size=5)))
    return Verdict(
        outcome=combine(rules),
        rules=rules,
        baseline=draw(_VERSIONS),
        candidate=draw(_VERSIONS),
        seed=draw(st.integers()),
        started=draw(_TEXTS),
        duration_s=draw(st.floats(0.1, 1e5)),
        rate=draw(st.floats(0.1, 1e5)),
        generator=draw(st.none() | st.builds(Generator, cpu=_SECONDS, delay_p99_ms=st.none() | _SECONDS)),
        attempts=draw(st.integers(1, 2)),
        dropped=Dropped(warmup=draw(st.integers(0, 1000)), warmup_s=draw(st.floats(0, 10))),
        predictions=draw(_TEXTS),
        rules_file=draw(_TEXTS),
        rules_sha256=draw(_TEXTS),
        planned_s=draw(st.none() | _SECONDS),
        false_alarms=draw(st.none() | st.floats(0.001, 0.5)),
        misses=draw(st.none() | st.floats(0.001, 0.5)),
        gates=draw(st.integers(1, 20)),
        looks=tuple(draw(st.lists(_LOOKS, max_size=4))),
    )


VERDICTS = _verdicts()
"""Any verdict whose outcome is that of its rules."""

_VOID = {"meta", "br"}


class _Nesting(HTMLParser):
    """Follows the elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), self.get_starttag_text()
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def check_html(page: str) -> None:
    """Each element is closed within the one that it was opened in."""
    nesting = _Nesting()
    nesting.feed(page)
    nesting.close()
    assert not nesting.open
