"""A process at work: its lanes, feed, relay and housekeeping, from start to graceful stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minuet.runtime.concurrent import ConcurrentLane
from minuet.runtime.feed import Feed
from minuet.runtime.housekeeping import Housekeeping
from minuet.runtime.lanes import Lane
from minuet.runtime.relay import Relay
from minuet.runtime.transactional import TransactionalLane


class Worker:
    """Everything that runs in one process, as tasks."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        feeds: Sequence[Feed],
        relay: Relay | None,
        housekeeping: Housekeeping,
        stop_seconds: float,
    ) -> None:
        self._lanes = tuple(lanes)
        self._feeds = tuple(feeds)
        self._relay = relay
        self._housekeeping = housekeeping
        self._stop_seconds = stop_seconds
        self._lane_tasks: list[asyncio.Task[None]] = []
        self._feed_tasks: list[asyncio.Task[None]] = []
        self._relay_task: asyncio.Task[None] | None = None
        self._chores: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Worker of {', '.join(lane.reactor.id for lane in self._lanes) or 'nothing'}>"

    @property
    def left_behind(self) -> tuple[str, ...]:
        """Sync reactions, each with its place, that are in their threads now."""
        return tuple(f"{lane.reactor.id} ({lane.reactor.place})" for lane in self._lanes if lane.reactor.is_in_thread)

    def wake(self) -> None:
        """Let every lane and the relay look again."""
        for lane in self._lanes:
            lane.look()
        if self._relay is not None:
            self._relay.wake()

    def start(self) -> None:
        """Begin. Consuming starts here."""
        if self._relay is not None:
            self._relay_task = asyncio.create_task(self._relay.run(), name="minuet relay")
        self._feed_tasks = [asyncio.create_task(feed.run(), name=repr(feed)) for feed in self._feeds]
        self._lane_tasks = [asyncio.create_task(lane.run(), name=repr(lane)) for lane in self._lanes]
        if self._lanes or self._relay is not None:
            self._chores.append(asyncio.create_task(self._housekeeping.reclaim(self.wake), name="minuet reclaim"))
            self._chores.append(asyncio.create_task(self._housekeeping.watch(), name="minuet watch"))
        if self._lanes:
            self._chores.append(asyncio.create_task(self._housekeeping.trim(), name="minuet trim"))

    async def stop(self) -> None:
        """Take nothing more; finish, commit, publish, acknowledge what is begun; give back what takes too long."""
        for task in self._chores:
            task.cancel()
        for lane in self._lanes:
            lane.stop()
        if self._lane_tasks:
            _, late = await asyncio.wait(self._lane_tasks, timeout=self._stop_seconds)
            await self._give_back(late)
            await self._give_back_claimed()
        for feed in self._feeds:
            feed.stop()
        if self._relay is not None:
            self._relay.stop()
        last = [*self._feed_tasks, *([self._relay_task] if self._relay_task is not None else [])]
        if last:
            _, late = await asyncio.wait(last, timeout=self._stop_seconds)
            for task in late:
                task.cancel()
        everything = [*self._chores, *self._lane_tasks, *last]
        await asyncio.gather(*everything, return_exceptions=True)

    async def _give_back_claimed(self) -> None:
        """What careful rounds had claimed when they were ended, by us or by an error."""
        claimed = (
            lane.abandon()
            for lane, task in zip(self._lanes, self._lane_tasks, strict=True)
            if task.done() and isinstance(lane, TransactionalLane)
        )
        await asyncio.gather(*claimed, return_exceptions=True)

    async def _give_back(self, late: set[asyncio.Task[None]]) -> None:
        """End lanes that take too long. One whose sync reaction has the transaction in a thread is not among them: its
        statements would go on outside it. That one is waited for, or ends with the process.
        """
        ended = [
            (lane, task)
            for lane, task in zip(self._lanes, self._lane_tasks, strict=True)
            if task in late and (lane.reactor.reaction.is_async or not lane.reactor.transactional)
        ]
        for _, task in ended:
            task.cancel()
        await asyncio.gather(*(task for _, task in ended), return_exceptions=True)
        for lane, _ in ended:
            if isinstance(lane, ConcurrentLane):
                await lane.abandon()
