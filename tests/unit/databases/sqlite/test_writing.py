"""Rounds that queue for a database share a commit: who shares it, who is told when, what a failure takes with it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from minuet.databases.sqlite.neighbours import WriteLock
from minuet.databases.sqlite.writing import LONGEST_SECONDS, MOST_ROUNDS, WriteQueue, Writing
from minuet.errors import CommitRefused

QUEUE_TICKS = 3
"""How many turns of the loop it takes at most until whoever wants to write has queued."""
TURNS = 30
"""How often two processes take turns, where luck could let either of them go first."""


class StillClock(asyncio.SelectorEventLoop):
    """A loop whose clock stands still unless it is set, so that no shared transaction grows old by itself."""

    seconds = 0.0

    def time(self) -> float:
        return self.seconds


class Book:
    """A queue on a file with a table of words, what it said to SQLite, and what happened in which order."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "book.db"
        self.connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        self.connection.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA foreign_keys = ON;
            CREATE TABLE IF NOT EXISTS words (
                word TEXT PRIMARY KEY, after TEXT REFERENCES words DEFERRABLE INITIALLY DEFERRED
            );
        """)
        self.said: list[str] = []
        self.connection.set_trace_callback(self.said.append)
        self.queue = WriteQueue(self.connection, WriteLock(folder))
        self.happened: list[str] = []

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return sum(statement.startswith("COMMIT") for statement in self.said)

    def words(self) -> list[str]:
        """What another connection sees, in the order in which it was written."""
        with closing(sqlite3.connect(self._file)) as reader:
            return [word for (word,) in reader.execute("SELECT word FROM words ORDER BY rowid")]

    def write(self, word: str, *, after: str | None = None) -> None:
        """Write a word inside a round. After a word that is never written, the transaction cannot be committed."""
        self.connection.execute("INSERT INTO words VALUES (?, ?)", (word, after))

    async def round(
        self,
        word: str,
        *,
        after: str | None = None,
        fails: bool = False,
        alone: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Write a word, let others queue, end the round."""
        await self.queue.acquire(alone=alone)
        self.write(word, after=after)
        for _ in range(QUEUE_TICKS):
            await asyncio.sleep(0)
        if meanwhile is not None:
            meanwhile()
        callbacks = [lambda: self.happened.append(f"{word} is durable"), lambda: self.happened.append(f"{word} rings")]
        await self.queue.release(commit=not fails, callbacks=callbacks, alone=alone)
        self.happened.append(f"{word} is told")


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Book]:
    """A book, closed in the end."""
    book = Book(folder)
    yield book
    await book.queue.close()
    book.connection.close()


def played(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene on a loop whose clock stands still."""
    with asyncio.Runner(loop_factory=StillClock) as runner:
        runner.run(scene)


async def fail_midway(book: Book) -> None:
    """Write a word in a block that then raises."""
    async with Writing(book.queue):
        book.write("one")
        raise ZeroDivisionError


async def somebody_waits(folder: Path) -> None:
    """Return once a thread waits for whoever writes now. The kernel says so to those who ask, and tells nobody."""
    while not _turnstile_is_held(folder):  # noqa: ASYNC110  # nothing is set when a thread begins to wait for a lock
        await asyncio.sleep(0)


def _turnstile_is_held(folder: Path) -> bool:
    turnstile = os.open(folder / "turnstile", os.O_RDWR)
    try:
        fcntl.flock(turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(turnstile)
    return False


def test_a_lone_round_commits_at_once(tmp_path: Path) -> None:
    """With nobody waiting a round is durable without the event loop having had another turn."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            await book.queue.acquire()
            book.write("one")
            with pytest.raises(StopIteration):  # it returned without waiting for anything
                book.queue.release(commit=True).send(None)
            assert book.words() == ["one"]
            assert book.commits == 1

    played(scene())


def test_rounds_that_queue_share_one_commit(tmp_path: Path) -> None:
    """What queues while a round runs goes on in its transaction, and one commit makes all of it durable."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            await asyncio.gather(book.round("one"), book.round("two"), book.round("three"))
            assert book.words() == ["one", "two", "three"]
            assert book.commits == 1

    played(scene())


@pytest.mark.parametrize("failing", ["one", "two", "three"], ids=["first", "middle", "last"])
def test_a_failing_round_takes_back_its_own_rows_alone(tmp_path: Path, failing: str) -> None:
    """Wherever in the shared transaction a round fails, the others' rows are kept and its own are gone."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            words = ["one", "two", "three"]
            await asyncio.gather(*(book.round(word, fails=word == failing) for word in words))
            assert book.words() == [word for word in words if word != failing]
            assert book.commits == 1
            assert f"{failing} is durable" not in book.happened

    played(scene())


def test_a_block_that_raises_is_taken_back_and_its_error_passes(tmp_path: Path) -> None:
    """Leaving the context with an error rolls the round back and hides nothing."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            with pytest.raises(ZeroDivisionError):
                await fail_midway(book)
            async with Writing(book.queue):
                book.write("two")
            assert book.words() == ["two"]

    played(scene())


def test_nobody_is_told_before_the_commit(tmp_path: Path) -> None:
    """A round that has ended waits, its callbacks uncalled, until the last one of its transaction has committed."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            seen: list[tuple[list[str], list[str]]] = []

            def look() -> None:
                seen.append((book.words(), list(book.happened)))

            await asyncio.gather(book.round("one"), book.round("two", meanwhile=look))
            assert seen == [([], [])]
            assert {"one is told", "two is told"} <= set(book.happened)

    played(scene())


def test_callbacks_come_in_the_order_of_the_rounds_and_before_anybody_is_told(tmp_path: Path) -> None:
    """Once durable, every round's callbacks are called, the first round's first, and only then does anybody go on."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            await asyncio.gather(book.round("one"), book.round("two"))
            assert book.happened[:4] == ["one is durable", "one rings", "two is durable", "two rings"]
            assert sorted(book.happened[4:]) == ["one is told", "two is told"]

    played(scene())


def test_a_commit_that_fails_is_told_to_every_round_of_it(tmp_path: Path) -> None:
    """When SQLite refuses the commit, all rows of the group are rolled back, all get the error, no callback is called,
    and the next round writes as if nothing had been.
    """

    async def scene() -> None:
        async with opened(tmp_path) as book:
            results = await asyncio.gather(
                book.round("one"), book.round("two", after="never written"), book.round("three"), return_exceptions=True
            )
            assert [type(result) for result in results] == [CommitRefused] * 3
            assert book.words() == []
            assert book.happened == []
            await book.round("four")
            assert book.words() == ["four"]

    played(scene())


def test_a_commit_that_fails_is_told_to_nobody_else(tmp_path: Path) -> None:
    """Who commits what stands before its own round, to be alone, does not get the error of those that it commits."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            failing, alone = await asyncio.gather(
                book.round("one", after="never written"), book.round("two", alone=True), return_exceptions=True
            )
            assert isinstance(failing, CommitRefused)
            assert alone is None
            assert book.words() == ["two"]

    played(scene())


