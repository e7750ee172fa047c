"""Deliveries that wait or run: S07, S08, S09, S10, S21."""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from minuet.ports.store import Attempt, Parked, Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, StoreBench
from minuet.testing.conformance.process import Prompter


class Waiting(StoreBench):
    """Retries, order by key, and what runs outside a transaction."""

    async def test_s07_a_delivery_falls_due_at_its_instant(self) -> None:
        """Not a millisecond before its instant, and at it; `next_due` says which instant that is."""
        store, consumer = await self.store(), self.new_consumer()
        assert await store.next_due(consumer) is None
        [parked] = await self.park(store, self.delivery(consumer, "a"), due_at=NOW + 5)
        await self.park(store, self.delivery(consumer, "b"), due_at=NOW + 9)
        assert await store.next_due(consumer) == NOW + 5
        assert await self.due(store, consumer, now=NOW + 4.999) == []
        [found] = await self.due(store, consumer, now=NOW + 5)
        assert found == msgspec.structs.replace(parked, attempts=1)
        assert await store.next_due(consumer) == NOW + 9
        assert await self.due(store, consumer, now=NOW + 8.999) == []

    async def test_s07_a_postponed_delivery_falls_due_at_its_new_instant(self) -> None:
        """After a failed attempt it waits until the instant given then, with the attempts and the history given."""
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "a"))
        [found] = await self.due(store, consumer)
        failed = msgspec.structs.replace(found, history=(Attempt(at=NOW, error="ValueError: \u00fc"),))
        async with store.transaction() as unit:
            await unit.parking.postpone(failed, NOW + 60)
        assert await self.due(store, consumer, now=NOW + 59.999) == []
        [again] = await self.due(store, consumer, now=NOW + 60)
        assert again == msgspec.structs.replace(failed, attempts=2)

    async def test_s07_what_is_due_longest_comes_first(self) -> None:
        """Of many that are due, the oldest come first, and no more than were asked for."""
        store, consumer = await self.store(), self.new_consumer()
        for late in (3, 1, 2, 0):
            await self.park(store, self.delivery(consumer, f"key {late}"), due_at=NOW - late)
        first = await self.due(store, consumer, limit=3)
        assert [parked.key for parked in first] == ["key 3", "key 2", "key 1"]
        assert [parked.key for parked in await self.due(store, consumer)] == ["key 0"]

    @requires("persistent")
    async def test_s07_an_instant_outlives_its_process(self) -> None:
        """What a process parked before it was killed falls due at its instant, and not before."""
        store, consumer = await self.store(), self.new_consumer()
        player = await self.player("scene_parks", consumer)
        await player.hears("parked")
        await player.kill()
        assert await store.next_due(consumer) == NOW + 5
        assert await self.due(store, consumer, now=NOW + 4.999) == []
        assert [parked.key for parked in await self.due(store, consumer, now=NOW + 5)] == ["a"]

    async def scene_parks(self, prompter: Prompter, consumer: str) -> None:
        """Park a delivery, and wait to be killed."""
        store = await self.store()
        await self.park(store, self.delivery(consumer, "a"), due_at=NOW + 5)
        prompter.say("parked")
        await prompter.hear("nothing")

    async def test_s08_only_the_oldest_of_a_key_is_due(self) -> None:
        """Those behind it wait, whatever becomes of it, until it is settled; then the next one is due, and no other
        key or consumer ever waits for it.
        """
        store, consumer, other = await self.store(), self.new_consumer(), self.new_consumer()
        [first] = await self.park(store, self.delivery(consumer, "a"))
        second, third = await self.park(
            store, self.delivery(consumer, "a"), self.delivery(consumer, "a"), state="behind"
        )
        await self.park(store, self.delivery(consumer, "b"), self.delivery(consumer, None))
        await self.park(store, self.delivery(other, "a"))
        assert await self.blocked(store, consumer, "a", "b", "c") == {"a", "b"}
        assert {parked.key for parked in await self.due(store, consumer)} == {"a", "b", None}
        assert len(await self.due(store, other)) == 1
        assert await self.due(store, consumer, now=NOW + 1000) == []
        async with store.transaction() as unit:
            await unit.parking.postpone(msgspec.structs.replace(first, attempts=1), NOW + 60)
        assert await self.due(store, consumer, now=NOW + 59) == []
        for expected in (first, second, third):
            [found] = await self.due(store, consumer, now=NOW + 60)
            assert found.id == expected.id
            await self.settle(store, found, dead=expected is second)
        assert await self.blocked(store, consumer, "a") == set()
        assert await self.due(store, consumer, now=NOW + 1000) == []

    async def test_s08_a_long_key_is_a_key(self) -> None:
        """Keys of thousands of characters, which others chose, block, wait and fall due as others do."""
        store, consumer = await self.store(), self.new_consumer()
        key, other = self.long_name(), self.long_name()
        [running] = await self.park(store, self.delivery(consumer, key), state="running")
        behind = await self.park(store, self.delivery(consumer, key), self.delivery(consumer, key), state="behind")
        [another] = await self.park(store, self.delivery(consumer, other))
        assert await self.blocked(store, consumer, key, other, self.long_name()) == {key, other}
        assert [found.id for found in await self.due(store, consumer)] == [another.id]
        await self.settle(store, running)
        for expected in behind:
            [found] = await self.due(store, consumer, now=NOW + 1)
            assert found.id == expected.id
            assert await self.blocked(store, consumer, key) == {key}
            await self.settle(store, found)
        assert await self.blocked(store, consumer, key, other) == {other}

    async def test_s08_a_consumer_is_busy_until_all_is_settled(self) -> None:
        """`busy` says whether anything at all is unsettled: due, behind or running."""
        store, consumer = await self.store(), self.new_consumer()

        async def busy() -> bool:
            async with store.transaction() as unit:
                return await unit.parking.busy(consumer)

        assert not await busy()
        await self.park(store, self.delivery(consumer, "a"), due_at=NOW + 60)
        await self.park(store, self.delivery(consumer, "a"), state="behind")
        for instant in (NOW + 60, NOW + 61):
            assert await busy()
            [found] = await self.due(store, consumer, now=instant)
            assert await busy()
            await self.settle(store, found)
        assert not await busy()

    async def test_s08_how_many_wait_is_counted_while_their_turn_comes(self) -> None:
        """Of one consumer, to a bound; none while what they wait for neither runs nor is due."""
        store, consumer, other = await self.store(), self.new_consumer(), self.new_consumer()
        [first] = await self.park(store, self.delivery(consumer, "a"), due_at=NOW + 5)
        waiting = [self.delivery(consumer, "a") for _ in range(4)]
        await self.park(store, *waiting, self.delivery(other, "a"), state="behind")

        async def behind(now: float, most: int = 100) -> int:
            async with store.transaction() as unit:
                return await unit.parking.behind(consumer, now, most)

        assert (await behind(NOW), await behind(NOW + 5), await behind(NOW + 5, 3)) == (0, 4, 3)
        await self.due(store, consumer, now=NOW + 5)
        assert await behind(NOW) == 4
        await self.settle(store, first, at=NOW + 5)
        assert (await behind(NOW), await behind(NOW + 5)) == (0, 3)

    async def test_s08_order_by_key_holds_in_any_sequence_of_outcomes(self) -> None:
        """However deliveries are parked, run, postponed, given back and settled, what is due is the oldest of its
        key.
        """
        store, consumer = await self.store(), self.new_consumer()
        chance, now = random.Random(8), NOW
        unsettled: dict[str, list[int]] = {key: [] for key in "abc"}
        running: list[Parked] = []
        for _ in range(150):
            now += 1
            key = chance.choice("abc")
            if unsettled[key]:
                [parked] = await self.park(store, self.delivery(consumer, key), state="behind")
            else:
                [parked] = await self.park(store, self.delivery(consumer, key), due_at=now)
            unsettled[key].append(parked.id)
            for found in await self.due(store, consumer, now=now, limit=chance.randrange(1, 4)):
                assert found.id == unsettled[str(found.key)][0]
                running.append(found)
            chance.shuffle(running)
            while running and chance.random() < 0.6:
                done = running.pop()
                if await self._settled(store, done, now, chance):
                    unsettled[str(done.key)].remove(done.id)

    async def _settled(self, store: Store, parked: Parked, now: float, chance: random.Random) -> bool:
        """End a run in one of the ways there are; whether the delivery is settled by that."""
        outcome = chance.choice(("postpone", "give back", "handled", "dead"))
        async with store.transaction() as unit:
            match outcome:
                case "postpone":
                    await unit.parking.postpone(parked, now + chance.randrange(5))
                case "give back":
                    await unit.parking.give_back([parked], now)
                case "handled":
                    await unit.parking.settle([parked], "handled", now)
                case _:
                    await unit.parking.settle([parked], "dead", now)
        return outcome in ("handled", "dead")

    async def test_s09_what_is_given_back_counts_no_attempt(self) -> None:
        """A running delivery that its process does not run after all is due, and the attempt does not count."""
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "a"))
        for _ in range(3):
            [found] = await self.due(store, consumer)
            assert found.attempts == 1
            async with store.transaction() as unit:
                await unit.parking.give_back([found], NOW)

    async def test_s09_what_is_done_with_is_not_given_back(self) -> None:
        """Who gives back what it has recorded meanwhile changes nothing: handled and dead stay so, a retry keeps its
        instant and its attempts, and a letter that holds its key goes on holding it.
        """
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, *(self.delivery(consumer, key, attempts=1) for key in "abcd"))
        handled, dead, failed, held = found = await self.due(store, consumer)
        await self.settle(store, handled)
        await self.settle(store, dead, dead=True)
        async with store.transaction() as unit:
            await unit.parking.postpone(failed, NOW + 60)
        await self.bury(store, self.letter(held), hold=held)
        before = await self.standing(store, consumer)
        assert [(each.state, each.delivery.attempts) for each in before] == [
            ("handled", 2), ("dead", 2), ("due", 2), ("held", 2),
        ]  # fmt: skip
        async with store.transaction() as unit:
            await unit.parking.give_back(found, NOW)
        assert await self.standing(store, consumer) == before
        assert await store.next_due(consumer) == NOW + 60

    @requires("shared")
    async def test_s09_what_a_killed_process_was_running_is_due_again(self) -> None:
        """Deliveries that it parked as running, and those that fell due to it, are due again, and the attempt that it
        had begun counts.
        """
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "due"))
        player = await self.player("scene_runs", consumer)
        await player.hears("running")
        await player.kill()
        assert await self._reclaimed(store, consumer, 2) == {"due": 2, "fresh": 2}

    async def scene_runs(self, prompter: Prompter, consumer: str) -> None:
        """Run two deliveries, and settle them when told to."""
        store = await self.store()
        running = await self.due(store, consumer)
        running += await self.park(store, self.delivery(consumer, "fresh", attempts=1), state="running")
        prompter.say("running")
        await prompter.hear("settle")
        await self.settle(store, *running)
        prompter.say("settled")

    @requires("shared")
    async def test_s09_what_a_closed_store_was_running_is_due_again(self) -> None:
        """A process that closes its store and lives on no longer runs anything."""
        store, consumer = await self.store(), self.new_consumer()
        closing = await self.store()
        await self.park(closing, self.delivery(consumer, "fresh", attempts=1), state="running")
        await closing.close()
        assert await self._reclaimed(store, consumer, 1) == {"fresh": 2}

    async def _reclaimed(self, store: Store, consumer: str, count: int) -> dict[str | None, int]:
        """What dead processes were running, by key: the number of the attempt that is about to begin."""
        found: dict[str | None, int] = {}

        async def all_due() -> bool:
            await store.reclaim(time.time())
            found.update({parked.key: parked.attempts for parked in await self.due(store, consumer)})
            return len(found) >= count

        await self.eventually(all_due, "what a dead process was running")
        return found

    @requires("shared")
    async def test_s09_a_process_that_was_taken_for_dead_runs_nothing_any_more(self) -> None:
        """What was reclaimed from it is the process's that runs it now, and not its own, should it live after all."""
        store, consumer = await self.store(), self.new_consumer()
        late = await self.store()
        parked = await self.park(late, self.delivery(consumer, "fresh", attempts=1), state="running")
        ids = {each.id for each in parked}
        assert (await self.running(late, ids), await self.running(store, ids)) == (ids, set[int]())
        await late.close()
        assert await self._reclaimed(store, consumer, 1) == {"fresh": 2}
        await late.open()
        assert (await self.running(late, ids), await self.running(store, ids)) == (set[int](), ids)
        await self.settle(store, *parked)
        assert await self.running(store, ids) == set()

    async def running(self, store: Store, ids: set[int]) -> set[int]:
        """Which of these this store's process is running."""
        async with store.transaction() as unit:
            return await unit.parking.running(sorted(ids))

    @requires("shared")
    async def test_s10_what_a_living_process_runs_is_its_own(self) -> None:
        """While the process that runs a delivery lives, nobody else is given it, however often they reclaim; once it is
        settled there, nobody ever is.
        """
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "due"))
        player = await self.player("scene_runs", consumer)
        await player.hears("running")
        waiting = await self.park(store, self.delivery(consumer, "due"), state="behind")
        for _ in range(3):
            await store.reclaim(time.time())
            assert await self.due(store, consumer, now=NOW + 1000) == []
        assert {each.state for each in await self.standing(store, consumer)} == {"running", "behind"}
        await player.tell("settle")
        await player.hears("settled")
        await store.reclaim(time.time())
        found = await self.due(store, consumer, now=NOW + 1000)
        assert [parked.id for parked in found] == [parked.id for parked in waiting]

    @requires("shared")
    async def test_s10_two_processes_are_never_given_the_same_delivery(self) -> None:
        """Of stores that ask at once for what is due, each delivery is given to one."""
        stores, consumer = [await self.store(), await self.store()], self.new_consumer()
        await self.park(stores[0], *(self.delivery(consumer, f"key {number}") for number in range(40)))
        lots = await asyncio.gather(*(self.due(stores[number % 2], consumer, limit=5) for number in range(8)))
        given = [parked.id for lot in lots for parked in lot]
        assert len(given) == len(set(given)) == 40

    async def test_s21_what_a_process_runs_is_told_as_the_store_knows_it(self) -> None:
        """Whatever is running and its own, claimed either way, with its attempts; nothing of others, nothing else."""
        store, consumer, other = await self.store(), self.new_consumer(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "due"))
        [claimed] = await self.due(store, consumer)
        begun = await self.park(store, self.delivery(consumer, "begun"), state="running")
        await self.park(store, self.delivery(consumer, "waits"), due_at=NOW + 5)
        await self.park(store, self.delivery(other, "due"), state="running")
        assert await self.owned(store, consumer) == sorted([claimed, *begun], key=lambda parked: parked.id)
        async with store.transaction() as unit:
            await unit.parking.give_back([claimed], NOW)
            await unit.parking.settle(begun, "handled", NOW)
        assert await self.owned(store, consumer) == []

    @requires("shared")
    async def test_s21_what_another_process_runs_is_not_told(self) -> None:
        """Two that share a store each know their own."""
        stores, consumer = [await self.store(), await self.store()], self.new_consumer()
        begun = [await self.park(store, self.delivery(consumer, "a"), state="running") for store in stores]
        assert [await self.owned(store, consumer) for store in stores] == begun

    async def owned(self, store: Store, consumer: str) -> list[Parked]:
        """What the store says that it runs of this consumer."""
        async with store.transaction() as unit:
            return await unit.parking.owned(consumer)
