"""Whose turn it is to run what processes died with, so that it is known of what the next one dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

PATIENCE_SECONDS = 5.0
"""How long one waits for another, at most: a reaction may take hours, or wait for what another one is to do."""
ASKED_SECONDS = 0.5
"""How long no round begins after somebody asked for the turn in vain, so that it is free of rounds when asked again."""


class Alone:
    """The turn of a process, which one delivery has at a time. Beside a last attempt no round of transactional turns is
    under way either: it might hold what kills, and would not be charged with it.
    """

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._open = asyncio.Event()
        self._calm = asyncio.Event()
        self._rounds = 0
        for each in (self._free, self._open, self._calm):
            each.set()

    def __repr__(self) -> str:
        return f"<Alone, {'free' if self._free.is_set() else 'taken'}, {self._rounds} rounds>"

    def try_take(self) -> bool:
        """Take the turn, if nobody has it and no round is under way. If it is rounds that hinder, none begins for a
        moment: ask again soon.
        """
        if not self._free.is_set():
            return False
        self._open.clear()
        if self._rounds:
            asyncio.get_running_loop().call_later(ASKED_SECONDS, self._lapse)
            return False
        self._free.clear()
        return True

    def give(self) -> None:
        """The turn is over."""
        self._free.set()
        self._open.set()

    @asynccontextmanager
    async def taken(self, *, last: bool) -> AsyncGenerator[None]:
        """Wait for the turn; it lasts as long as the block. For a `last` attempt, without rounds."""
        while not self._free.is_set():
            await self._free.wait()
        self._free.clear()
        try:
            if last:
                self._open.clear()
                await _patiently(self._calm)
            yield
        finally:
            self.give()

    @asynccontextmanager
    async def round(self) -> AsyncGenerator[None]:
        """A round of transactional turns, begun when nobody's last attempt is under way."""
        if not self._open.is_set():
            await _patiently(self._open)
        self._rounds += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._rounds -= 1
            if not self._rounds:
                self._calm.set()

    def _lapse(self) -> None:
        if self._free.is_set():
            self._open.set()


async def _patiently(event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await event.wait()
