"""What a joined subscription has read ahead of its position agrees with the file, whoever writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minuet.brokers.sqlite import SqliteBroker
from minuet.databases.sqlite import Database, Row
from minuet.ports.broker import Group, JoinedSubscription, Message
from minuet.stores.sqlite import SqliteStore

GROUP = Group("shop.look", "shop", ("Seen",))


class Interrupted(Database):
    """A database that lets something happen right after the end of the log was read, once."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def read(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        rows = await super().read(sql, params)
        if "max(seq)" in sql and self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            await happen()
        return rows


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[tuple[SqliteStore, SqliteBroker]]:
    """A store and a broker of one file, which they share."""
    store, broker = SqliteStore(str(file)), SqliteBroker(str(file))
    store.database = Interrupted(str(file))
    broker.joined(store)
    await store.open()
    await broker.open()
    await broker.provision([GROUP])
    yield store, broker
    await broker.close()
    await store.close()


async def publish(broker: SqliteBroker, *ids: str) -> None:
    """Publish messages of the group's topic."""
    await broker.publish([Message("Seen", None, one, "/shop", None, "{}") for one in ids])


def subscription(store: SqliteStore, broker: SqliteBroker) -> JoinedSubscription:
    """The group's stream in the store's transactions."""
    joined = broker.joined(store)
    assert joined is not None
    return joined.subscribe(GROUP, lambda: None)


async def taken(store: SqliteStore, stream: JoinedSubscription) -> list[str | None]:
    """The ids of all that can be taken now, round after round."""
    found: list[str | None] = []
    while await stream.ready():
        async with store.transaction() as unit:
            found += [delivery.id for delivery in await stream.take(unit, 10)]
    return found


async def take_in_vain(store: SqliteStore, stream: JoinedSubscription) -> None:
    """Take in a transaction that fails."""
    async with store.transaction() as unit:
        await stream.take(unit, 10)
        raise OSError("disk full")


def test_what_is_published_while_a_lane_looks_comes_once(tmp_path: Path) -> None:
    """A message that another process commits between the two looks at the log is not delivered a second time."""

    async def run() -> list[str | None]:
        file = tmp_path / "shop.db"
        async with opened(file) as (store, broker), opened(file) as (_, elsewhere):
            stream = subscription(store, broker)
            await publish(elsewhere, "a")

            async def meanwhile() -> None:
                await publish(elsewhere, "b")

            database = store.database
            assert isinstance(database, Interrupted)
            database.meanwhile = meanwhile
            first = await taken(store, stream)
            await publish(elsewhere, "c")
            return first + await taken(store, stream)

    assert asyncio.run(run()) == ["a", "b", "c"]


def test_what_was_taken_and_rolled_back_comes_again_at_once(tmp_path: Path) -> None:
    """After a failed transaction nothing new needs to come for the lane to see that there is work."""

    async def run() -> list[str | None]:
        async with opened(tmp_path / "shop.db") as (store, broker):
            stream = subscription(store, broker)
            await publish(broker, "a", "b")
            assert await stream.ready()
            with pytest.raises(OSError, match="disk full"):
                await take_in_vain(store, stream)
            return await taken(store, stream)

    assert asyncio.run(run()) == ["a", "b"]
