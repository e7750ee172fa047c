"""A schema of a PostgreSQL database that is to be forgotten with all that is in it."""

from __future__ import annotations

import psycopg

from minuet.databases.postgres import PostgresDatabase
from minuet.databases.postgres.place import PostgresPlace
from minuet.errors import StoreUnavailable


async def drop(place: PostgresPlace) -> None:
    """Drop the schema that a place names, with everything in it; nothing happens if there is none.

    Raises StoreUnavailable.
    """
    if place.schema is None:
        raise StoreUnavailable(f"{place.shown} names no schema, and minuet drops none that it was not told of.")
    connection = await PostgresDatabase(place).connect()
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {place.schema} CASCADE".encode())
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailable(f"The schema of {place.shown} could not be dropped: {reason}.") from error
    finally:
        await connection.close()
