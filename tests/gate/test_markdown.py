"""The Markdown of a verdict, as an independent renderer of CommonMark with tables shows it."""

import re

from hypothesis import given, settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

from canari.gate.report import markdown
from canari.gate.verdict import Verdict
from tests.gate.test_report import rule, verdict
from tests.gate.verdicts import VERDICTS, check_html

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each row of each table, head and body."""
    found: list[list[list[str]]] = []
    in_cell = False
    for token in RENDERER.parse(text):
        match token.type:
            case "table_open":
                found.append([])
            case "tr_open":
                found[-1].append([])
            case "inline" if in_cell:
                found[-1][-1].append(shown(token))
        in_cell = token.type in ("th_open", "td_open")
    return found


def shown(token: Token) -> str:
    """The text of inline Markdown; nothing in it may be markup."""
    children = token.children or []
    assert {child.type for child in children} <= {"text", "text_special"}, [child.type for child in children]
    return "".join(child.content for child in children)


def test_the_outcome_is_the_first_line_and_each_rule_a_row() -> None:
    text = markdown.render(
        verdict(rule("p50", "pass"), rule("p95_vs_baseline", "fail", why="too slow: [1.6, 2] | beyond 1.5"), outcome="fail")
    )
    assert text.splitlines()[0] == "## ❌ Failed: toy:2 beside toy:1"
    assert "p95_vs_baseline" in text, "readable as it is, too"
    rules, versions = tables(text)
    assert rules == [
        ["outcome", "rule", "value", "interval", "limit"],
        ["❌ fail", "p95_vs_baseline", "12.5 ms", "10 ms to ∞", "100 ms"],
        ["✅ pass", "p50", "12.5 ms", "10 ms to ∞", "100 ms"],
    ]
    assert versions[1:] == [["candidate", "toy:2", "http://candidate:3000"], ["baseline", "toy:1", "http://baseline:3000"]]
    page = RENDERER.render(text)
    assert "<strong>p95_vs_baseline</strong>: too slow: [1.6, 2] | beyond 1.5" in page
    assert re.search(r"<details><summary>How it was measured</summary>\n<ul>.*seed 0.*</ul>\n</details>", page, re.DOTALL)


@settings(deadline=None)
@given(VERDICTS)
def test_no_value_breaks_a_table_or_becomes_markup(gate: Verdict) -> None:
    text = markdown.render(gate)
    found = tables(text)
    assert [len(table) for table in found] == ([len(gate.rules) + 1] if gate.rules else []) + [3]
    for table in found:
        assert len({len(row) for row in table}) == 1
    names = sorted(" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", one.name).split()) for one in gate.rules)
    assert sorted(row[1] for row in found[0][1:] if gate.rules) == (names if gate.rules else [])
    page = RENDERER.render(text)
    check_html(page)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "details", "summary"}
