"""Whether a pooler lies between this process and PostgreSQL that gives others the session minuet takes for its own.

A pooler in session mode is as good as the server. In transaction mode everything begins well, and then what was
prepared, listening, and the lock by which others know that this process lives are another's, or gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import psycopg

from minuet.databases.postgres.place import PostgresPlace, limits
from minuet.databases.postgres.refusals import shared, silent, too_few
from minuet.errors import StoreUnavailable

Connection = psycopg.AsyncConnection[Any]

_NO_TRANSACTIONS = re.compile("statement pooling")
"""What PgBouncer says to BEGIN where it gives each statement another session."""


async def refuse_shared_sessions(
    mine: Connection, connect: Callable[[], Awaitable[Connection]], place: PostgresPlace
) -> None:
    """Raise StoreUnavailable in prose where a connection is not a session of its own; `connect` makes a second one."""
    seconds = limits(place)[1]
    with _within(seconds, mine, silent(place.shown, seconds)):
        if await _session(mine) == mine.info.backend_pid:
            return  # a pooler tells a number of its own
    other = await connect()
    try:
        with _within(seconds, other, too_few(place.shown, seconds, place.pool)):
            apart = await _are_apart(mine, other)
    except psycopg.Error as error:
        if not _NO_TRANSACTIONS.search(str(error)):
            raise
        apart = False
    finally:
        with contextlib.suppress(psycopg.Error):
            await other.close()
    if not apart:
        raise StoreUnavailable(shared(place.shown))


async def _are_apart(mine: Connection, other: Connection) -> bool:
    """Whether each has one session, and not the same.

    A pooler that hands out what was last given back gives both the same one, and one that goes round gives the second
    another one each time. Where others use it too, a transaction that holds a session makes it give another.
    """
    mine_first, other_first = await _session(mine), await _session(other)
    if mine_first == other_first:
        return False
    await other.execute("BEGIN")
    if await _session(other) != other_first:
        return False
    return await _session(mine) == mine_first


async def _session(connection: Connection) -> int:
    """The process that the server has for whoever asks."""
    found = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert found is not None
    return int(found[0])


@contextlib.contextmanager
def _within(seconds: float, connection: Connection, otherwise: str) -> Generator[None]:
    """Raise StoreUnavailable, which says `otherwise`, if this takes longer; 0 for any time.

    The connection is ended: psycopg would ask for the end of what it waits for, and a pooler that has not begun with
    that does not answer.
    """
    late = False

    def cut() -> None:
        nonlocal late
        late = True
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as its:
            its.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, cut) if seconds else None
    try:
        yield
    except psycopg.Error:
        if late:
            raise StoreUnavailable(otherwise) from None
        raise
    finally:
        if timer is not None:
            timer.cancel()
