"""A service whose books tell in which order the events of each account were handled, by which of its processes.

As a program it is one of them: `python -m tests.acceptance.accounts BROKER STORE`. It says `started`. With `hang` as a
third word it stops itself like a machine that hangs, between two transactions, with deliveries in its hands.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from minuet import App, Event, Service, Transaction
from minuet.config import open_store
from minuet.databases.sqlite import Database
from minuet.ports.observer import Point, Turn
from minuet.ports.store import Store
from minuet.runtime.rounds import BATCH
from minuet.telemetry.logging import LogObserver

NAMES = [f"account {number}" for number in range(24)]


class Moved(Event, key="account"):
    """Money came to an account or left it."""

    account: str
    number: int


class Noted(Event, key="account"):
    """The books have it."""

    account: str
    number: int


class HangsOnce:
    """Stops this process after its first commit of as much as a commit takes: there was more. A file is not kept from
    others meanwhile.
    """

    points = frozenset({Point.COMMITTED})

    def __init__(self, store: Store) -> None:
        self._database = store.database
        self._again = False

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        if len(turns) >= BATCH and not self._again:
            self._again = True
            self._hang()

    def _hang(self) -> None:
        if isinstance(self._database, Database) and self._database.queue._turn.locked():
            asyncio.get_running_loop().call_soon(self._hang)
        else:
            os.kill(os.getpid(), signal.SIGSTOP)


def accounts(broker: str, store: str, how: str = "") -> tuple[App, Service]:
    """The app, and the service that emits."""
    moving, books = Service("moving", owns=[Moved]), Service("books", owns=[Noted])

    @books.setup
    async def tables(tx: Transaction) -> None:
        await tx.execute(
            f"CREATE TABLE IF NOT EXISTS entries ({column(store)}, account TEXT, number INTEGER, process INTEGER)"
        )

    @books.reaction
    async def note(moved: Moved, tx: Transaction) -> Noted:
        await tx.execute(
            "INSERT INTO entries (account, number, process) VALUES (?, ?, ?)",
            (moved.account, moved.number, os.getpid()),
        )
        return Noted(account=moved.account, number=moved.number)

    opened = open_store(store)
    observers = [LogObserver(), *([HangsOnce(opened)] if how == "hang" else [])]
    return App([moving, books], broker=broker, store=opened, observers=observers), moving


def column(store: str) -> str:
    """The column that counts rows."""
    return "id BIGINT GENERATED ALWAYS AS IDENTITY" if store.startswith("postgres") else "id INTEGER PRIMARY KEY"


async def main(broker: str, store: str, how: str = "") -> None:
    app, _ = accounts(broker, store, how)
    await app.serve(started=lambda: print("started", flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
