"""What is held from its birth: S22."""

from __future__ import annotations

from collections.abc import Sequence

from minuet.ports.broker import Message
from minuet.ports.store import Owed, Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, StoreBench, messages_of
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import rolled_back


class Holding(StoreBench):
    """What a process owes and publishes without a claim."""

    def keyed(self, key: str | None, number: int) -> Message:
        """A message of this key, or of none."""
        made = self.message("Topic", number)
        return Message(made.topic, key, made.id, made.source, made.headers, made.body)

    async def claimed(self, store: Store, count: int) -> list[Owed]:
        """So many rows as claims give them, one after another."""
        found: list[Owed] = []

        async def enough() -> bool:
            found.extend(await store.claim_owed(100))
            return len(found) >= count

        await self.eventually(enough, f"{count} rows that nobody holds")
        return found

    @requires("holds")
    async def test_s22_what_is_held_is_given_to_nobody(self) -> None:
        """It is what was owed, in its order; nobody is given it, it is shown as owed, and once paid it is not."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(9)]
        held = await self.owe_held(store, *batch)
        assert [row.message for row in held] == batch
        assert [row.id for row in held] == sorted(row.id for row in held)
        assert await store.claim_owed(100) == []
        assert messages_of(await store.owed()) == messages_of(held)
        await store.paid(held)
        assert await store.owed() == []

    @requires("holds")
    async def test_s22_what_is_not_committed_is_not_held(self) -> None:
        """After a rollback nothing is owed."""
        store = await self.drained()
        async with rolled_back(store) as unit:
            await unit.outbox.owe_held([self.keyed("a", 1)], NOW, series=0)
        assert await store.owed() == []

    @requires("holds")
    async def test_s22_of_a_key_of_which_something_is_owed_nothing_is_held(self) -> None:
        """It keeps its place behind that, and comes after it; what has another key, or none, is held."""
        store = await self.drained()
        first, second, other, none = (self.keyed(key, number) for number, key in enumerate(("a", "a", "b", None)))
        await self.owe(store, first)
        held = await self.owe_held(store, second, other, none)
        assert messages_of(held) == [other.id, none.id]
        claimed = await store.claim_owed(1)
        assert messages_of(claimed) == [first.id]
        assert await self.owe_held(store, self.keyed("a", 5)) == []
        assert messages_of(await store.claim_owed(1)) == [second.id]

    @requires("holds")
    async def test_s22_what_is_owed_after_what_is_held_waits_for_it(self) -> None:
        """Of its key alone, whoever owes it, until it is paid; it takes no room from what may be given."""
        store = await self.drained()
        first, second, other = (self.keyed(key, number) for number, key in enumerate(("a", "a", "b")))
        held = await self.owe_held(store, first)
        await self.owe(store, second, other)
        assert messages_of(await store.claim_owed(100, limit_bytes=1)) == [other.id]
        await store.paid(held)
        assert messages_of(await self.claimed(store, 1)) == [second.id]

    @requires("holds")
    async def test_s22_another_series_overtakes_nothing(self) -> None:
        """Of a key that was held in an earlier series nothing is held, and given back, it comes in its order."""
        store = await self.drained()
        first, second = self.keyed("a", 1), self.keyed("a", 2)
        held = await self.owe_held(store, first, series=1)
        assert await self.owe_held(store, second, series=10) == []
        await store.unclaim(held)
        assert messages_of(await self.claimed(store, 2)) == [first.id, second.id]

    @requires("holds")
    async def test_s22_what_is_held_comes_free_with_its_lease(self) -> None:
        """Then it is another's, in its order, and who held it can neither pay nor give it back."""
        store = await self.drained()
        batch = [self.keyed("a", number) for number in range(3)]
        stalled = await self.owe_held(store, *batch, lease_seconds=0.0)
        claimed = await self.claimed(store, 3)
        assert messages_of(claimed) == messages_of(stalled) == [message.id for message in batch]
        await store.paid(stalled)
        await store.unclaim(stalled)
        assert messages_of(await store.owed()) == [message.id for message in batch]
        assert await store.claim_owed(100) == []

    @requires("holds")
    @requires("shared")
    async def test_s22_what_another_process_holds_is_its_own_until_it_dies(self) -> None:
        """Nothing of its key is held or given here meanwhile; then all of it comes, in its order."""
        store = await self.drained()
        player = await self.player("scene_holds_from_birth")
        theirs = await player.hears("holds")
        mine = self.keyed("a", 9)
        assert await self.owe_held(store, mine) == []
        assert await store.claim_owed(100) == []
        await player.kill()
        assert messages_of(await self.claimed(store, 3)) == [*theirs, str(mine.id)]

    async def scene_holds_from_birth(self, prompter: Prompter) -> None:
        """Hold two messages of one key until killed."""
        store = await self.store()
        held: Sequence[Owed] = await self.owe_held(store, self.keyed("a", 1), self.keyed("a", 2))
        prompter.say("holds", *map(str, messages_of(held)))
        await prompter.hear("nothing")
