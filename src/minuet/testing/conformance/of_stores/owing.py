"""The outbox: S05, S06."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from minuet.ports.broker import size_bytes_of
from minuet.ports.store import Owed, Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, StoreBench, messages_of
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import rolled_back
from minuet.testing.conformance.suite import yielding


class Owing(StoreBench):
    """What the store's services owe the broker."""

    async def test_s05_what_is_owed_comes_in_the_order_of_its_owing(self) -> None:
        """Messages of several units come back oldest first, as they were, however many are asked for at a time."""
        store = await self.drained()
        batch = [self.message(self.new_name("Topic"), number) for number in range(30)]
        for start, end in ((0, 10), (10, 13), (13, 30)):
            await self.owe(store, *batch[start:end], at=NOW + start)
        found: list[Owed] = []
        while owed := await store.claim_owed(4):
            assert len(owed) <= 4
            assert len(found) < len(batch)
            await store.paid(owed)
            found += owed
        assert [row.message for row in found] == batch
        assert [row.at for row in found[9:11]] == [NOW, NOW + 10]

    async def test_s05_no_more_is_given_than_is_asked_for(self) -> None:
        """Bodies are counted too, or a batch of large ones would be as large as it likes. Only the last that is given
        may go beyond what was asked for, however large it is.
        """
        store = await self.drained()
        topic = self.new_name("Topic")
        bodies = (b"x" * 100, "\u6f22" * 100, "x" * 300, b"x" * 300, "x" * 5000, b"x" * 100, b"x" * 100)
        batch = [msgspec.structs.replace(self.message(topic, n), body=body) for n, body in enumerate(bodies)]
        await self.owe(store, *batch)
        found: list[list[int]] = []
        while owed := await store.claim_owed(100, limit_bytes=700):
            assert len(found) < len(batch)
            found.append([size_bytes_of(row.message.body) for row in owed])
            await store.paid(owed)
        assert found == [[100, 300, 300], [300, 5000], [100, 100]]

    async def test_s05_what_is_published_is_never_owed_again(self) -> None:
        """What was paid comes neither now nor after the next owing."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(6)]
        await self.owe(store, *batch[:4])
        owed = await store.claim_owed(100)
        await store.paid(owed[:3])
        await store.unclaim(owed[3:])
        await self.owe(store, *batch[4:])
        assert messages_of(await store.claim_owed(100)) == [message.id for message in batch[3:]]

    async def test_s05_what_could_not_be_published_keeps_its_place(self) -> None:
        """Rows that are given back come again before later ones, in their old order."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(9)]
        await self.owe(store, *batch[:5])
        for _ in range(3):
            owed = await store.claim_owed(5)
            assert messages_of(owed) == [message.id for message in batch[:5]]
            await store.unclaim(owed[::-1])
        await self.owe(store, *batch[5:])
        assert messages_of(await store.claim_owed(100)) == [message.id for message in batch]

    async def test_s05_what_is_not_committed_is_not_owed(self) -> None:
        """While a unit is open nobody is given what it owes, and after a rollback nobody ever is."""
        store = await self.drained()
        never, later = self.message("Topic", 1), self.message("Topic", 2)
        async with rolled_back(store) as unit:
            await unit.outbox.owe([never], NOW)
            claiming = asyncio.create_task(store.claim_owed(100))
            await yielding()
        assert messages_of(await self.soon(claiming, "a relay's claim")) == []
        await self.owe(store, later)
        assert messages_of(await store.claim_owed(100)) == [later.id]

    async def test_s06_a_row_that_is_held_is_given_to_nobody_else(self) -> None:
        """Who asks while another holds rows is given none of those."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(10)]
        await self.owe(store, *batch)
        held = await store.claim_owed(4)
        claims = await self.soon(asyncio.gather(*(store.claim_owed(3) for _ in range(4))), "four claims at once")
        rows = [row for claim in [held, *claims] for row in claim]
        assert max(Counter(row.id for row in rows).values()) == 1

    async def test_s06_a_claim_ends_with_its_lease(self) -> None:
        """Then the rows are another's, in their order, and who held them before can neither pay nor give them back."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(4)]
        await self.owe(store, *batch)
        stalled = await store.claim_owed(3, lease_seconds=0.0)
        held = await store.claim_owed(100)
        assert messages_of(held) == [message.id for message in batch]
        await store.paid(stalled)
        await store.unclaim(stalled)
        assert messages_of(await store.owed()) == [message.id for message in batch]
        assert await store.claim_owed(100) == []
        await store.paid(held)
        assert await store.owed() == []

    async def test_s06_rows_of_other_topics_are_given(self) -> None:
        """Whoever leaves a topic out is given what is owed of the others, in order, and of that one nothing."""
        store = await self.drained()
        batch = [self.message("Dead" if number % 2 else "Alive", number) for number in range(6)]
        await self.owe(store, *batch)
        assert messages_of(await store.claim_owed(2, without=["Dead"])) == [batch[0].id, batch[2].id]
        assert messages_of(await store.claim_owed(100)) == [batch[1].id, *(message.id for message in batch[3:])]

    @requires("shared")
    async def test_s06_relays_that_race_publish_each_row_once(self) -> None:
        """Four relays on two stores, claiming and paying at once, get each row once between them."""
        stores = [await self.drained(), await self.store()]
        batch = [self.message("Topic", number) for number in range(100)]
        for start in range(0, 100, 25):
            await self.owe(stores[0], *batch[start : start + 25])
        published: list[str | None] = []

        async def relay(store: Store) -> None:
            while len(published) < len(batch):
                owed = await store.claim_owed(7)
                await yielding(2)
                published.extend(messages_of(owed))
                await store.paid(owed)

        await self.soon(asyncio.gather(*(relay(stores[number % 2]) for number in range(4))), "a hundred messages")
        assert sorted(map(str, published)) == sorted(str(message.id) for message in batch)

    @requires("shared")
    async def test_s06_a_dead_relays_rows_come_free(self) -> None:
        """What a relay in another process holds is its own while it lives, and others', in order, once it is killed."""
        store = await self.drained()
        batch = [self.message("Topic", number) for number in range(6)]
        await self.owe(store, *batch)
        player = await self.player("scene_holds_rows")
        assert await player.hears("holds") == [str(message.id) for message in batch[:4]]
        mine = await store.claim_owed(100)
        assert set(messages_of(mine)) <= {message.id for message in batch[4:]}
        await store.unclaim(mine)
        await player.kill()
        found: list[str | None] = []

        async def all_free() -> bool:
            found.extend(messages_of(await store.claim_owed(100)))
            return len(found) >= len(batch)

        await self.eventually(all_free, "the rows of a dead relay")
        assert found == [message.id for message in batch]

    async def scene_holds_rows(self, prompter: Prompter) -> None:
        """Hold four rows until killed."""
        store = await self.store()
        prompter.say("holds", *map(str, messages_of(await store.claim_owed(4))))
        await prompter.hear("nothing")
