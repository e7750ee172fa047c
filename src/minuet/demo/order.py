"""One run of the order demo, from the first process to the verdict."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice

from minuet.demo.fleet import Feeder, Fleet
from minuet.demo.paths import instances, logged
from minuet.demo.plan import Plan
from minuet.demo.settling import Settling, opened
from minuet.demo.strikes import Strike, strikes
from minuet.demo.verdict import Verdict, judge
from minuet.demo.watch import SERVERS_STALL_SECONDS, STALL_SECONDS, Glance, Watch
from minuet.examples.order_fulfilment.app import build
from minuet.examples.order_fulfilment.audit import expect
from minuet.examples.order_fulfilment.events import InvoiceReceived
from minuet.examples.order_fulfilment.feed import feed
from minuet.examples.order_fulfilment.input import invoices

SLICE = 256
"""How many invoices the feeder is given at once at most, and begins again with when it was killed."""


async def run_fleet(plan: Plan, show: Callable[[Glance], None]) -> Verdict:
    """Run every service in processes of its own, and kill some of them. Raises DemoFailed."""
    started = time.monotonic()
    expectation = expect(plan.files, plan.settings)
    app = build(plan.broker_url, plan.store_url, plan.settings)
    async with opened(app, plan.broker_url, plan.store_url) as settling:
        stall_seconds = SERVERS_STALL_SECONDS if plan.broker or plan.store else STALL_SECONDS
        watch = Watch(settling, expectation, show, stall_seconds=stall_seconds)
        services = [service.name for service in app.services]
        fleet = Fleet(services, plan)
        async with fleet.running():
            feeding = asyncio.create_task(Feeding(plan, fleet, watch).run(), name="feeding")
            try:
                await watch.until_settled(feeding, fleet.check)
            finally:
                feeding.cancel()
        return await watch.asked(lambda: judge(settling, expectation, fleet.kills, time.monotonic() - started))


async def run_alone(plan: Plan, show: Callable[[Glance], None]) -> Verdict:
    """Run everything in this process, without a kill. Raises DemoFailed."""
    started = time.monotonic()
    expectation = expect(plan.files, plan.settings)
    app = build(plan.broker_url, plan.store_url, plan.settings)
    async with opened(app, plan.broker_url, plan.store_url) as settling:
        watch = Watch(settling, expectation, show)

        async def hand_over() -> None:
            async for fed in feed(invoices(plan.files), together=16):
                watch.fed = fed
                await watch.room(64)

        async with app.running():
            watch.begun.set()
            feeding = asyncio.create_task(hand_over(), name="feeding")
            try:
                await watch.until_settled(feeding)
            finally:
                feeding.cancel()
        return await watch.asked(lambda: judge(settling, expectation, 0, time.monotonic() - started))


class Feeding:
    """Hands the invoices over in slices, and strikes where the plan says so.

    It keeps only a little ahead of the services, so that the kills fall into their work.
    """

    def __init__(self, plan: Plan, fleet: Fleet, watch: Watch) -> None:
        self._fleet = fleet
        self._watch = watch
        self._invoices = invoices(plan.files)
        self._strikes = deque(strikes(plan.settings.seed, plan.kills, watch.invoices, len(fleet.members)))
        self._ahead = min(2 * SLICE, max(32, 2 * watch.invoices // (plan.kills + 1)))

    def __repr__(self) -> str:
        return f"<Feeding, {len(self._strikes)} strikes to come>"

    async def run(self) -> None:
        """Feed everything, and strike as often as is planned."""
        for member in self._fleet.members:
            await member.ready.wait()
        self._watch.begun.set()
        for batch, due in self._slices():
            await self._hand_over(batch, due)
            await self._watch.room(self._ahead)

    def _slices(self) -> Iterator[tuple[list[InvoiceReceived], list[Strike]]]:
        """The invoices in slices, each with the strikes that fall due with its end."""
        fed = 0
        while fed < self._watch.invoices or self._strikes:
            end = min(fed + SLICE, self._strikes[0].fed if self._strikes else self._watch.invoices)
            batch = list(islice(self._invoices, end - fed))
            fed = end
            due: list[Strike] = []
            while self._strikes and self._strikes[0].fed <= fed:
                due.append(self._strikes.popleft())
            yield batch, due

    async def _hand_over(self, batch: Sequence[InvoiceReceived], due: Sequence[Strike]) -> None:
        feeder, before = self._fleet.feeder, self._watch.fed
        feeder.handed_over = 0
        handing = asyncio.create_task(feeder.feed(batch), name="hand over")
        try:
            for strike in due:
                await self._strike(strike, feeder, handing)
            await handing
        finally:
            handing.cancel()
        self._watch.fed = before + len(batch)

    async def _strike(self, strike: Strike, feeder: Feeder, handing: asyncio.Task[None]) -> None:
        victim = await self._fleet.victim(strike.victim)
        if victim is feeder:
            await feeder.until(lambda: feeder.handed_over > 0 or handing.done())
        else:
            await asyncio.wait([handing])
            await asyncio.sleep(strike.after_seconds)
        await self._fleet.strike(victim)
        self._watch.kills = self._fleet.kills
        self._watch.lives = {member.name: member.lives for member in self._fleet.members}


def opened_again(plan: Plan) -> AbstractAsyncContextManager[Settling]:
    """Look at what an earlier run left."""
    return opened(build(plan.broker_url, plan.store_url), plan.broker_url, plan.store_url)


async def audit_again(plan: Plan) -> Verdict:
    """Judge the file of an earlier run as it is now."""
    started = time.monotonic()
    expectation = expect(plan.files, plan.settings)
    async with opened_again(plan) as settling:
        return await judge(settling, expectation, plan.kills, time.monotonic() - started)


async def instances_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The events of each instance of an earlier run, by name and in order."""
    async with opened_again(plan) as settling:
        return instances(await logged(settling))
