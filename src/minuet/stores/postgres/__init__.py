"""The PostgreSQL store: a service's state, inbox, outbox, parked deliveries and dead letters in one database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from minuet.databases.lease import claim_of
from minuet.databases.migrations import steps_of
from minuet.databases.postgres import LOCKS, PostgresDatabase
from minuet.databases.postgres.encoding import given_back, indexed, indexed_or_none, kept, numbers, texts
from minuet.databases.postgres.examination import examine
from minuet.databases.postgres.guarded import GuardedConnection
from minuet.databases.postgres.pipelining import Line, Row
from minuet.databases.postgres.place import PostgresPlace
from minuet.ports.examined import Examined
from minuet.ports.store import (
    CLAIM_BYTES,
    LEASE_SECONDS,
    DeadLetter,
    DeadLetterFilter,
    DeadLetterHead,
    Emission,
    Owed,
    ParkedFilter,
    Standing,
    StoreCapabilities,
)
from minuet.stores.postgres.adopting import PostgresAdoption
from minuet.stores.postgres.rows import SQL, dead_letter_of, head_of, message_of, standing_of
from minuet.stores.postgres.unit import PostgresScope, PostgresUnit

__all__ = ["PostgresStore"]


class PostgresStore:
    """A store in one PostgreSQL database: `postgres://user:password@host/database`."""

    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        persistent=True, shared=True, holds=True, native=("psycopg.AsyncConnection",)
    )

    def __init__(self, place: PostgresPlace) -> None:
        self.database = PostgresDatabase(place)
        self._adoption = PostgresAdoption(self.database)
        self._claims = itertools.count(1)

    @classmethod
    def from_url(cls, url: str) -> PostgresStore:
        """The store of `postgres://user:password@host/database`, perhaps with `?pool=20` and libpq's options."""
        return cls(PostgresPlace.from_url(url))

    def __repr__(self) -> str:
        return f"<PostgresStore {self.database.place.shown}>"

    async def open(self, *, create: bool = True) -> None:
        if not create:
            await self.database.refuse_stranger("minuet_manifests")
        await self.database.open()
        try:
            if create:
                await self.database.refuse_powerless()
            await self.database.prepare_schema("store", steps_of(SQL), create=create)
            await self._adoption.look_around()
        except BaseException:
            await self.database.close()
            raise

    async def close(self) -> None:
        await self.database.close()

    def transaction(self, *, alone: bool = False) -> PostgresScope:
        return PostgresScope(self.database)

    async def adopt(self, native: Any, *, sync: bool = False) -> Emission:
        own: Line | None = getattr(native, "line", None) if isinstance(native, GuardedConnection) else None
        if own is not None:
            return PostgresUnit(own, self.database, adopted=True)
        return await self._adoption.adopt(native, sync=sync)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.database.listen(wake)

    async def reclaim(self, now: float) -> int:
        dead = await self._dead([str(owner) for (owner,) in await self.database.read(SQL["owners"])])
        if not dead:
            return 0
        async with self.database.writing() as line:
            due = await line.changed(SQL["parked_reclaim"], now, texts(dead))
            return due + await line.changed(SQL["outbox_free"], texts(dead))

    async def _dead(self, owners: Sequence[str]) -> list[str]:
        """Those of these owners of rows whose process does not live any more."""
        dead = await self.database.dead({claim_of(owner).member for owner in owners})
        return sorted(owner for owner in owners if claim_of(owner).member in dead)

    async def next_due(self, consumer: str) -> float | None:
        [(instant,)] = await self.database.read(SQL["parked_next_due"], consumer)
        return instant if isinstance(instant, float) else None

    async def claim_owed(
        self,
        limit: int,
        *,
        lease_seconds: float = LEASE_SECONDS,
        without: Collection[str] = (),
        limit_bytes: int = CLAIM_BYTES,
    ) -> list[Owed]:
        while True:
            if rows := await self._hold_owed(limit, limit_bytes, lease_seconds, without):
                self.database.horizon.look_soon(pending=False)
                return [_owed(row, str(row[9])) for row in sorted(rows)]
            owners = [owner for (owner,) in await self.database.read(SQL["outbox_holders"], texts(sorted(without)))]
            if not await self._free_dead([str(owner) for owner in owners if owner is not None]):
                if None in owners:  # behind what is held, by this process too: nobody tells when that is published
                    self.database.horizon.look_soon(pending=True)
                return []

    async def _hold_owed(
        self, limit: int, limit_bytes: int, lease_seconds: float, without: Collection[str]
    ) -> list[Row]:
        claim = f"{self.database.member}:{next(self._claims)}:"
        async with self.database.writing() as line:
            # A claim that the server forgets when it breaks down is one that nobody has: it need not be on its disk.
            line.post("SET LOCAL synchronous_commit = off")
            line.post(SQL["outbox_by_index"])
            line.post(SQL["outbox_turn"], LOCKS)
            line.post(SQL["outbox_end_leases"])
            held = line.send(SQL["outbox_hold"], texts(sorted(without)), limit, claim, lease_seconds, limit_bytes)
        return line.decoded(await held)

    async def _free_dead(self, owners: Sequence[str]) -> int:
        """Free the outbox rows of those holders that do not live any more. Returns how many."""
        dead = await self._dead(owners)
        return await self.database.perform(SQL["outbox_free"], texts(dead)) if dead else 0

    async def paid(self, owed: Sequence[Owed]) -> None:
        await self.database.perform(
            SQL["outbox_paid"], numbers([row.id for row in owed]), texts(row.claim for row in owed)
        )

    async def unclaim(self, owed: Sequence[Owed]) -> None:
        await self.database.perform(
            SQL["outbox_unclaim"], numbers([row.id for row in owed]), texts(r.claim for r in owed)
        )

    async def list_dead_letters(self, which: DeadLetterFilter, limit: int = 1000) -> list[DeadLetter]:
        rows = await self.database.read(SQL["dead_letters"], *_letters(which), limit)
        return [dead_letter_of(row) for row in rows]

    async def survey_dead_letters(self, which: DeadLetterFilter) -> list[DeadLetterHead]:
        return [head_of(row) for row in await self.database.read(SQL["dead_letters_survey"], *_letters(which))]

    async def waiting_behind(self, letter: DeadLetter) -> int:
        if letter.key is None:
            return 0
        [(count,)] = await self.database.read(SQL["parked_waiting_behind"], letter.consumer, kept(indexed(letter.key)))
        return int(count)

    async def parked(self, which: ParkedFilter, limit: int = 1000) -> list[Standing]:
        ids = None if which.event_ids is None else texts(map(indexed, which.event_ids))
        key = None if which.key is None else kept(indexed(which.key))
        states = None if which.states is None else texts(which.states)
        values = (ids, which.consumer, key, which.unsettled, states, limit)
        return [standing_of(row) for row in await self.database.read(SQL["parked_standing"], *values)]

    async def owed(self, limit: int = 1000) -> list[Owed]:
        return [_owed(row) for row in await self.database.read(SQL["outbox_oldest"], limit)]

    async def examine(self) -> list[Examined]:
        return await examine(self.database)

    async def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for service, name, count in await self.database.read(SQL["counts"]):
            found.setdefault(str(service), {})[str(name)] = int(count)
        return found

    async def keep_manifest(self, service: str, manifest: str) -> None:
        """Keep a service's manifest, so that the database alone can be read by `trace` and `graph`."""
        await self.database.perform(SQL["manifest_keep"], service, manifest)

    async def manifests(self) -> dict[str, str]:
        """The manifests of the services that have run on this database."""
        return {str(service): str(text) for service, text in await self.database.read(SQL["manifests"])}

    async def unsettled(self) -> frozenset[str]:
        return frozenset(given_back(event_id) for (event_id,) in await self.database.read(SQL["unsettled"]))

    async def trim(self, before: float) -> int:
        async with self.database.writing() as line:
            [(mine,)] = await line.rows(SQL["trimming_turn"], LOCKS)
            if not mine:
                return 0
            return sum(
                [await line.changed(SQL[name], before) for name in ("parked_trim", "inbox_trim", "dead_letters_trim")]
            )


def _owed(row: Row, claim: str = "") -> Owed:
    return Owed(row[0], message_of(row[1:8]), row[8], claim)


def _letters(which: DeadLetterFilter) -> tuple[object, ...]:
    """A filter as a statement's values."""
    ids = None if which.ids is None else numbers(which.ids)
    event_ids = None if which.event_ids is None else texts(map(indexed, which.event_ids))
    key = None if which.key is None else kept(indexed(which.key))
    instance = indexed_or_none(which.correlation_id)
    return (which.state, which.consumer, which.topic, which.reason, instance, key, ids, event_ids)
