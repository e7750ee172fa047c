"""What a PostgreSQL database says when it is looked at: version, durability, connections, who holds the log back."""

from __future__ import annotations

from minuet.databases.postgres import PostgresDatabase
from minuet.ports.examined import Examined

LONG_SECONDS = 5.0
"""How long a transaction may be open before it is said that it holds the log back."""

_OLDEST = """
SELECT pid, coalesce(usename, ''), coalesce(application_name, ''),
    extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()
ORDER BY backend_xid::text::bigint LIMIT 1"""
_SEES_ALL = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
_CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    sum(numbackends)::int FROM pg_stat_database"""
NEARLY_ALL = 0.9
"""Which part of the server's connections may be in use before it is said."""
_PREPARED = """
SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts
WHERE database = current_database()"""


async def examine(database: PostgresDatabase) -> list[Examined]:
    """Everything that is looked at, well or not."""
    [(version, durable, flushed)] = await database.read(
        "SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync')"
    )
    found = [Examined(subject="postgres.version", well=True, found=f"PostgreSQL is {version}.")]
    safe = durable != "off" and flushed == "on"
    found.append(
        Examined(
            subject="postgres.durability",
            well=safe,
            found=f"synchronous_commit is {durable} and fsync is {flushed}.",
            advice=None if safe else "A power cut may take commits that minuet took for durable. Switch both on.",
        )
    )
    found.append(await _connections(database))
    found.append(await _horizon(database))
    return found


async def alarms(database: PostgresDatabase) -> list[str]:
    """What holds the log back now, in prose; a look-up or two."""
    horizon = await _horizon(database)
    return [] if horizon.well is not False else [f"{horizon.found} {horizon.advice}"]


async def _connections(database: PostgresDatabase) -> Examined:
    [(most, used)] = await database.read(_CONNECTIONS)
    enough = used < most * NEARLY_ALL
    return Examined(
        subject="postgres.connections",
        well=enough,
        found=f"{used} of {most} connections are in use.",
        advice=None
        if enough
        else f"When none is left, whoever comes is refused. A process of minuet has up to {database.place.pool + 1} "
        "here: give ?pool= less, run fewer processes, see in pg_stat_activity who has the others, or raise "
        "max_connections.",
    )


async def _horizon(database: PostgresDatabase) -> Examined:
    for gid, seconds in await database.read(_PREPARED):
        if seconds > LONG_SECONDS:
            return _held(f"the prepared transaction {gid!r}", seconds, f"ROLLBACK PREPARED '{gid}' or commit it.")
    for pid, user, program, seconds in await database.read(_OLDEST):
        if seconds is not None and seconds > LONG_SECONDS:
            who = f"a transaction of {user or 'somebody'} ({program or 'no program name'}, process {pid})"
            return _held(who, seconds, f"End that transaction, or SELECT pg_terminate_backend({pid}).")
    [(sees_all,)] = await database.read(_SEES_ALL)
    if not sees_all:
        return Examined(
            subject="postgres.horizon",
            well=None,
            found="No long transaction of this user holds the log back; this user may not see those of others.",
            advice="Let it see them: GRANT pg_read_all_stats to the user of the URL.",
        )
    return Examined(subject="postgres.horizon", well=True, found="No long transaction holds the log back.")


def _held(who: str, seconds: float, advice: str) -> Examined:
    return Examined(
        subject="postgres.horizon",
        well=False,
        found=f"{who[0].upper()}{who[1:]} has been open for {seconds:.0f} seconds and has written: what was published "
        "since it began is read only once it ends, so that nothing is passed over.",
        advice=advice,
    )
