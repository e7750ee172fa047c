"""One event, two services: one keeps pace with whoever emits it, the other is slow until it is told to hurry."""

import asyncio
import logging
import resource
import sys
from typing import Any

from minuet import App, Event, Service, Transaction
from tests.acceptance.forked import Parent

SLOW_SECONDS = 1.0
"""How long the slow service takes for one event."""


class Made(Event, key="number"):
    """Something was made."""

    number: str
    load: str


class Hurry:
    """Set when the slow service need not be slow any more."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def take_time(self) -> None:
        """As long as one event takes."""
        await asyncio.wait([told := asyncio.ensure_future(self.told.wait())], timeout=SLOW_SECONDS)
        told.cancel()


def shop(broker: str, store: str, hurry: Hurry | None = None) -> tuple[App, Service]:
    """The app, and the service that emits."""
    factory, quick, slow = Service("factory", owns=[Made]), Service("quick"), Service("slow")

    @quick.setup
    async def quick_table(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS quick (number TEXT NOT NULL)")

    @slow.setup
    async def slow_table(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS slow (number TEXT NOT NULL)")

    @quick.reaction
    async def note(made: Made, tx: Transaction) -> None:
        await tx.execute("INSERT INTO quick VALUES (?)", (made.number,))

    @slow.reaction
    async def ponder(made: Made, tx: Transaction, hurry: Hurry) -> None:
        await hurry.take_time()
        await tx.execute("INSERT INTO slow VALUES (?)", (made.number,))

    provide: dict[type, Any] = {Hurry: hurry or Hurry()}
    return App([factory, quick, slow], broker=broker, store=store, provide=provide, wait_seconds=30), factory


async def serve(parent: Parent, broker: str, store: str, service: str) -> None:
    """Run one service; hurry at the word `hurry`, and stop at `stop`.

    When it is ready, and when it is told to hurry, it says how much memory it has had at most, in KB, and what it has
    warned of.
    """
    warned, hurry = list[str](), Hurry()
    logging.getLogger("minuet").addHandler(Warnings(warned))
    app, _ = shop(broker, store, hurry)
    async with app.running([service]):
        parent.say(str(most_kilobytes()))
        assert await asyncio.to_thread(parent.wait_for_word) == "hurry"
        parent.say(" ".join([str(most_kilobytes()), *warned]))
        hurry.told.set()
        assert await asyncio.to_thread(parent.wait_for_word) == "stop"


class Warnings(logging.Handler):
    """Keeps what is worth a warning."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())


def most_kilobytes() -> int:
    """The most memory that this process has had so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most
