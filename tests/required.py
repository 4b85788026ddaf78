"""A pytest plugin: where CANARI_REQUIRE is "all", as in the pipeline, a skipped test is a failed one.

A test that cannot run on a person's machine skips with its reason; in the pipeline, nothing may go missing unseen.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _required((yield))


def _required(report: _Report) -> _Report:
    if os.environ.get("CANARI_REQUIRE") == "all" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"CANARI_REQUIRE=all, but {reason[:1].lower()}{reason[1:]}"
    return report
