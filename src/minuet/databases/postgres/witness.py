"""Which processes are dead: those whose advisory lock is free, as far as that says so.

The server lets go of a session's lock when its process dies, and also when it breaks the session off: a failover, a
restart, an idle session that is ended. Then the process lives, and takes its lock again in a moment. See decision 13.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

from minuet.databases.postgres.pipelining import Row

MEMBERS = 0x6D696E75
"""The class of the advisory locks that say which processes live."""
SECOND_LOOK_SECONDS = 0.25
"""How long a lock must be free at least: a process whose session alone was ended is back before that."""

_FREE = """
SELECT number FROM unnest($1::int[]) AS number WHERE pg_try_advisory_xact_lock_shared($2, number)
AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $3::float8)"""
"""Whose locks are free; nobody's as long as the server has only just started, and they may not be back."""


class Witness:
    """What this process may say of others' death.

    While it does not hold its own lock it says nothing: what took that may have taken theirs. Once it holds it again it
    says nothing for a grace in which everybody who lives comes back.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self.present = False
        """Whether this process holds its own lock, as far as it knows."""
        self._shaken = False
        self._silent_until = 0.0

    def __repr__(self) -> str:
        return f"<Witness {'present' if self.present else 'absent'}>"

    def leave(self) -> None:
        """Its own lock is lost, or could not be had."""
        self.present, self._shaken = False, True

    def arrive(self) -> None:
        """It holds its own lock."""
        self.present = True
        if self._shaken:
            self._shaken = False
            self._silent_until = time.monotonic() + self.grace_seconds

    async def dead(self, read: Callable[..., Awaitable[list[Row]]], me: int, others: Collection[int]) -> set[int]:
        """Those of the others that are dead for certain; `read` performs a query."""
        if not (found := await self._free(read, me, others)):
            return found
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        return await self._free(read, me, found)

    async def _free(self, read: Callable[..., Awaitable[list[Row]]], me: int, others: Collection[int]) -> set[int]:
        if not others or not self._may_say():
            return set()
        numbers = "{" + ",".join(map(str, sorted({me, *others}))) + "}"
        found = {number for (number,) in await read(_FREE, numbers, MEMBERS, self.grace_seconds)}
        if me in found:  # the server to which this came knows nothing of this process
            self.leave()
        return found if self._may_say() else set()

    def _may_say(self) -> bool:
        return self.present and time.monotonic() >= self._silent_until
