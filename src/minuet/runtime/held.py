"""What a relay holds from its birth, because its own process owes it: in memory, from the commit to the broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from minuet.ports.broker import size_bytes_of
from minuet.ports.store import Owed

MOST = 10_000
"""How many messages wait; what is owed beyond them is claimed."""
MOST_BYTES = 16 * 1024 * 1024
"""How much their bodies come to, give or take a commit."""
BATCH, BATCH_BYTES = 2048, 2 * 1024 * 1024
"""How many are published together at most, and how much their bodies come to, give or take a commit: a broker's work
goes by batches and their topics, and those of a batch are many."""


class Held:
    """Rows by commit, oldest first. See decision 19."""

    def __init__(self) -> None:
        self._commits: deque[tuple[float, Sequence[Owed]]] = deque()
        """Each since when, by the loop's time."""
        self._count = self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._commits)

    def __repr__(self) -> str:
        return f"<Held, {self._count} messages of {self._bytes} bytes>"

    @property
    def full(self) -> bool:
        return self._count >= MOST or self._bytes >= MOST_BYTES

    def add(self, rows: Sequence[Owed]) -> None:
        """These are committed."""
        if rows:
            self._commits.append((asyncio.get_running_loop().time(), rows))
            self._count += len(rows)
            self._bytes += sum(size_bytes_of(row.message.body) for row in rows)

    @property
    def age_seconds(self) -> float:
        """How long the oldest is held; 0 without any."""
        return asyncio.get_running_loop().time() - self._commits[0][0] if self._commits else 0.0

    def batch(self) -> list[Owed]:
        """Take what is to be published next."""
        taken, left_bytes = list[Owed](), BATCH_BYTES
        while self._commits and len(taken) < BATCH and left_bytes > 0:
            _, rows = self._commits.popleft()
            size_bytes = sum(size_bytes_of(row.message.body) for row in rows)
            self._count -= len(rows)
            self._bytes -= size_bytes
            left_bytes -= size_bytes
            taken += rows
        return taken

    def everything(self) -> list[Owed]:
        """Take all of it."""
        rows = [row for _, commit in self._commits for row in commit]
        self._commits.clear()
        self._count = self._bytes = 0
        return rows
