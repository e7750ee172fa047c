"""How the reference work is fed: concurrently, bounded, each order exactly once."""

import asyncio
from collections import Counter

from benchmarks.programs.feeding import IN_FLIGHT, Flight
from benchmarks.programs.order import Order, order


def test_every_order_is_sent_once_and_no_more_are_under_way_than_allowed() -> None:
    """Publishers share the orders, and the bound holds them back."""
    asyncio.run(_every_order_is_sent_once())


async def _every_order_is_sent_once() -> None:
    """Each lands a few turns of the loop later, so that publishers do meet the bound."""
    flight, sent, under_way, most = Flight(IN_FLIGHT), Counter[str](), 0, 0
    landings = set[asyncio.Task[None]]()

    async def land() -> None:
        nonlocal under_way
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        flight.landed()

    async def send(placed: Order) -> None:
        nonlocal under_way, most
        sent[placed.order_id] += 1
        under_way += 1
        most = max(most, under_way)
        landings.add(asyncio.create_task(land()))

    await flight.feed(send, 2000, first=7)
    assert sent == {order(number).order_id: 1 for number in range(7, 2007)}
    assert most <= IN_FLIGHT
    await flight.feed(send, 30, ring=10)
    assert [sent[order(number).order_id] for number in range(10)] == [3, 3, 3, 3, 3, 3, 3, 4, 4, 4]


def test_feeding_ends_with_the_last_landing() -> None:
    """Otherwise the clock would stop too early."""
    asyncio.run(_feeding_ends_with_the_last_landing())


async def _feeding_ends_with_the_last_landing() -> None:
    """What is sent is not done: the clock runs until the last has ended."""
    flight, sent = Flight(), asyncio.Event()

    async def send(placed: Order) -> None:
        if placed.order_id == order(4).order_id:
            sent.set()

    feeding = asyncio.create_task(flight.feed(send, 5))
    await sent.wait()
    for _ in range(4):
        flight.landed()
    await asyncio.sleep(0)
    assert not feeding.done()
    flight.landed()
    await feeding
