"""Dead letters, redrive and hold: S11, S12, S13."""

from __future__ import annotations

import asyncio

import msgspec

from minuet.ports.store import Attempt, DeadLetter, DeadLetterFilter, Parked, ParkedFilter, Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, StoreBench
from minuet.testing.conformance.process import Prompter


class Burying(StoreBench):
    """Deliveries given up on."""

    async def die(self, store: Store, parked: Parked, *, hold: bool = False, at: float = NOW) -> DeadLetter:
        """A parked delivery's last attempt failed: bury it as the runtime does."""
        failed = msgspec.structs.replace(parked, history=(*parked.history, Attempt(at=at, error=f"at {at}")))
        async with store.transaction() as unit:
            number = await unit.dead_letters.bury(self.letter(failed, at=at), hold=failed if hold else None)
            if parked.id and not hold:
                await unit.parking.settle([failed], "dead", at)
        return await self.read_letter(store, number)

    async def test_s11_a_dead_letter_keeps_everything(self) -> None:
        """Reason, error, trace, attempts, history, headers and the original bytes come back as they were buried."""
        store, consumer = await self.store(), self.new_consumer()
        for body, headers in ((b"\x00\xff\xfe", None), ("\u00fc\u2713", {"x-strange": "\u2028"}), (b"", {})):
            parked = msgspec.structs.replace(self.delivery(consumer, "a"), body=body, headers=headers)
            letter = self.letter(parked)
            found = await self.bury(store, letter)
            assert found.id
            assert found == msgspec.structs.replace(letter, id=found.id)
            assert found in await self.letters_of(store, consumer)

    async def test_s11_letters_are_found_by_every_word(self) -> None:
        """Each word of a filter narrows what is found; a consumer may be named by its service; oldest come first."""
        store, consumer = await self.store(), self.new_consumer()
        first = await self.bury(store, self.letter(self.delivery(consumer, "a")))
        second = await self.bury(store, self.letter(self.delivery(f"{consumer}_more", "b"), at=NOW + 1))
        await self.discard(store, second)
        service = consumer.partition(".")[0]

        async def found(**words: str | None) -> list[int]:
            which = msgspec.convert({"state": None, "consumer": service, **words}, DeadLetterFilter)
            letters = await store.list_dead_letters(which)
            assert [head.id for head in await store.survey_dead_letters(which)] == [letter.id for letter in letters]
            return [letter.id for letter in letters]

        assert await found() == [first.id, second.id]
        assert await found(consumer=consumer) == [first.id]
        assert await found(consumer=consumer[:-1]) == []
        assert await found(state="open") == [first.id]
        assert await found(state="discarded") == [second.id]
        assert await found(key="b") == [second.id]
        assert await found(correlation_id=first.correlation_id) == [first.id]
        assert await found(reason="payload") == []
        assert await found(topic="Happened") == [first.id, second.id]
        assert await found(topic="Nothing") == []
        which = DeadLetterFilter(state=None, event_ids=(str(first.event_id),), ids=(first.id, second.id))
        assert [letter.id for letter in await store.list_dead_letters(which)] == [first.id]

    @requires("persistent")
    async def test_s11_a_dead_letter_outlives_its_process(self) -> None:
        """What a process buried before it was killed is there, its bytes and its history too."""
        store, consumer = await self.store(), self.new_consumer()
        player = await self.player("scene_buries", consumer)
        await player.hears("buried")
        await player.kill()
        [letter] = await self.letters_of(store, consumer)
        expected = self.letter(self.delivery(consumer, "a"))
        changing = {"id", "event_id", "correlation_id"}
        for name in set(DeadLetter.__struct_fields__) - changing:
            assert getattr(letter, name) == getattr(expected, name), name

    async def scene_buries(self, prompter: Prompter, consumer: str) -> None:
        """Bury a letter, and wait to be killed."""
        store = await self.store()
        await self.bury(store, self.letter(self.delivery(consumer, "a")))
        prompter.say("buried")
        await prompter.hear("nothing")

    async def test_s11_a_letter_that_dies_again_keeps_every_attempt(self) -> None:
        """Redriven and dead once more it is the same letter, open again, with the attempts of all its lives."""
        store, consumer = await self.store(), self.new_consumer()
        for hold in (False, True):
            key = f"hold {hold}"
            [parked] = await self.park(store, self.delivery(consumer, key))
            [running] = await self.due(store, consumer)
            letter = await self.die(store, running, hold=hold)
            for life in range(1, 4):
                assert len(letter.history) == letter.attempts == life
                assert (letter.state, letter.body) == ("open", parked.body)
                assert await self.redrive(store, letter, NOW + life)
                [running] = await self.due(store, consumer, now=NOW + life)
                assert (running.dead_letter, running.attempts) == (letter.id, 1)
                again = await self.die(store, running, hold=hold, at=NOW + life)
                assert again.id == letter.id
                letter = again
            assert [attempt.error for attempt in letter.history] == [f"at {NOW + life}" for life in range(4)]
            assert await self.discard(store, letter)

    async def test_s12_a_redriven_letter_goes_to_its_consumer_alone(self) -> None:
        """It falls due to the consumer that failed, as it was, and to no other; handled, it is resolved."""
        store, consumer, other = await self.store(), self.new_consumer(), self.new_consumer()
        parked = self.delivery(consumer, "a")
        letter = await self.bury(store, self.letter(parked))
        assert await self.redrive(store, letter)
        assert (await self.read_letter(store, letter.id)).state == "redriven"
        assert await self.due(store, other, now=NOW + 1000) == []
        [found] = await self.due(store, consumer)
        for name in ("topic", "key", "event_id", "source", "headers", "body"):
            assert getattr(found, name) == getattr(parked, name), name
        assert (found.attempts, found.dead_letter) == (1, letter.id)
        await self.settle(store, found)
        resolved = await self.read_letter(store, letter.id)
        assert (resolved.state, resolved.body) == ("resolved", parked.body)

    async def test_s12_redriving_twice_is_once(self) -> None:
        """Of ten that redrive a letter at once one does; afterwards it is neither redriven nor discarded, and once
        discarded it is not redriven.
        """
        store, consumer = await self.store(), self.new_consumer()
        letter = await self.bury(store, self.letter(self.delivery(consumer, "a")))
        done = await self.soon(asyncio.gather(*(self.redrive(store, letter) for _ in range(10))), "ten redrives")
        assert sorted(done) == [False] * 9 + [True]
        assert not await self.discard(store, letter)
        assert len(await self.due(store, consumer, now=NOW + 1000)) == 1
        other = await self.bury(store, self.letter(self.delivery(consumer, "b")))
        assert await self.discard(store, other)
        assert not await self.discard(store, other)
        assert not await self.redrive(store, other)
        assert await self.due(store, consumer, now=NOW + 1000) == []
        assert (await self.read_letter(store, other.id)).state == "discarded"

    @requires("shared")
    async def test_s12_of_two_processes_one_redrives(self) -> None:
        """Two stores that redrive the same letters at once redrive each of them once."""
        stores, consumer = [await self.store(), await self.store()], self.new_consumer()
        letters = [await self.bury(stores[0], self.letter(self.delivery(consumer, None))) for _ in range(10)]
        done = await self.soon(
            asyncio.gather(*(self.redrive(store, letter) for letter in letters for store in stores)), "twenty redrives"
        )
        assert sum(done) == len(letters)
        assert len(await self.due(stores[1], consumer)) == len(letters)

    async def test_s12_a_redriven_letter_waits_behind_its_key(self) -> None:
        """While something of its key is unsettled, a redriven letter waits behind it."""
        store, consumer = await self.store(), self.new_consumer()
        letter = await self.bury(store, self.letter(self.delivery(consumer, "a")))
        await self.park(store, self.delivery(consumer, "a"), due_at=NOW + 10)
        assert await self.redrive(store, letter)
        assert await self.due(store, consumer) == []
        [before] = await self.due(store, consumer, now=NOW + 10)
        assert before.dead_letter is None
        await self.settle(store, before, at=NOW + 11)
        assert [found.dead_letter for found in await self.due(store, consumer, now=NOW + 11)] == [letter.id]

    async def test_s12_an_edit_is_redriven_and_its_difference_kept(self) -> None:
        """The consumer is given the edited bytes; the letter keeps what was changed, and the original bytes."""
        store, consumer = await self.store(), self.new_consumer()
        for hold in (False, True):
            letter = await self.die(store, self.delivery(consumer, f"hold {hold}"), hold=hold)
            edited = msgspec.structs.replace(letter, body=b"edited", difference="-\u00fc\n+edited")
            assert await self.redrive(store, edited)
            [found] = await self.due(store, consumer)
            assert (found.body, found.event_id) == (b"edited", letter.event_id)
            kept = await self.read_letter(store, letter.id)
            assert (kept.body, kept.difference) == (letter.body, "-\u00fc\n+edited")

    async def test_s13_with_hold_later_ones_wait_until_it_is_handled(self) -> None:
        """What came before it died and what comes after waits while the letter is open, and while it is redriven, until
        it is handled; other keys go on.
        """
        store, consumer = await self.store(), self.new_consumer()
        for fresh in (False, True):
            key, first = f"fresh {fresh}", self.delivery(consumer, f"fresh {fresh}", attempts=1)
            if not fresh:
                await self.park(store, msgspec.structs.replace(first, attempts=0))
                [first] = await self.due(store, consumer)
            letter = await self.die(store, first, hold=True)
            assert await self.blocked(store, consumer, key) == {key}
            later = await self.park(store, self.delivery(consumer, key), self.delivery(consumer, key), state="behind")
            [passing] = await self.park(store, self.delivery(consumer, "another"))
            assert await store.waiting_behind(letter) == 2
            assert [found.id for found in await self.due(store, consumer, now=NOW + 1000)] == [passing.id]
            await self.settle(store, passing)
            assert await self.redrive(store, letter)
            [redriven] = await self.due(store, consumer, now=NOW + 1000)
            assert redriven.event_id == letter.event_id
            await self.settle(store, redriven)
            assert (await self.read_letter(store, letter.id)).state == "resolved"
            for expected in later:
                [found] = await self.due(store, consumer, now=NOW + 1000)
                assert found.id == expected.id
                await self.settle(store, found)

    async def test_s13_with_hold_later_ones_go_on_once_it_is_discarded(self) -> None:
        """Given up for good, the letter stands in nobody's way, and says why it was."""
        store, consumer = await self.store(), self.new_consumer()
        letter = await self.die(store, self.delivery(consumer, "a", attempts=1), hold=True)
        [later] = await self.park(store, self.delivery(consumer, "a"), state="behind")
        assert await self.due(store, consumer, now=NOW + 1000) == []
        assert await self.discard(store, msgspec.structs.replace(letter, because="a test order"))
        assert [found.id for found in await self.due(store, consumer, now=NOW + 1000)] == [later.id]
        discarded = await self.read_letter(store, letter.id)
        assert (discarded.state, discarded.because) == ("discarded", "a test order")

    async def test_s13_with_hold_it_holds_again_when_it_dies_again(self) -> None:
        """A held letter that is redriven and dies once more holds its key as before."""
        store, consumer = await self.store(), self.new_consumer()
        letter = await self.die(store, self.delivery(consumer, "a", attempts=1), hold=True)
        [later] = await self.park(store, self.delivery(consumer, "a"), state="behind")
        assert await self.redrive(store, letter)
        [redriven] = await self.due(store, consumer, now=NOW + 1000)
        again = await self.die(store, redriven, hold=True)
        assert await self.due(store, consumer, now=NOW + 1000) == []
        assert await store.waiting_behind(again) == 1
        assert await self.discard(store, again)
        assert [found.id for found in await self.due(store, consumer, now=NOW + 1000)] == [later.id]

    async def test_s13_a_letter_of_long_names_is_found_and_holds_its_key(self) -> None:
        """Names of thousands of characters, which others chose, find a letter, and what waits behind it goes on when
        it is handled.
        """
        store, consumer = await self.store(), self.new_consumer()
        named = {"key": self.long_name(), "event_id": self.long_name(), "source": self.long_name()}
        first = msgspec.structs.replace(self.delivery(consumer, attempts=1), **named)
        instance = self.long_name()
        async with store.transaction() as unit:
            letter = msgspec.structs.replace(self.letter(first), correlation_id=instance)
            number = await unit.dead_letters.bury(letter, hold=first)
        [later] = await self.park(store, self.delivery(consumer, first.key), state="behind")
        which = {"consumer": consumer, "state": "open"}
        for words in ({"key": first.key}, {"event_ids": (first.event_id,)}, {"correlation_id": instance}):
            found = await store.list_dead_letters(msgspec.convert({**which, **words}, DeadLetterFilter))
            assert [each.id for each in found] == [number]
        standing = await store.parked(ParkedFilter(event_ids=(str(first.event_id),), key=first.key))
        assert [each.state for each in standing] == ["held"]
        [letter] = await self.letters_of(store, consumer)
        assert await store.waiting_behind(letter) == 1
        assert await self.blocked(store, consumer, str(first.key)) == {first.key}
        assert await self.redrive(store, letter)
        [redriven] = await self.due(store, consumer)
        await self.settle(store, redriven)
        assert [found.id for found in await self.due(store, consumer)] == [later.id]

    async def test_s13_without_hold_later_ones_go_on(self) -> None:
        """A letter that does not hold its key lets the next one pass at once."""
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "a"))
        [later] = await self.park(store, self.delivery(consumer, "a"), state="behind")
        [first] = await self.due(store, consumer)
        await self.die(store, first)
        assert [found.id for found in await self.due(store, consumer)] == [later.id]
