"""What tests of a store stand on: stores that are opened and closed, and new consumers, deliveries and letters."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from minuet.config import open_store
from minuet.ports import store as port
from minuet.ports.broker import Message
from minuet.ports.store import (
    LEASE_SECONDS,
    Attempt,
    DeadLetter,
    DeadLetterFilter,
    Owed,
    Parked,
    ParkedFilter,
    Standing,
    Store,
    StoreCapabilities,
)
from minuet.testing.conformance.rows import create_rows
from minuet.testing.conformance.suite import Suite

SOURCE = "/conformance"
NOW = 1_900_000_000.25
"""An instant, in seconds since 1970 UTC; most tests need no other clock."""


class StoreBench(Suite):
    """A suite about a store."""

    port = port.__doc__

    def make_store(self, folder: Path) -> Store:
        """An adapter, not opened yet. Given the same folder, it reaches the same store, also from another process.

        By default it is the one that `url` names. A store that is not persistent is a new one at each call.
        """
        return open_store(self.placed(folder))

    def declared(self) -> StoreCapabilities:
        return self.capabilities

    @cached_property
    def capabilities(self) -> StoreCapabilities:
        return self.make_store(Path("unopened")).capabilities

    async def store(self) -> Store:
        """A store that is open until the test ends, with a table of the service's own."""
        store = self.make_store(self.folder)
        await store.open()
        self.stack.push_async_callback(store.close)
        await create_rows(store)
        return store

    def new_consumer(self) -> str:
        """A consumer that nobody has used."""
        return f"{self.new_name('service')}.react"

    def long_name(self) -> str:
        """Longer than any entry of an index, and not to be compressed; two of them differ at their ends alone."""
        return self._beginning + secrets.token_hex(8)

    @cached_property
    def _beginning(self) -> str:
        return secrets.token_hex(3000)

    def message(self, topic: str, number: int = 0) -> Message:
        """Something to owe the broker."""
        headers = ({"ce-id": "1", "x-strange": "\u00fc\u2713"}, None)[number % 2]
        body = (f'{{"number": {number}}}', bytes([number % 256, 0, 255]))[number % 2]
        return Message(topic, ("a", None, "")[number % 3], str(uuid.uuid4()), SOURCE, headers, body)

    def delivery(self, consumer: str, key: str | None = None, *, attempts: int = 0) -> Parked:
        """Something to park."""
        return Parked(
            id=0,
            consumer=consumer,
            topic="Happened",
            key=key,
            event_id=str(uuid.uuid4()),
            source=SOURCE,
            headers={"ce-id": "1", "x-strange": "\u00fc\u2713"},
            body=b"\x00\xff bytes",
            attempts=attempts,
        )

    def letter(self, parked: Parked, *, at: float = NOW) -> DeadLetter:
        """The dead letter of a delivery whose every attempt failed."""
        history = parked.history or (Attempt(at=at - 1, error="ValueError: first"), Attempt(at=at, error="second"))
        return DeadLetter(
            id=parked.dead_letter or 0,
            consumer=parked.consumer,
            topic=parked.topic,
            key=parked.key,
            event_id=parked.event_id,
            source=parked.source,
            correlation_id=self.new_name("instance"),
            type="Happened.v1",
            headers=parked.headers,
            body=parked.body,
            reason="retries_exhausted",
            error="ValueError: \u00fc",
            trace="Traceback (most recent call last):\n  \u2713\n",
            attempts=parked.attempts or len(history),
            history=history,
            at=at,
        )

    # -- one transaction each

    async def park(
        self,
        store: Store,
        *deliveries: Parked,
        state: Literal["due", "behind", "running"] = "due",
        due_at: float = NOW,
    ) -> list[Parked]:
        """Park these and return them with their numbers."""
        async with store.transaction() as unit:
            instant = due_at if state == "due" else None
            numbers = await unit.parking.park(deliveries, state=state, due_at=instant)
        return [msgspec.structs.replace(parked, id=number) for parked, number in zip(deliveries, numbers, strict=True)]

    async def due(
        self, store: Store, consumer: str, *, now: float = NOW, limit: int = 100, run: bool = True
    ) -> list[Parked]:
        """What is due at an instant."""
        async with store.transaction() as unit:
            return await unit.parking.due(consumer, now, limit, run=run)

    async def settle(self, store: Store, *parked: Parked, dead: bool = False, at: float = NOW) -> None:
        """These are done with."""
        async with store.transaction() as unit:
            await unit.parking.settle(parked, "dead" if dead else "handled", at)

    async def bury(self, store: Store, letter: DeadLetter, *, hold: Parked | None = None) -> DeadLetter:
        """Keep a letter, and read it again."""
        async with store.transaction() as unit:
            number = await unit.dead_letters.bury(letter, hold=hold)
        return await self.read_letter(store, number)

    async def read_letter(self, store: Store, number: int) -> DeadLetter:
        """The letter of this number."""
        async with store.transaction() as unit:
            [letter] = await unit.dead_letters.find([number])
        return letter

    async def redrive(self, store: Store, letter: DeadLetter, now: float = NOW) -> bool:
        """Hand a letter back."""
        async with store.transaction() as unit:
            return await unit.dead_letters.redrive(letter, now)

    async def discard(self, store: Store, letter: DeadLetter, now: float = NOW) -> bool:
        """Give a letter up."""
        async with store.transaction() as unit:
            return await unit.dead_letters.discard(letter, now)

    async def blocked(self, store: Store, consumer: str, *keys: str) -> set[str]:
        """Which of these keys wait for something."""
        async with store.transaction() as unit:
            return await unit.parking.blocked(consumer, keys)

    async def seen(self, store: Store, consumer: str, *identities: tuple[str, str]) -> set[tuple[str, str]]:
        """Which of these the consumer has had."""
        async with store.transaction() as unit:
            return await unit.inbox.seen(consumer, identities)

    async def remember(self, store: Store, consumer: str, *identities: tuple[str, str], at: float = NOW) -> None:
        """The consumer has had these."""
        async with store.transaction() as unit:
            await unit.inbox.remember(consumer, identities, at)

    async def owe(self, store: Store, *messages: Message, at: float = NOW) -> None:
        """Owe these."""
        async with store.transaction() as unit:
            await unit.outbox.owe(messages, at)

    async def owe_held(
        self, store: Store, *messages: Message, series: int = 0, lease_seconds: float = LEASE_SECONDS
    ) -> Sequence[Owed]:
        """Owe these so that this process holds them. Returns what it holds."""
        async with store.transaction() as unit:
            held = await unit.outbox.owe_held(messages, NOW, series=series, lease_seconds=lease_seconds)
        return held()

    async def drained(self) -> Store:
        """A store that owes nothing that is not of this test."""
        store = await self.store()
        for _ in range(1000):
            if not (owed := await store.claim_owed(1000)):
                return store
            await store.paid(owed)
        raise AssertionError("what was published is owed again and again")

    # -- looking

    async def standing(self, store: Store, consumer: str) -> list[Standing]:
        """How the consumer's parked deliveries stand."""
        return await store.parked(ParkedFilter(consumer=consumer))

    async def letters_of(self, store: Store, consumer: str) -> list[DeadLetter]:
        """All dead letters of a consumer, in any state."""
        return await store.list_dead_letters(DeadLetterFilter(state=None, consumer=consumer))


def messages_of(owed: Sequence[Owed]) -> list[str | None]:
    """The ids of what is owed, in its order."""
    return [row.message.id for row in owed]
