"""The SQLite store: a service's state, inbox, outbox, parked deliveries and dead letters in one file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, cast

import msgspec

from minuet.databases.json_columns import text_of
from minuet.databases.lease import Claim, claim_of
from minuet.databases.migrations import steps_of
from minuet.databases.sqlite import Database, Row, SqlitePlace
from minuet.databases.sqlite.examination import examine, refuse_read_only, refuse_stranger
from minuet.ports.broker import size_bytes_of
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
from minuet.stores.sqlite.adopting import SqliteAdoption
from minuet.stores.sqlite.rows import SQL, dead_letter_of, head_of, message_of, standing_of
from minuet.stores.sqlite.unit import SqliteScope, SqliteUnit

__all__ = ["MemoryStore", "SqliteStore"]


class SqliteStore:
    """A store in one SQLite file: `sqlite:///orders.db`, relative to the working directory, or four slashes."""

    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        persistent=True, shared=True, holds=False, native=("sqlite3.Connection",)
    )

    def __init__(self, path: str | None, *, synchronous: str = "FULL") -> None:
        self.database = Database(path, synchronous=synchronous)
        self._adoption = SqliteAdoption(self.database)
        self._claims = itertools.count(1)

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """The store of `sqlite:///relative.db` or `sqlite:////absolute.db`, perhaps with `?synchronous=NORMAL`."""
        place = SqlitePlace.from_url(url)
        return cls(place.path, synchronous=place.synchronous)

    def __repr__(self) -> str:
        return f"<SqliteStore {self.database.path or 'in memory'}>"

    async def open(self, *, create: bool = True) -> None:
        if not create:
            refuse_stranger(self.database.path, "minuet_manifests")
        else:
            refuse_read_only(self.database.path)
        await self.database.open()
        await self.database.prepare("store", steps_of(SQL), create=create)

    async def close(self) -> None:
        await self.database.close()

    def transaction(self, *, alone: bool = False) -> SqliteScope:
        return SqliteScope(self.database, alone=alone)

    async def adopt(self, native: Any, *, sync: bool = False) -> Emission:
        if self.database.path is None and native is self.database.queue.connection:
            return SqliteUnit(self.database.queue.connection, self.database)
        return await self._adoption.adopt(native, sync=sync)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.database.listen(wake)

    async def reclaim(self, now: float) -> int:
        owners = [str(owner) for (owner,) in await self.database.read(SQL["owners"])]
        dead = [owner for owner in owners if not self.database.alive(claim_of(owner).member)]
        if not dead:
            return 0
        async with self.database.writing() as connection:
            return sum(
                connection.execute(SQL[name], {"owner": owner, "now": now}).rowcount
                for owner in dead
                for name in ("parked_reclaim", "outbox_free")
            )

    async def next_due(self, consumer: str) -> float | None:
        [(instant,)] = await self.database.read(SQL["parked_next_due"], (consumer,))
        return instant if isinstance(instant, float) else None

    async def claim_owed(
        self,
        limit: int,
        *,
        lease_seconds: float = LEASE_SECONDS,
        without: Collection[str] = (),
        limit_bytes: int = CLAIM_BYTES,
    ) -> list[Owed]:
        if not await self.database.read(SQL["outbox_any"]):
            return []
        async with self.database.writing() as connection:
            now = time.time()
            claim = Claim(self.database.member, str(next(self._claims)), now + lease_seconds)
            found, left_bytes = list[Row](), limit_bytes
            for row in connection.execute(SQL["outbox_claimable"], (text_of(sorted(without)), limit)):
                held = None if row[8] is None else claim_of(row[8])
                if held is None or held.until <= now or not self.database.alive(held.member):
                    found.append(row)
                    left_bytes -= size_bytes_of(row[6])
                    if left_bytes <= 0:
                        break
                elif held.member != claim.member:
                    break  # in order: behind rows that another relay holds, nothing is published
            connection.executemany(SQL["outbox_hold"], [(str(claim), row[0]) for row in found])
        return [_owed(row, str(claim)) for row in found]

    async def paid(self, owed: Sequence[Owed]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["outbox_paid"], [(row.id, row.claim) for row in owed])

    async def unclaim(self, owed: Sequence[Owed]) -> None:
        async with self.database.writing() as connection:
            connection.executemany(SQL["outbox_unclaim"], [(row.id, row.claim) for row in owed])

    async def list_dead_letters(self, which: DeadLetterFilter, limit: int = 1000) -> list[DeadLetter]:
        values = {**_values(which), "limit": limit}
        return [dead_letter_of(row) for row in await self.database.read(SQL["dead_letters"], values)]

    async def survey_dead_letters(self, which: DeadLetterFilter) -> list[DeadLetterHead]:
        return [head_of(row) for row in await self.database.read(SQL["dead_letters_survey"], _values(which))]

    async def waiting_behind(self, letter: DeadLetter) -> int:
        if letter.key is None:
            return 0
        [(count,)] = await self.database.read(SQL["parked_waiting_behind"], (letter.consumer, letter.key))
        return _int(count)

    async def parked(self, which: ParkedFilter, limit: int = 1000) -> list[Standing]:
        values = {**_values(which), "limit": limit}
        return [standing_of(row) for row in await self.database.read(SQL["parked_standing"], values)]

    async def owed(self, limit: int = 1000) -> list[Owed]:
        return [_owed(row) for row in await self.database.read(SQL["outbox_oldest"], (limit,))]

    async def examine(self) -> list[Examined]:
        return await examine(self.database)

    async def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for service, name, count in await self.database.read(SQL["counts"]):
            found.setdefault(str(service), {})[str(name)] = _int(count)
        return found

    async def keep_manifest(self, service: str, manifest: str) -> None:
        """Keep a service's manifest, so that the file alone can be read by `trace` and `graph`."""
        async with self.database.writing() as connection:
            connection.execute(SQL["manifest_keep"], (service, manifest))

    async def manifests(self) -> dict[str, str]:
        """The manifests of the services that have run on this file."""
        return {str(service): str(text) for service, text in await self.database.read(SQL["manifests"])}

    async def unsettled(self) -> frozenset[str]:
        return frozenset(str(event_id) for (event_id,) in await self.database.read(SQL["unsettled"]))

    async def trim(self, before: float) -> int:
        if not await self.database.read(SQL["anything_to_trim"], {"before": before}):
            return 0
        async with self.database.writing() as connection:
            return sum(
                connection.execute(SQL[name], (before,)).rowcount
                for name in ("parked_trim", "inbox_trim", "dead_letters_trim")
            )


class MemoryStore(SqliteStore):
    """`memory://`: the SQLite store on a private database that is gone with the process.

    Reactions keep their SQL, so what is tested in memory is what runs.
    """

    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        persistent=False, shared=False, holds=False, native=("sqlite3.Connection",)
    )

    @classmethod
    def from_url(cls, url: str) -> MemoryStore:
        return cls(None)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _owed(row: Row, claim: str = "") -> Owed:
    number, at = row[0], row[7]
    assert isinstance(number, int)
    assert isinstance(at, float)
    return Owed(number, message_of(row[1:7]), at, claim)


def _values(which: DeadLetterFilter | ParkedFilter) -> dict[str, object]:
    """A filter as a statement's parameters, with what it lists as JSON."""
    fields: dict[str, object] = msgspec.structs.asdict(which)
    return {name: _listed(value) for name, value in fields.items()}


def _listed(value: object) -> object:
    return text_of(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
