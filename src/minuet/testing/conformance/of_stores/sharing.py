"""What a service's code and other processes see of the store: S18, S19, S20, S23."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from minuet.errors import StoreUnavailable
from minuet.ports.store import Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, StoreBench
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import add_row, rolled_back, words_in, words_of
from minuet.testing.conformance.suite import refused, yielding


class AsStruct(msgspec.Struct):
    """A row as a Struct."""

    word: str
    times: int


@dataclass
class AsDataclass:
    """A row as a dataclass."""

    word: str
    times: int


class AsMapping(TypedDict):
    """A row as a TypedDict."""

    word: str
    times: int


class Sharing(StoreBench):
    """The transaction in a reaction's hands, the caller's own transaction, and other processes."""

    async def test_s18_a_statement_takes_its_parameters_in_two_ways(self) -> None:
        """`?` with a sequence and `:name` with a mapping, whatever the values say; the rows changed are counted."""
        store, test = await self.store(), self.new_name("test")
        strange = ["", "'", '"', "?", ":test", "%s", "\u00fc\u2713", "--", "\\"]
        async with store.transaction() as unit:
            execute = unit.transaction.execute
            for word in strange:
                assert await execute("INSERT INTO conformance_rows (test, word) VALUES (?, ?)", (test, word)) == 1
            named = "UPDATE conformance_rows SET word = :word WHERE test = :test AND word = :word"
            for word in strange:
                assert await execute(named, {"test": test, "word": word}) == 1
            assert await execute("DELETE FROM conformance_rows WHERE test = ?", (self.new_name("no"),)) == 0
        assert sorted(await words_of(store, test)) == sorted(strange)

    async def test_s18_rows_come_as_what_is_asked_for(self) -> None:
        """A scalar is the first column; a Struct, a dataclass or a TypedDict is filled by column name; none is None."""
        store, test = await self.store(), self.new_name("test")
        async with store.transaction() as unit:
            for word in ("b", "a"):
                await add_row(unit, test, word)
            fetch, fetch_one = unit.transaction.fetch, unit.transaction.fetch_one
            by_name = "SELECT 7 AS times, word AS word FROM conformance_rows WHERE test = ? ORDER BY word"
            assert await fetch(str, "SELECT word FROM conformance_rows WHERE test = ? ORDER BY word", (test,)) == [
                "a",
                "b",
            ]
            assert await fetch(int, by_name, (test,)) == [7, 7]
            assert await fetch(AsStruct, by_name, (test,)) == [AsStruct("a", 7), AsStruct("b", 7)]
            assert await fetch(AsDataclass, by_name, (test,)) == [AsDataclass("a", 7), AsDataclass("b", 7)]
            assert await fetch(AsMapping, by_name, (test,)) == [{"word": "a", "times": 7}, {"word": "b", "times": 7}]
            assert await fetch_one(AsStruct, by_name, (test,)) == AsStruct("a", 7)
            count = "SELECT count(*) FROM conformance_rows WHERE test = :test"
            assert await fetch_one(int, count, {"test": test}) == 2
            assert await fetch_one(int, by_name, ("nobody",)) is None
            assert await fetch(AsStruct, by_name, ("nobody",)) == []

    async def test_s18_a_transaction_is_over_with_its_unit(self) -> None:
        """A statement that comes after the unit has ended is refused, and changes nothing."""
        store, test = await self.store(), self.new_name("test")
        async with store.transaction() as unit:
            await add_row(unit, test, "in time")
        with refused(StoreUnavailable, "a statement was performed after its transaction had ended"):
            await add_row(unit, test, "too late")
        assert await words_of(store, test) == ["in time"]

    @requires("native")
    async def test_s19_what_is_adopted_commits_with_its_caller(self) -> None:
        """What is owed through the caller's own connection is there after their commit, and gone after their
        rollback.
        """
        store = await self.drained()
        never, always = self.message("Topic", 1), self.message("Topic", 2)
        async with rolled_back(store) as unit:
            await (await store.adopt(unit.native)).outbox.owe([never], NOW)
        async with store.transaction() as unit:
            await (await store.adopt(unit.native)).outbox.owe([always], NOW)
        assert [row.message for row in await store.owed()] == [always]

    async def test_s19_what_is_no_connection_is_refused(self) -> None:
        """Anything but a connection to this very store is refused in prose."""
        store = await self.store()
        for stranger in (None, "connection", object(), 7):
            with refused(StoreUnavailable, f"{stranger!r} was adopted as a connection"):
                await store.adopt(stranger)

    @requires("shared")
    async def test_s20_what_others_commit_wakes_who_listens(self) -> None:
        """A unit that another process commits, asking to wake others, wakes those who listen here, and not who has
        ended that.
        """
        store, consumer = await self.store(), self.new_consumer()
        player = await self.player("scene_parks_when_told", consumer)
        await player.hears("ready")
        left, woken = asyncio.Event(), asyncio.Event()
        stop = store.listen(left.set)
        store.listen(woken.set)
        stop()
        stop()
        await player.tell("park")

        async def is_due() -> bool:
            await woken.wait()
            woken.clear()
            return bool(await self.due(store, consumer))

        await self.soon(self._until(is_due), "being woken for a delivery that another process parked")
        assert not left.is_set()

    async def _until(self, probe: Callable[[], Awaitable[bool]]) -> None:
        while not await probe():
            pass

    async def scene_parks_when_told(self, prompter: Prompter, consumer: str) -> None:
        """Park a delivery that is due, and wake others."""
        store = await self.store()
        prompter.say("ready")
        await prompter.hear("park")
        async with store.transaction() as unit:
            await unit.parking.park([self.delivery(consumer, "a")], state="due", due_at=NOW)
            unit.wake_others()
        await prompter.hear("nothing")

    async def test_s23_of_many_tasks_one_is_at_it_at_a_time(self) -> None:
        """Of eight tasks that each write how many rows there are, four fail, and the others count one by one."""
        store, test = await self.store(), self.new_name("test")
        await self.soon(asyncio.gather(*(self._count(store, test, number) for number in range(8))), "eight tasks")
        assert await words_of(store, test) == ["0", "1", "2", "3"]

    async def _count(self, store: Store, test: str, number: int) -> None:
        """Write how many rows there are; every other one ends with an error."""
        async with store.transaction() if number % 2 else rolled_back(store) as unit:
            await unit.one_at_a_time()
            found = await words_in(unit, test)
            await yielding(3)
            await add_row(unit, test, str(len(found)))

    @requires("shared")
    async def test_s23_of_two_processes_one_is_at_it_at_a_time(self) -> None:
        """What another process has begun is waited for, and then seen."""
        store, test = await self.store(), self.new_name("test")
        player = await self.player("scene_keeps_others_waiting", test)
        await player.hears("written")
        waiting = asyncio.create_task(self._in_turn(store, test))
        await self.nothing_of(waiting, "units that went on beside one of another process")
        await player.tell("commit")
        assert await self.soon(waiting, "going on after another process's commit") == ["theirs"]

    @requires("shared")
    async def test_s23_a_process_that_dies_keeps_nobody_waiting(self) -> None:
        """Killed before its commit, it lets the next one go on at once, who sees nothing of it."""
        store, test = await self.store(), self.new_name("test")
        player = await self.player("scene_keeps_others_waiting", test)
        await player.hears("written")
        waiting = asyncio.create_task(self._in_turn(store, test))
        await yielding()
        await player.kill()
        assert await self.soon(waiting, "going on after another process's death") == []

    async def _in_turn(self, store: Store, test: str) -> list[str]:
        """The words that are there when it is this process's turn."""
        async with store.transaction() as unit:
            await unit.one_at_a_time()
            return await words_in(unit, test)

    async def scene_keeps_others_waiting(self, prompter: Prompter, test: str) -> None:
        """Write a word, and commit when told."""
        store = await self.store()
        async with store.transaction() as unit:
            await unit.one_at_a_time()
            await add_row(unit, test, "theirs")
            prompter.say("written")
            await prompter.hear("commit")
