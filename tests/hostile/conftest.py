"""`make soak` writes down how many generated cases each reader was given: tests/hostile/results.json."""

import json
import re
import time
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

from salt.files import write_text
from salt.report.records import code_commit
from support.fault_table import HOSTILE, refresh

CASES: dict[str, dict[str, int]] = {}
BEGUN = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if call.when == "call" and hasattr(item, "hypothesis_statistics"):
        found = re.findall(r"(\d+) passing, (\d+) failing", item.hypothesis_statistics)
        report.user_properties.append(("cases", sum(int(passed) + int(failed) for passed, failed in found)))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for key, cases in report.user_properties:
        if key == "cases" and report.when == "call":
            CASES[report.nodeid] = {"cases": cases, "failed": int(report.failed)}


def pytest_sessionfinish(session: pytest.Session) -> None:
    if settings.get_current_profile_name() == "soak" and CASES and not hasattr(session.config, "workerinput"):
        known = {"commit": code_commit(), "seconds": round(time.time() - BEGUN), "tests": dict(sorted(CASES.items()))}
        write_text(HOSTILE, json.dumps(known, indent=1) + "\n")
        refresh()
