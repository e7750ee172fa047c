"""What waits costs nothing: a look at one key or one letter is as cheap with thousands parked as with two."""

import sqlite3
from contextlib import closing

import pytest

from minuet.databases.migrations import steps_of
from minuet.stores.sqlite.parking import SQL

LOOKS = {
    "parked_blocked": {"consumer": "s.r", "listed": '["k"]', "whole": None},
    "parked_promote": {"consumer": "s.r", "listed": '["k"]', "whole": None, "at": 1.0},
    "parked_held": (1,),
}
"""Each statement that looks, with its values."""


def work(statement: str, waiting: int) -> int:
    """How many instructions of SQLite's machine a look takes while so many wait, of one key and of another."""
    steps: list[None] = []
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in steps_of(SQL):
            for sql in migration:
                connection.execute(sql)
        parked = "INSERT INTO minuet_parked (consumer, topic, key, body, attempts, history, dead_letter, state)"
        rows = [("behind", key, None) for key in ("k", "other") for _ in range(waiting)]
        rows.append(("held", "letter", 1))
        connection.executemany(
            f"{parked} VALUES ('s.r', 't', :key, '', 0, '[]', :letter, :state)",
            [{"state": state, "key": key, "letter": letter} for state, key, letter in rows],
        )
        connection.execute(
            "INSERT INTO minuet_dead_letters (id, consumer, topic, key, body, reason, error, trace, attempts, history, "
            "at, state, changed_at) VALUES (1, 's.r', 't', 'letter', '', '', '', '', 1, '[]', 0, 'open', 0)"
        )
        connection.set_progress_handler(lambda: steps.append(None), 1)
        found = connection.execute(SQL[statement], LOOKS[statement])
        assert found.fetchall() or found.rowcount == 1
    return len(steps)


@pytest.mark.parametrize("statement", LOOKS)
def test_a_look_does_not_grow_with_what_waits(statement: str) -> None:
    """A backlog of one key would otherwise be worked off, and redriven, slower the longer it is."""
    assert work(statement, 2000) <= work(statement, 2) + 20
