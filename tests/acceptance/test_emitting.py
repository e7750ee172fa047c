"""`app.emitting()` and `emit_sync`: a program that awaits nothing emits in transactions of its own."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from minuet import App, StartupError
from tests.acceptance.own_transactions import MAKE, Noted, notes
from tests.acceptance.pairs import JOINED, look, pair
from tests.acceptance.postgres_pairs import POSTGRES, command, postgres_pair
from tests.contract.servers import needs

EVENT = Noted(number=1)
COUNT = "SELECT count(*) FROM minuet_log"


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Any:
    """A PostgreSQL database for broker and store."""
    made = postgres_pair(POSTGRES)
    yield made
    made.dropped()


def in_threads(url: str, connect: Any, threads: int) -> None:
    """Emit in a transaction of each thread's own."""

    def one(number: int) -> None:
        connection = connect()
        connection.execute(f"INSERT INTO own VALUES ({number})")
        notes.emit_sync(Noted(number=number), tx=connection)
        connection.commit()
        connection.close()

    running = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_threads_without_an_event_loop_emit_on_sqlite(tmp_path: Path) -> None:
    """`app.emitting()` makes the tables; threads emit and no connection of minuet's is open meanwhile."""
    file = pair(JOINED, tmp_path).store
    url = f"sqlite:///{file}"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(MAKE)
    with App([notes], broker=url, observers=()).emitting():
        in_threads(url, lambda: sqlite3.connect(file), 8)
    assert look(file, COUNT) == [(8,)]


@pytest.mark.parametrize("found", [pytest.param(None, marks=needs("postgres"))], indirect=True)
def test_threads_without_an_event_loop_emit_on_postgres(found: Any) -> None:
    """So it is on PostgreSQL; what is awaited is refused, and so is an event loop."""
    url = found.store
    command(url, MAKE)
    app = App([notes], broker=url, observers=())
    with app.emitting():
        in_threads(url, lambda: psycopg.connect(url), 8)
        with pytest.raises(StartupError, match=r"opened by `with app.emitting\(\):`. Call notes.emit_sync\(\)"):
            asyncio.run(notes.emit(EVENT))
    assert found.look(COUNT) == [(8,)]
    with pytest.raises(StartupError, match="not connected"):
        notes.emit_sync(EVENT, tx=None)

    async def awaiting() -> None:
        with pytest.raises(StartupError, match=r"Write `async with app.connected\(\):`"), app.emitting():
            pass

    asyncio.run(awaiting())
