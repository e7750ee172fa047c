"""The pytest plugin, as a third party meets it: in a process of its own, in a folder of its own."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

THIRD_PARTY = """
from minuet.brokers.memory import MemoryBroker
from minuet.testing.conformance import BrokerConformance

class Pulsar(MemoryBroker):
    pass

class TestPulsar(BrokerConformance):
    def make_broker(self, folder):
        return Pulsar()
"""


def run(folder, *arguments) -> subprocess.CompletedProcess[str]:
    """Runs pytest in a folder that knows nothing of this repository."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_test_file_of_twelve_lines_certifies_a_broker(tmp_path) -> None:
    """A third party's class is collected, performed and told, with what it does not claim."""
    (tmp_path / "test_pulsar.py").write_text(THIRD_PARTY)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_pulsar.py::TestPulsar: 18 clauses ran (B01-B12 B14 B17-B21)" in done.stdout
    assert "B13 (persistent)" in done.stdout
    assert "not claimed in" in done.stdout
    assert "skipped" not in done.stdout


def test_a_claim_of_which_no_clause_ran_fails_the_run(tmp_path) -> None:
    """Without the tests about replay the claim to replay is unproven, and everything else has passed."""
    (tmp_path / "test_pulsar.py").write_text(THIRD_PARTY)
    done = run(tmp_path, "-k", "not b10 and not young_or_asked_for")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "TestPulsar: claimed, and no clause of it ran: replay." in done.stdout
    assert " failed" not in done.stdout


def test_a_claim_whose_tests_are_taken_away_fails_the_run(tmp_path) -> None:
    """Overriding the tests that would prove a claim proves nothing."""
    away = "\n".join(
        f"    {name} = None"
        for name in (
            "test_b17_an_instance_is_shown_with_those_who_await_it",
            "test_b17_groups_are_shown_with_how_far_behind_they_are",
        )
    )
    (tmp_path / "test_pulsar.py").write_text(f"{THIRD_PARTY}\n{away}\n")
    done = run(tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "claimed, and no clause of it ran: traceable." in done.stdout


def test_a_part_of_a_suite_may_be_run_on_purpose(tmp_path) -> None:
    """With --partial unproven claims are told, and the run succeeds."""
    (tmp_path / "test_pulsar.py").write_text(THIRD_PARTY)
    done = run(tmp_path, "-k", "b02", "--partial")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "claimed, and no clause of it ran: " in done.stdout


@pytest.mark.slow
def test_processes_of_one_run_prove_together(tmp_path) -> None:
    """Under xdist the claims of a suite are proven by what all workers ran."""
    (tmp_path / "test_pulsar.py").write_text(THIRD_PARTY)
    done = run(tmp_path, "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 clauses ran (B01-B12 B14 B17-B21)" in done.stdout
    done = run(tmp_path, "-n", "2", "-k", "b02")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr


def test_a_broken_clause_is_a_failed_test(tmp_path) -> None:
    """An adapter that breaks a clause fails the test of that name, with the assertion's own words."""
    broken = THIRD_PARTY.replace("    pass", "    async def publish(self, messages):\n        pass")
    patience = "    patience_seconds = 0.1\n"
    (tmp_path / "test_pulsar.py").write_text(broken + patience)
    done = run(tmp_path, "-k", "b01", "--partial")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "FAILED test_pulsar.py::TestPulsar::test_b01_what_publish_returned_from_reaches_who_comes" in done.stdout
    assert "100 of 100 deliveries: not within 0.1 seconds" in done.stdout


@pytest.mark.slow
def test_urls_are_enough(tmp_path) -> None:
    """The suites that ship run against any URL, from anywhere, without a line of Python."""
    suites = ["--pyargs", "minuet.testing.conformance"]
    done = run(tmp_path, *suites, "--broker", "memory://", "--store", "memory://")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TestBroker: 18 clauses ran" in done.stdout
    assert "TestStore: 20 clauses ran" in done.stdout
    done = run(tmp_path, *suites, "--store", "memory://", "--co", "-q")
    assert "TestStore" in done.stdout
    assert "TestBroker" not in done.stdout


@pytest.mark.slow
def test_one_file_may_be_shared_by_all_clauses(tmp_path) -> None:
    """Nothing in the suites assumes that the broker or the store is empty."""
    suites = ["--pyargs", "minuet.testing.conformance"]
    shared = f"sqlite:///{tmp_path}/shared.db"
    for _ in range(2):
        done = run(tmp_path, *suites, "--broker", shared, "--store", shared)
        assert done.returncode == 0, done.stdout + done.stderr


IN_USE = """
import asyncio
from minuet import App, Event, Service

class Sold(Event):
    what: str

shop = Service("shop", owns=[Sold])

@shop.reaction
async def write_down(sold: Sold) -> None: ...

async def main():
    async with App([shop], broker="sqlite:///prod.db").running():
        await shop.emit(Sold(what="tea"))

asyncio.run(main())
"""


@pytest.mark.parametrize("option", ["--broker", "--store"])
def test_a_place_in_use_is_refused_and_left_as_it_was(tmp_path, option) -> None:
    """A file with the state of somebody's services is no place for a suite: its name and theirs are said."""
    subprocess.run([sys.executable, "-c", IN_USE], cwd=tmp_path, check=True)
    read = "SELECT (SELECT count(*) FROM minuet_log), (SELECT group_concat(consumer) FROM minuet_positions)"
    with closing(sqlite3.connect(tmp_path / "prod.db")) as there:
        before = there.execute(read).fetchall()
    done = run(tmp_path, "--pyargs", "minuet.testing.conformance", option, "sqlite:///prod.db")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert f"{option} sqlite:///prod.db is in use: it holds the state of the services shop." in done.stderr
    assert "sqlite:///{folder}/fresh.db" in done.stderr
    with closing(sqlite3.connect(tmp_path / "prod.db")) as there:
        assert there.execute(read).fetchall() == before


def test_a_suite_without_a_url_says_what_to_do(tmp_path) -> None:
    """Collecting the suites that ship without a URL is refused in prose."""
    done = run(tmp_path, "--pyargs", "minuet.testing.conformance")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Say which adapter the suites are for: --broker URL, --store URL or both." in done.stderr


def test_the_plugin_leaves_other_tests_alone(tmp_path) -> None:
    """A run without conformance suites looks as it would without the plugin."""
    (tmp_path / "test_other.py").write_text("class TestBroker:\n    def test_b02_it(self):\n        pass\n")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conformance" not in done.stdout
    assert "1 passed" in done.stdout
