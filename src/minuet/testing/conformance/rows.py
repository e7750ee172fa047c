"""A service's own table, as tests write into it: words, each of one test; and how tests roll back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from minuet.ports.store import Store, Unit

_CREATE = "CREATE TABLE IF NOT EXISTS conformance_rows (test VARCHAR(60) NOT NULL, word VARCHAR(120) NOT NULL)"
_ADD = "INSERT INTO conformance_rows (test, word) VALUES (?, ?)"
_WORDS = "SELECT word FROM conformance_rows WHERE test = ? ORDER BY word"


class _OnPurpose(Exception):
    """What has a transaction rolled back."""


@asynccontextmanager
async def rolled_back(store: Store) -> AsyncGenerator[Unit]:
    """A transaction whose block ends with an error."""
    with suppress(_OnPurpose):
        async with store.transaction() as unit:
            yield unit
            raise _OnPurpose


async def create_rows(store: Store) -> None:
    """Create the table, unless it is there."""
    async with store.transaction() as unit:
        await unit.transaction.execute(_CREATE)


async def add_row(unit: Unit, test: str, word: str) -> None:
    """Write a word, in this transaction."""
    await unit.transaction.execute(_ADD, (test, word))


async def words_of(store: Store, test: str) -> list[str]:
    """All words of a test, sorted."""
    async with store.transaction() as unit:
        return await words_in(unit, test)


async def words_in(unit: Unit, test: str) -> list[str]:
    """All words of a test, sorted, as this transaction sees them."""
    return await unit.transaction.fetch(str, _WORDS, (test,))
