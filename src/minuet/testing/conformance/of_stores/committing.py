"""Transactions: S01, S02, S15, S16."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from minuet.ports.store import DeadLetterFilter, Store, Unit
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, SOURCE, StoreBench
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import add_row, rolled_back, words_of
from minuet.testing.conformance.suite import cancelled, yielding


class Committing(StoreBench):
    """All of a unit or none of it."""

    async def write(self, unit: Unit, consumer: str, word: str) -> None:
        """Write something everywhere, all of it recognisable by its word."""
        parked = self.delivery(consumer, word)
        await add_row(unit, consumer, word)
        await unit.inbox.remember(consumer, [(SOURCE, word)], NOW)
        await unit.outbox.owe([self.message(f"{consumer} {word}")], NOW)
        await unit.parking.park([parked], state="due", due_at=NOW)
        await unit.dead_letters.bury(self.letter(parked))
        await unit.counters.add(consumer, word, 2)

    async def assert_written(self, store: Store, consumer: str, words: Sequence[str], others: Sequence[str]) -> None:
        """All that was written with these words is there, and nothing of the others."""
        all_words, written = [*words, *others], set(words)
        assert await words_of(store, consumer) == sorted(words)
        seen = await self.seen(store, consumer, *((SOURCE, word) for word in all_words))
        assert seen == {(SOURCE, word) for word in words}
        owed = {row.message.topic for row in await store.owed(100_000)}
        assert owed & {f"{consumer} {word}" for word in all_words} == {f"{consumer} {word}" for word in words}
        assert {standing.delivery.key for standing in await self.standing(store, consumer)} == written
        assert {letter.key for letter in await self.letters_of(store, consumer)} == written
        assert (await store.counts()).get(consumer, {}) == dict.fromkeys(words, 2)

    async def test_s01_a_commit_keeps_all_that_was_written(self) -> None:
        """After the commit rows, inbox, outbox, parked deliveries, dead letters and counts are all there."""
        store, consumer = await self.store(), self.new_consumer()
        async with store.transaction() as unit:
            await self.write(unit, consumer, "one")
            await self.write(unit, consumer, "two")
        await self.assert_written(store, consumer, ["one", "two"], [])

    async def test_s01_an_error_keeps_nothing(self) -> None:
        """A block that raises leaves nothing of what it wrote, and the store goes on."""
        store, consumer = await self.store(), self.new_consumer()
        async with rolled_back(store) as unit:
            await self.write(unit, consumer, "one")
        await self.assert_written(store, consumer, [], ["one"])
        async with store.transaction() as unit:
            await self.write(unit, consumer, "one")
        await self.assert_written(store, consumer, ["one"], [])

    async def test_s01_a_cancelled_block_keeps_nothing(self) -> None:
        """A task that is cancelled inside its block, or while it waits to begin, leaves nothing and holds nothing."""
        store, consumer = await self.store(), self.new_consumer()
        written = asyncio.Event()

        async def work(word: str) -> None:
            async with store.transaction() as unit:
                await self.write(unit, consumer, word)
                written.set()
                await asyncio.Event().wait()

        inside = asyncio.create_task(work("one"))
        await self.soon(written.wait(), "the first block's writing")
        waiting = asyncio.create_task(work("two"))
        await yielding()
        await cancelled(waiting)
        await cancelled(inside)
        await self.assert_written(store, consumer, [], ["one", "two"])

    async def test_s01_what_waits_for_a_commit_is_called_after_it(self) -> None:
        """`after_commit` calls once the transaction is durable, in order, and never after a rollback."""
        store, called = await self.store(), list[str]()
        async with store.transaction() as unit:
            unit.after_commit(lambda: called.append("one"))
            unit.after_commit(lambda: called.append("two"))
            assert called == []
        assert called == ["one", "two"]
        async with rolled_back(store) as unit:
            unit.after_commit(lambda: called.append("never"))
        assert called == ["one", "two"]

    async def test_s01_units_of_many_tasks_are_all_kept(self) -> None:
        """Fifty tasks that count the same thing at the same time count it fifty times."""
        store, consumer = await self.store(), self.new_consumer()

        async def work(number: int) -> None:
            async with store.transaction() as unit:
                await add_row(unit, consumer, f"{number:02}")
                await yielding(number % 3)
                await unit.counters.add(consumer, "times", 1)

        await self.soon(asyncio.gather(*(work(number) for number in range(50))), "fifty units")
        assert (await store.counts())[consumer] == {"times": 50}
        assert await words_of(store, consumer) == [f"{number:02}" for number in range(50)]

    async def test_s01_a_unit_that_fails_takes_nothing_of_its_neighbours(self) -> None:
        """Of units that are at work at the same time, those that raise, or whose task is cancelled, leave nothing, and
        the others all of theirs; each is told of its own commit alone.
        """
        store, consumer, told = await self.store(), self.new_consumer(), list[str]()

        async def work(word: str, outcome: int) -> None:
            async with store.transaction() as unit:
                await self.write(unit, consumer, word)
                unit.after_commit(lambda: told.append(word))
                await yielding(outcome)
                if outcome == 1:
                    raise ValueError(word)
                if outcome == 2:
                    await asyncio.Event().wait()

        for lot in range(4):
            tasks = {f"{lot}-{number:02}": number % 4 for number in range(16)}
            working = {word: asyncio.create_task(work(word, outcome)) for word, outcome in tasks.items()}
            cancelling = [working[word] for word, outcome in tasks.items() if outcome == 2]
            await yielding(50)
            for task in cancelling:
                await cancelled(task)
            await self.soon(asyncio.gather(*working.values(), return_exceptions=True), "sixteen units")
        words = [f"{lot}-{number:02}" for lot in range(4) for number in range(16)]
        good = [word for word in words if int(word[2:]) % 4 in (0, 3)]
        await self.assert_written(store, consumer, good, [word for word in words if word not in good])
        assert sorted(told) == good

    @requires("persistent")
    async def test_s01_a_process_killed_before_its_commit_leaves_nothing(self) -> None:
        """Killed at the end of its block, a process has written nothing, and its store is there for others."""
        store, consumer = await self.store(), self.new_consumer()
        player = await self.player("scene_stops_before_its_commit", consumer)
        await player.hears("written")
        await player.kill()
        await self.assert_written(store, consumer, [], ["one"])

    async def scene_stops_before_its_commit(self, prompter: Prompter, consumer: str) -> None:
        """Write everywhere, and keep the transaction open until killed."""
        store = await self.store()
        async with store.transaction() as unit:
            await self.write(unit, consumer, "one")
            prompter.say("written")
            await prompter.hear("nothing")

    @requires("persistent")
    async def test_s01_a_process_killed_anywhere_leaves_whole_units(self) -> None:
        """Killed at whatever moment, a process has written each unit as a whole or not at all, and all of those whose
        commit it had seen.
        """
        consumer = self.new_consumer()
        store = await self.store()
        seen: list[str] = []
        for turns in (1, 6, 15):
            player = await self.player("scene_writes", consumer, str(len(seen)))
            seen += [(await player.hears("committed"))[0] for _ in range(turns)]
            seen += [said.what[0] for said in await player.kill()]
        written = await words_of(store, consumer)
        assert set(seen) <= set(written)
        await self.assert_written(store, consumer, written, [])

    async def scene_writes(self, prompter: Prompter, consumer: str, start: str) -> None:
        """One unit after the other, until killed."""
        store = await self.store()
        for number in range(1_000_000):
            word = f"{start}-{number:06}"
            async with store.transaction() as unit:
                await self.write(unit, consumer, word)
            prompter.say("committed", word)

    async def test_s02_undo_takes_back_what_was_written_since_the_mark(self) -> None:
        """What came before the mark stays and what comes after the undo counts, time and again; keeping keeps."""
        store, consumer, called = await self.store(), self.new_consumer(), list[str]()
        async with store.transaction() as unit:
            await self.write(unit, consumer, "before")
            for number in range(3):
                await unit.mark()
                await self.write(unit, consumer, f"undone {number}")
                unit.after_commit(lambda: called.append("undone"))
                await unit.undo()
                await unit.mark()
                await self.write(unit, consumer, f"kept {number}")
                unit.after_commit(lambda: called.append("kept"))
                await unit.keep()
            await self.write(unit, consumer, "after")
        kept = ["before", *(f"kept {number}" for number in range(3)), "after"]
        await self.assert_written(store, consumer, kept, [f"undone {number}" for number in range(3)])
        assert called == ["kept"] * 3

    async def test_s02_undo_mends_what_a_refused_statement_broke(self) -> None:
        """After a statement that the store refuses, undo makes the transaction whole again."""
        store, consumer = await self.store(), self.new_consumer()
        async with store.transaction() as unit:
            await self.write(unit, consumer, "before")
            await unit.mark()
            await self.write(unit, consumer, "undone")
            try:
                await unit.transaction.execute("INSERT INTO there_is_no_such_table VALUES (1)")
            except Exception:  # noqa: BLE001  # whichever the driver raises
                await unit.undo()
            await self.write(unit, consumer, "after")
        await self.assert_written(store, consumer, ["before", "after"], ["undone"])

    async def test_s15_a_reader_sees_nothing_that_is_not_committed(self) -> None:
        """While a unit is open, whoever looks from outside sees nothing of it, or waits; when it rolls back, there was
        nothing.
        """
        store, consumer = await self.store(), self.new_consumer()
        async with rolled_back(store) as unit:
            await self.write(unit, consumer, "one")
            looks = [asyncio.create_task(look) for look in self._looks(store, consumer)]
            await yielding()
        found = await self.soon(asyncio.gather(*looks), "what readers see")
        assert found == [0] * len(looks)

    async def test_s15_a_reader_sees_what_is_committed(self) -> None:
        """Once the block has ended, whoever looks sees all of it."""
        store, consumer = await self.store(), self.new_consumer()
        async with store.transaction() as unit:
            await self.write(unit, consumer, "one")
        assert 0 not in await asyncio.gather(*self._looks(store, consumer))

    def _looks(self, store: Store, consumer: str) -> list[Coroutine[Any, Any, int]]:
        """Everything that can be seen from outside, each as how much of it there is."""

        async def owed() -> int:
            return sum(row.message.topic.startswith(consumer) for row in await store.owed(100_000))

        async def next_due() -> int:
            return int(await store.next_due(consumer) is not None)

        async def counted() -> int:
            return len((await store.counts()).get(consumer, {}))

        async def heads() -> int:
            return len(await store.survey_dead_letters(DeadLetterFilter(consumer=consumer)))

        async def letters() -> int:
            return len(await self.letters_of(store, consumer))

        async def parked() -> int:
            return len(await self.standing(store, consumer))

        return [owed(), next_due(), counted(), heads(), letters(), parked()]

    @requires("persistent")
    async def test_s16_everything_survives_closing_and_opening_anew(self) -> None:
        """A new store object, and the old one opened again, have all that was written and the manifests."""
        before, consumer = await self.store(), self.new_consumer()
        async with before.transaction() as unit:
            await self.write(unit, consumer, "one")
        await before.keep_manifest(consumer, '{"name": "\u00fc"}')
        await before.close()
        after = await self.store()
        await self.assert_written(after, consumer, ["one"], [])
        assert (await after.manifests())[consumer] == '{"name": "\u00fc"}'
        await before.open()
        async with before.transaction() as unit:
            await self.write(unit, consumer, "two")
        await self.assert_written(before, consumer, ["one", "two"], [])
        await self.assert_written(after, consumer, ["one", "two"], [])

    async def test_s16_a_manifest_is_replaced_by_a_newer_one(self) -> None:
        """Of each service the store keeps the last manifest."""
        store, service = await self.store(), self.new_name("service")
        await store.keep_manifest(service, "{}")
        await store.keep_manifest(service, '{"version": 2}')
        assert (await store.manifests())[service] == '{"version": 2}'
