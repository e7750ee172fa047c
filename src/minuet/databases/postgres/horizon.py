"""How far a database's log may be read: below the oldest transaction that still runs and could publish into it.

A server counts the transactions of all its databases together, and one that runs in another database publishes nothing
here. Who runs elsewhere is looked up when something keeps the log from being read, not before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minuet.databases.postgres.pipelining import Line

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.001, 0.25
"""How soon to look again at what waits for a transaction before it, at first and in the end."""
NOBODY = "{}"
"""Who runs elsewhere as far as anybody has asked."""
ELSEWHERE_SECONDS = 0.05
"""How often it is looked up at most who runs elsewhere: the server then goes through all its locks."""

# Of a session of somebody else's everybody may see its process and its database, but not its transaction.
_ELSEWHERE = """
SELECT coalesce(array_agg(running), '{}')::text FROM pg_snapshot_xip(pg_current_snapshot()) AS running
WHERE running::xid IN (
    SELECT l.transactionid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND a.datname <> current_database()
    UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database <> current_database()
)"""


class Horizon:
    """What this process knows of the transactions that keep it from reading on."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.elsewhere = NOBODY
        """Transactions of other databases that run, or did, as the text of an array."""
        self._look = look
        self._patience = FIRST_LOOK_SECONDS
        self._looking: asyncio.TimerHandle | None = None
        self._asked = -ELSEWHERE_SECONDS

    def __repr__(self) -> str:
        return f"<Horizon without {self.elsewhere}>"

    def look_soon(self, *, pending: bool) -> None:
        """Let everybody here look again in a moment: something is committed and a transaction before it is not over.

        Nobody tells when that ends. The longer it takes, the later the next look.
        """
        if not pending:
            self._patience = FIRST_LOOK_SECONDS
        elif self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(self._patience, self._look_now)
            self._patience = min(self._patience * 1.5, LAST_LOOK_SECONDS)

    def _look_now(self) -> None:
        self._looking = None
        self._look()

    async def widened(self, line: Line) -> bool:
        """Whether a look at who runs elsewhere found others than before, so that reading again may bring more."""
        if time.monotonic() < self._asked + ELSEWHERE_SECONDS:
            return False
        self._asked = time.monotonic()
        line.post("SELECT pg_stat_clear_snapshot()")  # a transaction goes on seeing the sessions it saw first
        before, [(self.elsewhere,)] = self.elsewhere, await line.rows(_ELSEWHERE)
        return self.elsewhere not in (before, NOBODY)

    def forget(self) -> None:
        """The server may be another now, or this one restored: it gives out the same ids anew."""
        self.elsewhere = NOBODY

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
