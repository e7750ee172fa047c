"""Whose turn it is to run what processes died with, so that it is known of what the next one dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count

PATIENCE_SECONDS = 5.0
"""How long a turn is respected, and how long somebody waits for rounds to end: reactions may take hours, or wait for
what another one is to do."""
ASKED_SECONDS = 0.5
"""How long no round begins after the turn was asked for in vain. Asked for again in time, it is still the same wish."""


class Alone:
    """The turn of a process, which one delivery has at a time. Beside it no round of transactional turns is under way
    either: that might hold what kills, and would not be charged with it.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._holder: tuple[int, asyncio.TimerHandle] | None = None
        """The number of the turn that somebody has, and when it ends for the others."""
        self._asked: tuple[float, asyncio.TimerHandle] | None = None
        """Since when somebody wants it and rounds hinder, and when that is forgotten."""
        self._rounds = self._waiting = self._opened = 0
        """How many rounds are under way, how many wait, and how often those that waited were let in."""
        self._free = asyncio.Event()
        self._open = asyncio.Event()
        """Whether rounds may begin."""
        self._calm = asyncio.Event()
        """Whether none is under way."""
        for each in (self._free, self._open, self._calm):
            each.set()

    def __repr__(self) -> str:
        return f"<Alone, {'free' if self._holder is None else 'taken'}, {self._rounds} rounds>"

    def try_take(self) -> int | None:
        """Take the turn, unless somebody has it or rounds are under way; to be given back by the number that it has. If
        it is rounds that hinder, none begins for a moment: ask again soon.
        """
        if self._holder is not None:
            return None
        if self._rounds and not self._waited():
            return None
        number = self._take()
        self._forget()
        return number

    def respects(self, number: int) -> bool:
        """Whether this turn is neither given back nor has lasted for too long."""
        return self._holder is not None and self._holder[0] == number

    def give(self, number: int) -> None:
        """This turn is over."""
        if self._holder is not None and self._holder[0] == number:
            self._holder[1].cancel()
            self._holder = None
            self._free.set()
            self._let()

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Wait for the turn, and for rounds to end; it lasts as long as the block."""
        while self._holder is not None:
            await self._free.wait()
        number = self._take()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS / 2):
                    await self._calm.wait()
            yield
        finally:
            self.give(number)

    @asynccontextmanager
    async def round(self) -> AsyncGenerator[None]:
        """A round of transactional turns, begun when nobody has the turn."""
        if self._open.is_set():
            self._begun(1)
        else:
            await self._let_in()
        try:
            yield
        finally:
            self._begun(-1)

    async def _let_in(self) -> None:
        """Wait until rounds may begin; from that very moment this one is under way."""
        opened = self._opened
        self._waiting += 1
        try:
            await self._open.wait()
        except BaseException:
            if opened == self._opened:
                self._waiting -= 1
            else:
                self._begun(-1)
            raise

    def _begun(self, rounds: int) -> None:
        self._rounds += rounds
        if self._rounds:
            self._calm.clear()
        else:
            self._calm.set()

    def _take(self) -> int:
        number = next(self._numbers)
        self._holder = number, asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self.give, number)
        self._free.clear()
        self._let()
        return number

    def _waited(self) -> bool:
        """Somebody wants the turn, and rounds hinder. Whether he has waited for long enough."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        if self._asked is not None:
            since, lapse = self._asked
            lapse.cancel()
        self._asked = since, loop.call_later(ASKED_SECONDS, self._forget)
        self._let()
        return loop.time() - since >= PATIENCE_SECONDS

    def _forget(self) -> None:
        if self._asked is not None:
            self._asked[1].cancel()
            self._asked = None
            self._let()

    def _let(self) -> None:
        if self._holder is not None or self._asked is not None:
            self._open.clear()
        elif not self._open.is_set():
            self._open.set()
            self._opened += 1
            self._begun(self._waiting)
            self._waiting = 0
