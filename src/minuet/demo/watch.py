"""Looking on: how far every service is, whether anything still happens, and when all of it is over."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from minuet.demo.plan import DemoFailed
from minuet.demo.settling import Settling
from minuet.examples.order_fulfilment.audit import Expectation
from minuet.examples.order_fulfilment.books import PROGRESS, progress_of

T = TypeVar("T")
LOOK_SECONDS = 0.1
STALL_SECONDS = 60.0
"""How long nothing may happen while something is awaited. Where a broker does not show what it still has, and nobody
else has anything to do, what is missing after that is lost."""

SERVERS_STALL_SECONDS = 180.0
"""The same where broker or store are servers, which may be away: on a busy machine one takes a minute to come back."""


class Glance(NamedTuple):
    """How far it is. `done` and `due` count, for each service, reactions that have had their effect."""

    fed: int
    invoices: int
    done: Mapping[str, int]
    due: Mapping[str, int]
    retries: int
    duplicates_absorbed: int
    kills: int
    lives: Mapping[str, int]

    @property
    def share(self) -> float:
        """How much of all work is done, from 0 to 1."""
        return sum(self.done.values()) / max(1, sum(self.due.values()))


class Watch:
    """Looks at broker and store a few times a second; whoever runs the services tells it what is fed and killed.

    `begun` is set once every service has started, and so has its tables.
    """

    def __init__(
        self,
        settling: Settling,
        expectation: Expectation,
        show: Callable[[Glance], None],
        *,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        effects = expectation.effects
        self.invoices = sum(effects[e] for e in effects if e.kind in ("order", "return", "rejected"))
        self.fed = 0
        self.kills = 0
        self.lives: Mapping[str, int] = {}
        self.begun = asyncio.Event()
        self._settling = settling
        self._due = progress_of(effects)
        self._show = show
        self._stall_seconds = stall_seconds
        self._share = 0.0
        self._done: Mapping[str, int] = {}
        self._pulse: Sequence[object] = ()
        self._changed_at = time.monotonic()
        self._looked = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Watch of {self._settling!r}, {self.fed} of {self.invoices} fed>"

    async def until_settled(self, feeding: asyncio.Task[None], check: Callable[[], None] = lambda: None) -> None:
        """Look on until all is fed and nothing is left to do. Raises DemoFailed if nothing happens for a minute.

        `check` is called at each look and may raise. A server that is away is looked for again.
        """
        while True:
            started = time.monotonic()
            check()
            if feeding.done():
                feeding.result()
            try:
                if self.begun.is_set() and not await self._look() and feeding.done() and await self._settled():
                    return
            except Exception:  # whatever a client library raises while its server is away
                logging.getLogger("minuet.demo").warning("Broker or store could not be asked.", exc_info=True)
            if started - self._changed_at > self._stall_seconds:
                raise DemoFailed(await self._stalled())
            await asyncio.sleep(max(LOOK_SECONDS, 5 * (time.monotonic() - started)))

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked at the end. A server that is away is asked again, for as long as a standstill may last."""
        ends = time.monotonic() + self._stall_seconds
        while True:
            try:
                return await ask()
            except Exception:  # whatever a client library raises while its server is away
                if time.monotonic() > ends:
                    raise
                logging.getLogger("minuet.demo").warning("Broker or store could not be asked.", exc_info=True)
            await asyncio.sleep(LOOK_SECONDS)

    async def _settled(self) -> bool:
        if await self._settling.waiting():
            return False
        if self._settling.complete or all(self._done[name] >= due for name, due in self._due.items()):
            return not await self._look()
        return time.monotonic() - self._changed_at > self._stall_seconds

    async def room(self, most: int) -> None:
        """Wait until the services are at most so many invoices behind what is fed."""
        while self.fed - math.floor(self._share * self.invoices) > most:
            self._looked.clear()
            await self._looked.wait()

    async def _look(self) -> bool:
        """Look once, show it, and say whether anything has happened since the last look."""
        done = {str(service): int(number) for service, number in await self._settling.read(PROGRESS)}
        pulse = (self.fed, self.kills, done, *await self._settling.pulse())
        happened = pulse != self._pulse
        if happened:
            self._pulse = pulse
            self._changed_at = time.monotonic()
        glance = Glance(
            fed=self.fed,
            invoices=self.invoices,
            done=done,
            due=self._due,
            retries=await self._settling.count("retries"),
            duplicates_absorbed=await self._settling.count("duplicates_absorbed"),
            kills=self.kills,
            lives=self.lives,
        )
        self._share, self._done = glance.share, done
        self._show(glance)
        self._looked.set()
        return happened

    async def _stalled(self) -> str:
        try:
            awaited = list(map(str, await self._settling.waiting()))
        except Exception as error:  # noqa: BLE001  # see above
            return f"For {self._stall_seconds:.0f} seconds broker or store could not be asked: {error}"
        if self.fed < self.invoices:
            awaited.append(f"{self.invoices - self.fed} invoices are not fed")
        return f"Nothing has happened for {self._stall_seconds:.0f} seconds. Still awaited: {'; '.join(awaited)}."
