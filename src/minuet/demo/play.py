"""An example in this process alone: played once, and looked at when nothing is left to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from minuet.app import App
from minuet.demo.paths import instances, logged
from minuet.demo.plan import DemoFailed
from minuet.demo.settling import opened
from minuet.demo.watch import STALL_SECONDS

LOOK_SECONDS = 0.02


class Played(NamedTuple):
    """What happened: the names of each instance's events, and the dead letters by instance and reaction."""

    instances: dict[str, tuple[str, ...]]
    dead_letters: list[tuple[str, str, str]]
    """Instance, reaction, error."""
    retries: int
    duplicates_absorbed: int


async def play(app: App, url: str, begin: Callable[[App], Awaitable[None]]) -> Played:
    """Let an example's world begin, and run all of its services until nothing is left to do."""
    async with opened(app, url, url) as settling:
        await begin(app)
        async with app.running():
            until = time.monotonic() + STALL_SECONDS
            while waiting := await settling.waiting():
                if time.monotonic() > until:
                    raise DemoFailed(f"It did not end. Still awaited: {'; '.join(map(str, waiting))}.")
                await asyncio.sleep(LOOK_SECONDS)
        return Played(
            instances(await logged(settling)),
            [(d.correlation_id or "?", d.consumer, d.error) for d in await settling.dead_letters()],
            await settling.count("retries"),
            await settling.count("duplicates_absorbed"),
        )