@pytest.mark.parametrize("woken", [False, True], ids=["while it waits", "when its turn has come"])
def test_a_waiter_that_is_cancelled_does_not_keep_the_transaction_open(tmp_path: Path, *, woken: bool) -> None:
    """Whoever was to go on and is cancelled leaves the rows before it to be committed, and its own unwritten."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            loop = asyncio.get_running_loop()
            waiter: list[asyncio.Task[None]] = []

            def cancel() -> None:
                if woken:
                    loop.call_soon(waiter[0].cancel)
                else:
                    waiter[0].cancel()

            first = asyncio.create_task(book.round("one", meanwhile=cancel))
            waiter.append(asyncio.create_task(book.round("two")))
            await first
            assert book.words() == ["one"]
            assert waiter[0].cancelled()
            await book.round("three")
            assert book.words() == ["one", "three"]

    played(scene())


def test_cancelling_who_waits_for_the_commit_takes_nothing_back(tmp_path: Path) -> None:
    """A round that has ended is part of the transaction, whether or not anybody still waits for that."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            first = asyncio.create_task(book.round("one"))
            others = [book.round("two"), book.round("three", meanwhile=first.cancel)]
            await asyncio.gather(first, *others, return_exceptions=True)
            assert first.cancelled()
            assert {"two is told", "three is told"} <= set(book.happened)
            assert book.words() == ["one", "two", "three"]

    played(scene())


def test_a_round_that_is_alone_shares_its_transaction_with_nobody(tmp_path: Path) -> None:
    """What came before it is committed first and what comes after it begins anew."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            seen: list[list[str]] = []
            await asyncio.gather(
                book.round("one"),
                book.round("two", alone=True, meanwhile=lambda: seen.append(book.words())),
                book.round("three", meanwhile=lambda: seen.append(book.words())),
            )
            assert seen == [["one"], ["one", "two"]]
            assert book.commits == 3

    played(scene())


def test_a_transaction_takes_only_so_many_rounds(tmp_path: Path) -> None:
    """However many queue, a commit comes after a bounded number of them."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            await asyncio.gather(*(book.round(f"word {number}") for number in range(MOST_ROUNDS + 1)))
            assert len(book.words()) == MOST_ROUNDS + 1
            assert book.commits == 2

    played(scene())


def test_a_transaction_takes_no_further_round_when_it_is_old(tmp_path: Path) -> None:
    """Other processes wait meanwhile, so a transaction that has been open for long is committed though some wait."""

    async def scene() -> None:
        async with opened(tmp_path) as book:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, StillClock)

            def grow_old() -> None:
                loop.seconds += LONGEST_SECONDS

            await asyncio.gather(book.round("one", meanwhile=grow_old), book.round("two"))
            assert book.words() == ["one", "two"]
            assert book.commits == 2

    played(scene())


def test_two_processes_take_turns(tmp_path: Path) -> None:
    """Who ends a round and wants the next at once lets another process go first that waits already. The kernel's locks
    stand between two openings of a file as they do between two processes.
    """

    async def scene() -> None:
        async with opened(tmp_path) as here, opened(tmp_path) as there:
            await here.queue.acquire()
            for turn in range(TURNS):
                here.write(f"here {turn}")
                elsewhere = asyncio.create_task(there.round(f"there {turn}"))
                await somebody_waits(tmp_path)
                await here.queue.release(commit=True)
                await here.queue.acquire()
                await elsewhere
            await here.queue.release(commit=False)
            assert here.words() == [f"{place} {turn}" for turn in range(TURNS) for place in ("here", "there")]

    played(scene())


def test_who_is_cancelled_while_another_process_writes_does_not_get_the_lock(tmp_path: Path) -> None:
    """A cancelled wait for another process ends with nothing held, so that everybody goes on."""

    async def scene() -> None:
        async with opened(tmp_path) as here, opened(tmp_path) as there:
            await here.queue.acquire()
            here.write("one")
            elsewhere = asyncio.create_task(there.round("two"))
            await somebody_waits(tmp_path)
            elsewhere.cancel()
            await here.queue.release(commit=True)
            await asyncio.gather(elsewhere, return_exceptions=True)
            assert elsewhere.cancelled()
            await here.round("three")
            assert here.words() == ["one", "three"]

    played(scene())
