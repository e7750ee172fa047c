"""A PostgreSQL connection as a reaction may take it: its transaction is not the reaction's to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from minuet.databases.postgres.control import Reach, reach_of
from minuet.ports.transaction import not_yours

if TYPE_CHECKING:
    from minuet.databases.postgres.pipelining import Line


def allow(sql: str) -> Reach:
    """How far a reaction's statement reaches. Raises StoreUnavailable for one that is not the reaction's to perform."""
    if (reach := reach_of(sql)) is Reach.TRANSACTION:
        raise not_yours(repr(sql))
    return reach


class GuardedCursor(psycopg.AsyncCursor[Any]):
    """Looks at what it is to perform."""

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        self._look(query)
        return await super().execute(query, *arguments, **options)

    async def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
        self._look(query)
        await super().executemany(query, *arguments, **options)

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Any:
        self._look(query)
        return super().stream(query, *arguments, **options)

    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        self._look(statement)
        return super().copy(statement, *arguments, **options)

    def _look(self, query: Any) -> None:
        connection = self.connection
        if isinstance(connection, GuardedConnection) and connection.line is not None:
            text = query.as_string(connection) if hasattr(query, "as_string") else query
            if allow(text.decode() if isinstance(text, bytes) else str(text)) is Reach.CONNECTION:
                connection.line.touched = True


class GuardedConnection(psycopg.AsyncConnection[Any]):
    """What psycopg performs on it waits until minuet's own statements have been."""

    line: Line | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = GuardedCursor

    async def wait(self, *args: Any, **options: Any) -> Any:
        if self.line is not None:
            await self.line.quiet()
        return await super().wait(*args, **options)

    async def commit(self) -> None:
        if self.line is not None:
            raise not_yours("commit()")
        await super().commit()

    async def rollback(self) -> None:
        if self.line is not None:
            raise not_yours("rollback()")
        await super().rollback()

    async def close(self) -> None:
        if self.line is not None:
            raise not_yours("close()")
        await super().close()
