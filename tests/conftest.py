"""What all suites share: tests may be `async def`, and a summary names each suite and what became of its tests."""

import asyncio
import inspect
from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test to its end, in an event loop of its own. Those of the conformance suites their plugin runs."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


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
