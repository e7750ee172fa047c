"""A PostgreSQL connection as a reaction may take it: its transaction is not the reaction's to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from minuet.errors import StoreUnavailable

if TYPE_CHECKING:
    from minuet.databases.pipelining import Line

NOT_YOURS = (
    "{} was called on the connection of a reaction, whose transaction it shares with its inbox and its events. "
    "Return to commit it, raise to roll it back."
)


class GuardedConnection(psycopg.AsyncConnection[Any]):
    """What psycopg performs on it waits until minuet's own statements have been."""

    line: Line | None = None

    async def wait(self, *args: Any, **options: Any) -> Any:
        if self.line is not None:
            await self.line.quiet()
        return await super().wait(*args, **options)

    async def commit(self) -> None:
        if self.line is not None:
            raise StoreUnavailable(NOT_YOURS.format("commit()"))
        await super().commit()

    async def rollback(self) -> None:
        if self.line is not None:
            raise StoreUnavailable(NOT_YOURS.format("rollback()"))
        await super().rollback()
