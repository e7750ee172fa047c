"""`minuet demo`: real processes on one file, killed as they work, and an audit that is not easily satisfied."""

import json
import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

FIELDS = {
    "orders", "returns", "rejected_invoices", "rejected_lines", "rejected_by_reason", "charged_pence",
    "refunded_pence", "units_shipped", "units_restocked", "declined", "short", "cancelled", "retries",
    "dead_letters", "duplicates_absorbed", "kills", "lost", "doubled", "balanced", "seconds",
}  # fmt: skip


def demo(*arguments: str | Path, seconds: float = 100) -> subprocess.CompletedProcess[str]:
    """Run `minuet demo` with these arguments to its end."""
    code = "import sys; from minuet.cli.demo import demo; demo(prog_name='minuet demo')"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The object that a run with `--json` printed last."""
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A directory, and the run that it is left from: the day that ships, with kills, declines and shortages."""
    directory = tmp_path_factory.mktemp("demo") / "day"
    return directory, demo(
        "order", "--kills", "5", "--decline", "0.1", "--shortage", "0.1", "--dir", directory, "--json"
    )


@pytest.fixture
def left(day: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Path:
    """A copy of what the run left, for a test to meddle with."""
    directory, _ = day
    with closing(sqlite3.connect(directory / "orders.db")) as there:
        there.execute("VACUUM INTO ?", (str(tmp_path / "orders.db"),))
    (tmp_path / "plan.json").write_text((directory / "plan.json").read_text())
    return tmp_path


def meddle(directory: Path, statement: str) -> None:
    """Change the books behind everybody's back."""
    with closing(sqlite3.connect(directory / "orders.db")) as books, books:
        assert books.execute(statement).rowcount == 1


def test_books_balance_although_processes_are_killed(day) -> None:
    """Five kills, declines and shortages: everything is accounted for, and the exit status says so."""
    _, done = day
    assert done.returncode == 0, done.stderr
    found = told(done)
    assert (found["balanced"], found["lost"], found["doubled"], found["kills"]) == (True, 0, 0, 5)
    assert found["cancelled"] == found["declined"] + found["short"] > 0
    assert found["orders"] > found["cancelled"]


def test_json_is_one_object_with_all_that_was_asked_for(day) -> None:
    """The object has the promised fields, no more and no fewer, and stands alone on standard output."""
    _, done = day
    assert told(done).keys() == FIELDS
    assert len(done.stdout.splitlines()) == 1


def test_a_killed_feeder_repeats_itself_and_is_absorbed(day) -> None:
    """At least one kill is the feeder's, which begins its slice again: the repetitions are counted."""
    _, done = day
    assert told(done)["duplicates_absorbed"] > 0


def test_the_books_can_be_audited_again(day, left) -> None:
    """What a run left gives the same verdict later."""
    _, done = day
    again = demo("audit", left, "--json")
    assert again.returncode == 0, again.stderr
    assert {**told(again), "seconds": 0} == {**told(done), "seconds": 0}


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        (
            """DELETE FROM payments_ledger WHERE rowid =
               (SELECT max(rowid) FROM payments_ledger WHERE entry = 'charge')""",
            {"lost": 1, "doubled": 0},
        ),
        (
            "INSERT INTO payments_ledger SELECT * FROM payments_ledger WHERE entry = 'charge' LIMIT 1",
            {"lost": 0, "doubled": 1},
        ),
        (
            "INSERT INTO shipping_shipments SELECT * FROM shipping_shipments LIMIT 1",
            {"lost": 0, "doubled": 1},
        ),
        (
            """UPDATE payments_ledger SET pence = pence + 1 WHERE rowid =
               (SELECT max(rowid) FROM payments_ledger WHERE entry = 'order refund')""",
            {"lost": 1, "doubled": 1},
        ),
        ("DELETE FROM minuet_dead_letters WHERE id = 1", {"lost": 0, "doubled": 0}),
    ],
    ids=["a charge lost", "a charge doubled", "a parcel doubled", "a penny too much", "a dead letter gone"],
)
def test_an_audit_of_wrong_books_fails(left, statement, wrong) -> None:
    """A single lost or doubled row, or a single penny, is found, told, and ends with status 1."""
    meddle(left, statement)
    again = demo("audit", left, "--json")
    assert again.returncode == 1
    found = told(again)
    assert {name: found[name] for name in wrong} == wrong
    assert found["balanced"] is False
    assert "The books do not balance" in again.stderr


def test_a_directory_with_an_earlier_run_is_refused(left) -> None:
    """Nothing is added to the books of an earlier run; the message names the directory, the status is 2."""
    before = (left / "orders.db").read_bytes()
    done = demo("order", "--dir", left)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{left} already holds the orders.db of an earlier run" in done.stderr
    assert (left / "orders.db").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read: No such file"), ("a,b\n1,2\n", "no column InvoiceNo")],
    ids=["missing", "something else"],
)
def test_a_file_that_holds_no_orders_is_refused(tmp_path, content, says) -> None:
    """A file that is missing or holds something else stops the demo before it starts, and leaves nothing behind."""
    file = tmp_path / "orders.csv"
    if content is not None:
        file.write_text(content)
    done = demo("order", "--orders", file, "--dir", tmp_path / "run")
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "run").exists()


def test_several_processes_of_each_service_share_the_work(tmp_path) -> None:
    """Made-up orders, two processes for each service, and kills: the books balance."""
    done = demo("order", "--generate", "60", "--workers", "2", "--kills", "3", "--dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    assert (told(done)["orders"], told(done)["kills"]) == (60, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_orders_and_hundreds_of_kills_leave_nothing_lost_or_doubled(tmp_path) -> None:
    """Twenty thousand made-up orders of a seed that is new each time, and two hundred kills: the books balance."""
    seed = secrets.randbelow(1_000_000)
    done = demo(
        "order", "--generate", "20000", "--seed", str(seed), "--kills", "200", "--dir", tmp_path / "run", "--json",
        seconds=580,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    found = told(done)
    assert (found["orders"], found["balanced"], found["lost"], found["doubled"]) == (20_000, True, 0, 0), f"seed {seed}"
    assert found["kills"] >= 200, f"seed {seed}"


def test_a_plain_look_shows_the_ways_that_orders_take(tmp_path) -> None:
    """Without a name: one process, no kills, each path with its number, and balanced books."""
    done = demo()
    assert done.returncode == 0, done.stderr
    assert "OrderPlaced > PaymentCaptured > StockReserved > OrderShipped" in done.stdout
    assert "OrderPlaced > PaymentDeclined > OrderCancelled" in done.stdout
    assert "The books balance to the penny and to the unit" in done.stdout


@pytest.mark.parametrize(
    ("name", "instance", "events", "dead_letters"),
    [
        ("content", "v3", ["VideoUploaded", "VideoRejected"], 0),
        ("notification", "c1", ["CustomerRegistered", "WelcomeSent"], 4),
    ],
)
def test_an_example_is_played(tmp_path, name, instance, events, dead_letters) -> None:
    """`demo content` and `demo notification` tell what became of each instance, dead letters included."""
    done = demo(name, "--dir", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = told(done)
    assert found["instances"][instance] == events
    assert len(found["dead_letters"]) == dead_letters
