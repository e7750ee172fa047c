"""`?schema=`: several apps in one database, each in a schema of its own, never meet."""

import asyncio
import uuid

import pytest

from minuet.brokers.postgres import PostgresBroker
from minuet.databases.postgres.place import PostgresPlace
from minuet.databases.postgres.schemas import drop
from minuet.errors import NeverUsed, StartupError, StoreUnavailable
from minuet.stores.postgres import PostgresStore
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")


@pytest.fixture
def urls():
    """Two schemas of the test's own on the server, dropped at the end."""
    server = url_of("postgres") or ""
    found = [f"{server}?schema=apart_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    yield found
    for url in found:
        asyncio.run(drop(PostgresPlace.from_url(url)))


def test_two_schemas_of_one_database_never_meet(urls) -> None:
    """What one store keeps is not there in the other, and broker and store of one schema share transactions."""

    async def play() -> None:
        one, other = map(PostgresStore.from_url, urls)
        await one.open()
        await other.open()
        try:
            await one.keep_manifest("shop", "{}")
            assert await one.manifests() == {"shop": "{}"}
            assert await other.manifests() == {}
        finally:
            await one.close()
            await other.close()
        assert PostgresBroker.from_url(urls[0]).joined(one) is not None
        assert PostgresBroker.from_url(urls[1]).joined(one) is None

    asyncio.run(play())


def test_a_dropped_schema_was_never_used(urls) -> None:
    """After `drop` nothing of it is left, and dropping twice is once."""

    async def play() -> None:
        store = PostgresStore.from_url(urls[0])
        await store.open()
        await store.close()
        for _ in range(2):
            await drop(PostgresPlace.from_url(urls[0]))
        with pytest.raises(NeverUsed):
            await PostgresStore.from_url(urls[0]).open(create=False)

    asyncio.run(play())


@pytest.mark.parametrize("name", ["Shop", "a;b", "1a", "", "a" * 64])
def test_a_name_that_would_need_quotes_is_refused(name) -> None:
    """A schema's name stands in statements as it is, so only plain words are taken."""
    with pytest.raises(StartupError, match="no name of a schema"):
        PostgresPlace.from_url(f"postgres://host/db?schema={name}")


def test_a_schema_is_shown_and_a_password_is_not() -> None:
    """Messages name the schema, since it is where to look."""
    place = PostgresPlace.from_url("postgres://me:secret@host:1/db?schema=shop&pool=3&application_name=x")
    assert (place.shown, place.pool) == ("postgres://host:1/db?schema=shop", 3)


def test_without_a_schema_nothing_is_dropped() -> None:
    """`drop` needs to be told what."""
    with pytest.raises(StoreUnavailable, match="names no schema"):
        asyncio.run(drop(PostgresPlace.from_url("postgres://host/db")))
