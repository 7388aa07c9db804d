"""With ``COPL_TEST_WEB`` set, as by ``make test-web``, a test of this folder that is skipped fails instead.

What the page needs is said to be there, and nobody would miss a test that is skipped.
"""

import os
from collections.abc import Generator

import pytest

STRICT = bool(os.environ.get("COPL_TEST_WEB"))


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if STRICT and report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = f"COPL_TEST_WEB allows no skipped test. {report.longrepr[2]}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report)
    return report
