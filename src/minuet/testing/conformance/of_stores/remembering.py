"""The inbox: S03, S04."""

from __future__ import annotations

import asyncio

from minuet.ports.store import Store
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.of_stores.bench import NOW, SOURCE, StoreBench
from minuet.testing.conformance.process import Prompter
from minuet.testing.conformance.rows import add_row, words_of
from minuet.testing.conformance.suite import yielding

ATTEMPTS = 20
"""How often a unit that the store refused is tried again; a race may cost a store the loser's transaction."""


class Remembering(StoreBench):
    """What each consumer has already had."""

    async def test_s03_what_was_remembered_is_seen(self) -> None:
        """Of many identities exactly those that were remembered are seen, by the unit itself and by later ones."""
        store, consumer = await self.store(), self.new_consumer()
        identities = [(SOURCE, self.new_name("id")) for _ in range(500)]
        async with store.transaction() as unit:
            assert await unit.inbox.seen(consumer, identities) == set()
            assert await unit.inbox.remember(consumer, identities[::2], NOW) == set(identities[::2])
            assert await unit.inbox.seen(consumer, identities) == set(identities[::2])
            assert await unit.inbox.remember(consumer, identities[:100], NOW) == set(identities[1:100:2])
        known = {*identities[::2], *identities[:100]}
        assert await self.seen(store, consumer, *identities) == known
        assert await self.seen(store, consumer, *(set(identities) - known)) == set()

    async def test_s03_two_consumers_are_two(self) -> None:
        """What one consumer has had, another of the same service has not."""
        store = await self.store()
        service = self.new_name("service")
        one, other = f"{service}.charge", f"{service}.refund"
        identity = (SOURCE, self.new_name("id"))
        await self.remember(store, one, identity)
        assert await self.seen(store, other, identity) == set()
        await self.remember(store, other, identity)
        assert await self.seen(store, one, identity) == {identity}

    async def test_s03_two_sources_are_two(self) -> None:
        """One id under two sources is two events, however the two are written together."""
        store, consumer = await self.store(), self.new_consumer()
        name = self.new_name("")
        pairs = [
            (("/orders", name), ("/payments", name)),
            ((f"/a{name}", "bc"), (f"/a{name}b", "c")),
            ((f"/a{name}", "/b"), (f"/a{name}/", "b")),
            ((f"/a|{name}", "b"), ("/a", f"{name}|b")),
            ((f"/a,{name}", '"b"'), ("/a", f'{name}","b')),
            (("/\u00fc", name), ("/u\u0308", name)),
            ((f"/A{name}", "x"), (f"/a{name}", "x")),
            ((f"/a{name}", "X"), (f"/a{name}", "x")),
            ((f"/s{name}", "1"), (f"/s{name}", "01")),
        ]
        for remembered, other in pairs:
            await self.remember(store, consumer, remembered)
            assert await self.seen(store, consumer, remembered, other) == {remembered}

    async def test_s03_long_identities_are_told_apart(self) -> None:
        """Ids and sources of thousands of characters, which others chose, are remembered, each as itself."""
        store, consumer = await self.store(), self.new_consumer()
        sources, ids = (SOURCE, self.long_name(), self.long_name()), (self.long_name(), self.long_name())
        identities = [(source, event_id) for source in sources for event_id in ids]
        for identity in identities:
            assert await self.seen(store, consumer, *identities) == set(identities[: identities.index(identity)])
            async with store.transaction() as unit:
                assert await unit.inbox.remember(consumer, [identity], NOW) == {identity}
        async with store.transaction() as unit:
            assert await unit.inbox.remember(consumer, identities, NOW) == set()

    async def test_s04_of_many_tasks_one_remembers(self) -> None:
        """Eight tasks that take up the same events at the same time write each event's row once."""
        store, consumer = await self.store(), self.new_consumer()
        identities = [(SOURCE, f"{number:03}") for number in range(25)]
        await self.soon(asyncio.gather(*(self._work(store, consumer, identities) for _ in range(8))), "eight tasks")
        assert await words_of(store, consumer) == [event_id for _, event_id in identities]

    async def _work(self, store: Store, consumer: str, identities: list[tuple[str, str]]) -> None:
        """Handle each event, unless the inbox has seen it."""
        for identity in identities:
            for attempt in range(ATTEMPTS):
                try:
                    async with store.transaction() as unit:
                        if await unit.inbox.remember(consumer, [identity], NOW):
                            await yielding(3)
                            await add_row(unit, consumer, identity[1])
                except Exception:  # whichever the driver raises for a transaction that lost a race
                    if attempt == ATTEMPTS - 1:
                        raise
                else:
                    break

    @requires("shared")
    async def test_s04_of_two_processes_one_remembers(self) -> None:
        """Two processes that take up the same events at the same time write each event's row once."""
        store, consumer = await self.store(), self.new_consumer()
        players = [await self.player("scene_remembers", consumer) for _ in range(2)]
        for player in players:
            await player.hears("ready")
        for player in players:
            await player.tell("go")
        for player in players:
            await player.hears("done")
        assert await words_of(store, consumer) == [f"{number:03}" for number in range(100)]

    async def scene_remembers(self, prompter: Prompter, consumer: str) -> None:
        """Handle a hundred events, unless another process has."""
        store = await self.store()
        prompter.say("ready")
        await prompter.hear("go")
        await self._work(store, consumer, [(SOURCE, f"{number:03}") for number in range(100)])
        prompter.say("done")
