"""The pytest plugin: performs conformance suites, says what was not claimed, and fails a claim that nothing proved.

Installed as an entry point, so that it is there wherever minuet is. It touches no test but those of the suites.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import pytest

if TYPE_CHECKING:
    from minuet.testing.conformance.suite import Suite

pytest.register_assert_rewrite("minuet.testing.conformance")

HERE = Path(__file__).parent / "conformance"
BY_URL = {HERE / "test_broker.py": "broker", HERE / "test_store.py": "store"}
"""The suites that ship, and the option that says which adapter each is for."""
PASSED_OVER = pytest.StashKey[bool]()
"""Whether one of them was not collected for want of its option."""
PROPERTY = "minuet"
"""Under this name each conformance test reports its clause."""
NOT_CLAIMED = "not claimed"
Told: TypeAlias = tuple[str, str, list[str], list[str]]
"""A test's suite, its clause, what it requires and what the adapter claims."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("minuet", "conformance of minuet's brokers and stores")
    group.addoption("--broker", metavar="URL", help="the broker whose clauses are checked")
    group.addoption("--store", metavar="URL", help="the store whose clauses are checked")
    group.addoption(
        "--partial",
        action="store_true",
        help="only some clauses are meant to run: a claim of which none ran is told, and does not fail the run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """What this run's claims and proofs are kept in."""
    config.pluginmanager.register(Ledger(config), "minuet-ledger")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A suite that ships is collected when its option is given."""
    if (option := BY_URL.get(collection_path)) is None:
        return None
    if config.getoption(option):
        return None
    config.stash[PASSED_OVER] = True
    return True


def pytest_collection_finish(session: pytest.Session) -> None:
    """The suites that ship are of no use without an adapter."""
    if session.config.stash.get(PASSED_OVER, default=False) and not session.items:
        raise pytest.UsageError("Say which adapter the suites are for: --broker URL, --store URL or both.")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a place that is somebody's, before anything is written there."""
    config = session.config
    urls = {option: str(url) for option in BY_URL.values() if (url := config.getoption(option))}
    if not urls or hasattr(config, "workerinput"):
        return
    from minuet.testing.in_use import refusal  # noqa: PLC0415  # costs time that other runs need not pay

    for option, url in urls.items():
        if (why := asyncio.run(refusal(f"--{option}", url))) is not None:
            raise pytest.UsageError(why)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say what a conformance test is about, and pass over it when the adapter does not claim that."""
    suite = _suite_of(item)
    if suite is None:
        return
    missing = suite.missing(_name(item))
    item.user_properties.append((PROPERTY, _about(item, suite)))
    if missing:
        pytest.skip(f"{NOT_CLAIMED}: {', '.join(map(str, missing))}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Perform a conformance test, in a folder of its own and an event loop of its own."""
    suite = _suite_of(pyfuncitem)
    if suite is None:
        return None
    with tempfile.TemporaryDirectory(prefix="minuet-") as folder:
        asyncio.run(suite.perform(_name(pyfuncitem), Path(folder)))
    return True


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """What is not claimed is told as that, and not as skipped."""
    if isinstance(report, pytest.TestReport) and report.skipped and _told(report) and _is_not_claimed(report):
        return NOT_CLAIMED, "-", NOT_CLAIMED.upper()
    return None


class Ledger:
    """What each suite of a run claims, and which clauses proved it. Under xdist the controller's ledger has all."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._claims: dict[str, set[str]] = {}
        self._proven: defaultdict[str, set[str]] = defaultdict(set)
        self._ran: defaultdict[str, set[str]] = defaultdict(set)
        self._not_claimed: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a test proved, or that it was not claimed."""
        if not (told := _told(report)):
            return
        suite, clause, requires, claims = told
        if report.when == "setup" and report.skipped and _is_not_claimed(report):
            self._not_claimed[suite].add(f"{clause} ({', '.join(requires)})")
        elif report.when == "call" and not report.skipped:
            self._claims[suite] = set(claims)
            self._proven[suite].update(requires)
            self._ran[suite].add(clause)

    def unproven(self) -> Iterator[tuple[str, list[str]]]:
        """The suites that ran and claim what none of their clauses showed, with those claims."""
        for suite, claims in sorted(self._claims.items()):
            proven = self._proven[suite]
            if missing := sorted(
                claim for claim in claims if claim not in proven and claim.partition("=")[0] not in proven
            ):
                yield suite, missing

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A claim that nothing proved fails the run."""
        is_worker = hasattr(self._config, "workerinput")
        if not is_worker and not self._config.getoption("--partial") and any(self.unproven()):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What ran, what was not claimed, and what was claimed in vain, by suite."""
        if not self._claims:
            return
        terminalreporter.section("conformance")
        for suite, ran in sorted(self._ran.items()):
            terminalreporter.line(f"{suite}: {len(ran)} clauses ran ({_listed(ran)})")
            if self._not_claimed[suite]:
                terminalreporter.line(f"  not claimed: {'; '.join(sorted(self._not_claimed[suite]))}")
        for suite, claims in self.unproven():
            terminalreporter.line(
                f"{suite}: claimed, and no clause of it ran: {', '.join(claims)}. Run the clauses that prove it, take "
                "the claim back, or say --partial if only a part was meant to run.",
                red=True,
            )


def _suite_of(item: pytest.Item) -> Suite | None:
    """The suite that a test belongs to, ready to perform it; None for everybody else's tests."""
    from minuet.testing.conformance.suite import Suite  # noqa: PLC0415  # costs time that other runs need not pay

    suite = item.instance if isinstance(item, pytest.Function) else None
    if not isinstance(suite, Suite):
        return None
    if (option := BY_URL.get(item.path)) is not None:
        suite.url = item.config.getoption(option)
    return suite


def _name(item: pytest.Item) -> str:
    return item.originalname if isinstance(item, pytest.Function) else item.name


def _about(item: pytest.Item, suite: Suite) -> Told:
    """What the reports of a test carry."""
    from minuet.testing.conformance.claims import clause_of, requirements_of  # noqa: PLC0415  # see above

    requires = requirements_of(getattr(type(suite), _name(item)))
    return (
        item.nodeid.rpartition("::")[0],
        clause_of(_name(item)) or _name(item),
        sorted(map(str, requires)),
        sorted(map(str, suite.claims())),
    )


def _told(report: pytest.TestReport) -> Told | None:
    for name, value in report.user_properties:
        if name == PROPERTY:
            told: Told = msgspec.convert(value, Told)
            return told
    return None


def _is_not_claimed(report: pytest.TestReport) -> bool:
    return isinstance(report.longrepr, tuple) and NOT_CLAIMED in report.longrepr[2]


def _listed(clauses: Iterable[str]) -> str:
    """Ids in order, runs of them shortened: B01-B08 B10."""
    found: list[list[str]] = []
    for clause in sorted(clauses):
        if found and clause[0] == found[-1][-1][0] and int(clause[1:]) == int(found[-1][-1][1:]) + 1:
            found[-1].append(clause)
        else:
            found.append([clause])
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
