"""Whether a PostgreSQL log was brought here from elsewhere in a way in which events would be lost."""

from __future__ import annotations

from minuet.databases.postgres import PostgresDatabase
from minuet.errors import BrokerUnavailable
from minuet.ports.examined import Examined

_FOREIGN = """
SELECT found.xid::text, pg_snapshot_xmax(pg_current_snapshot())::text FROM (
    (SELECT xid FROM minuet_log ORDER BY seq DESC LIMIT 1) UNION ALL SELECT xid FROM minuet_positions
) found WHERE found.xid >= pg_snapshot_xmax(pg_current_snapshot()) ORDER BY found.xid DESC LIMIT 1"""
_BEHIND = """
SELECT l.seq, s.last FROM (SELECT seq FROM minuet_log ORDER BY seq DESC LIMIT 1) l,
    (SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('minuet_log', 'seq')), 0) AS last) s
WHERE s.last < l.seq"""


async def obstacle(database: PostgresDatabase) -> str | None:
    """What keeps the log from being used as it stands, and what to do about it; None if nothing does."""
    shown = database.place.shown
    for theirs, ours in await database.read(_FOREIGN):
        return (
            f"The log in {shown} was restored from another server: it was written up to transaction {theirs}, and this "
            f"server is at {ours}. The log is read in the order of transactions, so what is published now would be "
            "taken for read. Stop this server, run `pg_resetwal --epoch=1` (or a higher one than the old server's) on "
            "its data directory, and start it again; its transactions then come after those of the log."
        )
    for last, sequence in await database.read(_BEHIND):
        return (
            f"The log in {shown} goes up to number {last}, and its sequence is at {sequence}: it was restored without "
            "it, and new events would meet the numbers of old ones. Run SELECT setval(pg_get_serial_sequence("
            f"'minuet_log', 'seq'), {last})."
        )
    return None


async def refuse_restored(database: PostgresDatabase) -> None:
    """Raise BrokerUnavailable for a log in which events would be lost."""
    if (found := await obstacle(database)) is not None:
        raise BrokerUnavailable(found)


async def examine_log(database: PostgresDatabase) -> Examined:
    """Whether the log can be used as it stands."""
    found = await obstacle(database)
    return Examined(
        subject="postgres.log",
        well=found is None,
        found=found or "The log's transactions and numbers are those of this server.",
    )
