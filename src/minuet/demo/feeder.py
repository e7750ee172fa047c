"""The till, in a process of its own: `python -m minuet.demo.feeder`.

Each line of its input is a JSON array of invoices. It emits them, some together, and says after each commit how
many of the array are durable. It ends with its input. One that was killed is given the same array again, and one
that lost its server begins anew with what is not known to be durable: what was emitted before has the same ids, and
is absorbed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Sequence

import msgspec

from minuet.app import run_loop
from minuet.demo.member import READY, say, shop
from minuet.examples.order_fulfilment.events import InvoiceReceived
from minuet.examples.order_fulfilment.feed import feed
from minuet.policies.retry import Retry

LONGEST_LINE = 1 << 30
"""Bytes of one array; what the reader refuses to hold."""


AGAIN = Retry(times=1_000_000, first_seconds=0.1, most_seconds=2.0)
"""How a server that went away is tried again."""


async def serve() -> None:
    """Emit whatever comes in."""
    arrays = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(arrays), sys.stdin)
    decoder = msgspec.json.Decoder(list[InvoiceReceived])
    async with shop().connected():
        say(READY)
        async for line in arrays:
            await hand_over(decoder.decode(line))


async def hand_over(invoices: Sequence[InvoiceReceived]) -> None:
    """Emit all of these, however often the server goes away meanwhile."""
    durable = failures = 0
    while durable < len(invoices):
        before = durable
        try:
            async for fed in feed(invoices[before:], together=max(1, min(64, len(invoices) // 4))):
                durable, failures = before + fed, 0
                say(str(durable))
        except Exception as error:  # noqa: BLE001  # whatever a client library raises
            failures += 1
            logging.getLogger("minuet.demo").warning("%s of %s are durable: %r", durable, len(invoices), error)
            await asyncio.sleep(AGAIN.delay(failures + 1, random.random()) or 0.0)


if __name__ == "__main__":
    run_loop(serve())
