"""What may be forgotten, and looking without touching: S14, S17."""

from __future__ import annotations

from minuet.ports.store import DeadLetterFilter, Parked, ParkedFilter, Store
from minuet.testing.conformance.of_stores.bench import SOURCE, StoreBench, messages_of

OLD, BOUND, YOUNG = 1000.0, 2000.0, 3000.0
"""Instants of 1970, so that trimming between them touches nothing of anybody else's."""


class Looking(StoreBench):
    """The store's own books."""

    async def trim_all(self, store: Store) -> int:
        """Forget all that may be forgotten; how much that was."""
        total = 0
        for _ in range(1000):
            if not (gone := await store.trim(BOUND)):
                return total
            total += gone
        raise AssertionError("there is always more to forget")

    async def test_s14_trimming_forgets_what_is_old_and_settled(self) -> None:
        """Settled deliveries, identities and settled letters from before the bound go and are counted; younger ones
        stay.
        """
        store, consumer = await self.store(), self.new_consumer()
        for at in (OLD, YOUNG):
            await self.remember(store, consumer, (SOURCE, f"at {at}"), at=at)
            dead = await self.park(store, self.delivery(consumer, f"dead at {at}"))
            await self.settle(store, *dead, dead=True, at=at)
            letter = await self.bury(store, self.letter(self.delivery(consumer, f"discarded at {at}"), at=at))
            await self.discard(store, letter, at)
            letter = await self.bury(store, self.letter(self.delivery(consumer, f"resolved at {at}"), at=at))
            await self.redrive(store, letter, at)
            await self.settle(store, *await self.due(store, consumer, now=at), at=at)
        assert await self.trim_all(store) >= 4
        assert await self.seen(store, consumer, (SOURCE, f"at {OLD}"), (SOURCE, f"at {YOUNG}")) == {
            (SOURCE, f"at {YOUNG}")
        }
        assert f"dead at {OLD}" not in {each.delivery.key for each in await self.standing(store, consumer)}
        assert {letter.key for letter in await self.letters_of(store, consumer)} == {
            f"discarded at {YOUNG}",
            f"resolved at {YOUNG}",
        }

    async def test_s14_trimming_keeps_what_a_dead_letter_needs(self) -> None:
        """Open and redriven letters stay, however old, and with them the identities that keep their events from being
        taken for new ones.
        """
        store, consumer, other = await self.store(), self.new_consumer(), self.new_consumer()
        letters = {
            state: await self.bury(store, self.letter(self.delivery(consumer, state), at=OLD))
            for state in ("open", "redriven", "resolved")
        }
        identities = {state: (SOURCE, str(letter.event_id)) for state, letter in letters.items()}
        for reader in (consumer, other):
            await self.remember(store, reader, *identities.values(), at=OLD)
        await self.redrive(store, letters["resolved"], OLD)
        await self.settle(store, *await self.due(store, consumer, now=OLD), at=OLD)
        await self.redrive(store, letters["redriven"], OLD)
        await self.trim_all(store)
        assert {letter.key: letter.state for letter in await self.letters_of(store, consumer)} == {
            "open": "open",
            "redriven": "redriven",
        }
        kept = {identities["open"], identities["redriven"]}
        assert await self.seen(store, consumer, *identities.values()) == kept
        assert [parked.key for parked in await self.due(store, consumer, now=OLD)] == ["redriven"]

    async def test_s14_trimming_keeps_what_a_parked_delivery_needs(self) -> None:
        """Unsettled deliveries stay, whether due, behind, running or held, and so do their identities."""
        store, consumer = await self.store(), self.new_consumer()
        parked: list[Parked] = []
        parked += await self.park(store, self.delivery(consumer, "a"), due_at=OLD)
        parked += await self.park(store, self.delivery(consumer, "a"), state="behind")
        parked += await self.park(store, self.delivery(consumer, "b"), state="running")
        held = self.delivery(consumer, "c", attempts=1)
        letter = await self.bury(store, self.letter(held, at=OLD), hold=held)
        identities = [(SOURCE, str(each.event_id)) for each in (*parked, held)]
        gone = (SOURCE, self.new_name("id"))
        await self.remember(store, consumer, *identities, gone, at=OLD)
        await self.trim_all(store)
        assert [each.state for each in await self.standing(store, consumer)] == ["due", "behind", "running", "held"]
        assert await self.seen(store, consumer, *identities, gone) == set(identities)
        assert (await self.read_letter(store, letter.id)).state == "open"

    async def test_s17_parked_deliveries_are_shown_as_they_stand(self) -> None:
        """Each with its state and instants, oldest first, narrowed by each word of the filter; looking runs none."""
        store, consumer = await self.store(), self.new_consumer()
        [due] = await self.park(store, self.delivery(consumer, "a"), due_at=OLD)
        [behind] = await self.park(store, self.delivery(consumer, "a"), state="behind")
        [running] = await self.park(store, self.delivery(consumer, "b", attempts=1), state="running")
        dead = await self.park(store, self.delivery(consumer, "c"))
        await self.settle(store, *dead, dead=True, at=YOUNG)
        shown = await store.parked(ParkedFilter(consumer=consumer))
        for shown_again in (shown, await store.parked(ParkedFilter(consumer=consumer))):
            assert [(each.delivery.id, each.state, each.due_at, each.settled_at) for each in shown_again] == [
                (due.id, "due", OLD, None),
                (behind.id, "behind", None, None),
                (running.id, "running", None, None),
                (dead[0].id, "dead", None, YOUNG),
            ]
        assert [each.delivery.attempts for each in shown[:3]] == [0, 0, 1]
        assert shown[0].delivery == due

        async def found(which: ParkedFilter) -> list[int]:
            return [each.delivery.id for each in await store.parked(which)]

        assert await found(ParkedFilter(consumer=consumer, key="a")) == [due.id, behind.id]
        assert await found(ParkedFilter(consumer=consumer, unsettled=True)) == [due.id, behind.id, running.id]
        assert await found(ParkedFilter(consumer=consumer, states=("behind", "dead"))) == [behind.id, dead[0].id]
        assert await found(ParkedFilter(event_ids=(str(behind.event_id),))) == [behind.id]
        assert len(await store.parked(ParkedFilter(consumer=consumer), 2)) == 2
        assert [parked.id for parked in await self.due(store, consumer, now=OLD)] == [due.id]

    async def test_s17_what_is_owed_is_shown_and_not_held(self) -> None:
        """Looking at the outbox holds nothing, and shows also what a relay holds."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(4)]
        await self.owe(store, *batch)
        ids = [message.id for message in batch]
        assert messages_of(await store.owed()) == ids
        assert messages_of(await store.claim_owed(100)) == ids
        assert messages_of(await store.owed(3)) == ids[:3]

    async def test_s17_a_survey_says_what_a_letter_says(self) -> None:
        """The heads of letters agree with the letters, and surveying changes none."""
        store, consumer = await self.store(), self.new_consumer()
        letters = [await self.bury(store, self.letter(self.delivery(consumer, key), at=OLD)) for key in ("a", None)]
        which = DeadLetterFilter(consumer=consumer)
        for _ in range(2):
            heads = await store.survey_dead_letters(which)
            assert len(heads) == len(letters)
            for head, letter in zip(heads, letters, strict=True):
                for name in head.__struct_fields__:
                    assert getattr(head, name) == getattr(letter, name), name
        assert await self.letters_of(store, consumer) == letters

    async def test_s17_an_examination_tells_and_changes_nothing(self) -> None:
        """A new store finds nothing wrong with itself, in sentences, twice the same."""
        store, consumer = await self.store(), self.new_consumer()
        await self.park(store, self.delivery(consumer, "a"), due_at=OLD)
        examined = await store.examine()
        assert [each.subject for each in examined] == [each.subject for each in await store.examine()]
        assert all(each.subject and each.found for each in examined)
        assert len(await self.due(store, consumer, now=OLD)) == 1
