"""One worker of a service on RabbitMQ, as a process: `python rabbit_tills.py BROKER STORE`."""

import os
import sys
from pathlib import Path

from minuet import App, Event, Service, Transaction

ENTRIES = "SELECT till, number, process FROM entries ORDER BY line"


class Bought(Event, key="till"):
    """Somebody bought something at a till. The till orders them."""

    till: str
    number: int


customers = Service("customers", owns=[Bought])
tills = Service("tills")


@tills.setup
async def entries(tx: Transaction) -> None:
    await tx.execute(
        "CREATE TABLE IF NOT EXISTS entries"
        " (line INTEGER PRIMARY KEY AUTOINCREMENT, till TEXT, number INTEGER, process INTEGER)"
    )


@tills.reaction
async def enter(bought: Bought, tx: Transaction) -> None:
    await tx.execute(
        "INSERT INTO entries (till, number, process) VALUES (?, ?, ?)", (bought.till, bought.number, os.getpid())
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    App([tills], broker=sys.argv[1], store=sys.argv[2]).run()
