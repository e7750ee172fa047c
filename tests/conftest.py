"""What all suites share: a summary that names each suite and what became of its tests."""

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints one line for each suite, a directory of tests, just above pytest's own closing line."""
    suites: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in OUTCOMES:
        for report in terminalreporter.getreports(outcome):
            suites[suite_of(report.nodeid)][outcome] += 1
    if not suites:
        return
    terminalreporter.section("suites")
    width = max(map(len, suites))
    for suite, counts in sorted(suites.items()):
        outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
        terminalreporter.line(f"{suite:<{width}}  {outcomes}", red=bool(counts["failed"] or counts["error"]))


def suite_of(nodeid: str) -> str:
    """`unit` for `tests/unit/core/test_step.py::test_it`; the file's own name for a test in no suite."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts
    return parts[1] if parts[0] == "tests" and len(parts) > 2 else parts[-1]
