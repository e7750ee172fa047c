"""One service in a process of its own: `python -m minuet.demo.member SERVICE`.

It says `ready` on its output, works until it is told to stop (SIGTERM), killed, or left alone by whoever started
it (the end of its input). Where broker and store are and how the shop's world behaves stands in the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from minuet.app import App, run_loop
from minuet.examples.order_fulfilment.app import build

READY = "ready"
BROKER, STORE = "MINUET_DEMO_BROKER", "MINUET_DEMO_STORE"
"""The variables that name the URLs, which may carry passwords: other users see a process's arguments."""


WAIT_SECONDS = 30.0
"""How long a process that starts waits for a server that is away or too busy to answer."""


def shop() -> App:
    """The shop where the environment says."""
    app = build(os.environ[BROKER], os.environ[STORE])
    app.wait_seconds = WAIT_SECONDS
    return app


async def serve(service: str) -> None:
    """Run one service of the shop."""
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), left_alone)
    await shop().serve([service], started=lambda: say(READY))


def left_alone() -> None:
    """Nobody ever writes to the input, so what there is to read is its end: stop as if told to."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    os.kill(os.getpid(), signal.SIGTERM)


def say(word: str) -> None:
    """Tell whoever started this process, at once."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run_loop(serve(sys.argv[1]))
