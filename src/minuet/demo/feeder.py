"""The till, in a process of its own: `python -m minuet.demo.feeder URL`.

Each line of its input is a JSON array of invoices. It emits them, some together, and says after each commit how
many of the array are durable. It ends with its input. One that was killed is given the same array again: what it
had emitted before has the same ids, and is absorbed.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from minuet.app import run_loop
from minuet.demo.member import READY, say
from minuet.examples.order_fulfilment.app import build
from minuet.examples.order_fulfilment.events import InvoiceReceived
from minuet.examples.order_fulfilment.feed import feed

LONGEST_LINE = 1 << 30
"""Bytes of one array; what the reader refuses to hold."""


async def serve(url: str) -> None:
    """Emit whatever comes in."""
    arrays = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(arrays), sys.stdin)
    decoder = msgspec.json.Decoder(list[InvoiceReceived])
    async with build(url, url).connected():
        say(READY)
        async for line in arrays:
            invoices = decoder.decode(line)
            async for fed in feed(invoices, together=max(1, min(64, len(invoices) // 4))):
                say(str(fed))


if __name__ == "__main__":
    run_loop(serve(sys.argv[1]))
