"""`minuet doctor`: looks at an app and at what it lives on, and says what is wrong and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from minuet.cli.checkup import check_up
from minuet.cli.opening import Place, place_of
from minuet.cli.options import AppReference, AsJson, BrokerUrl, Database, StoreUrl
from minuet.cli.output import console, notes, print_json
from minuet.cli.selecting import in_words
from minuet.contracts.duration import seconds
from minuet.ports.examined import Examined
from minuet.runtime.system import SystemClock

EXAMPLES = """
minuet doctor shop.app:app                the app, and where it keeps its state
minuet doctor --db shop.db                a file, with what its services have left in it
minuet doctor shop.app:app --json | jq '.findings[] | select(.well == false)'
"""


def doctor(
    app: AppReference = None,
    db: Database = None,
    store: StoreUrl = None,
    broker: BrokerUrl = None,
    owed_after: Annotated[str, typer.Option(metavar="TIME", help="How long an event may wait in the outbox.")] = "1m",
    as_json: AsJson = False,
) -> None:
    """Check what can be checked, and say for each finding what to do.

    An app: whether its services can start, whether expected consumers have come, which events nobody takes. Its
    store and broker: versions, modes and integrity of the file, groups that are nobody's, what is owed, late or dead.
    It reads the whole file. Status 1 if something is wrong.
    """
    owed_seconds = in_words(seconds, owed_after, "--owed-after")
    place = place_of(db=db, store=store, broker=broker, app=app)
    with notes().status("Looking"):
        found = asyncio.run(gather(place, owed_seconds))
    wrong = [one for one in found if one.well is False]
    if as_json:
        print_json({"well": not wrong, "findings": found})
    else:
        print_findings(found)
    if wrong:
        raise typer.Exit(1)


async def gather(place: Place, owed_seconds: float) -> list[Examined]:
    """All findings."""
    return [one async for one in check_up(place, owed_seconds, SystemClock().now())]


def print_findings(found: Sequence[Examined]) -> None:
    """One line each, and under what is not well what to do."""
    out = console()
    marks = {True: ("well ", "green"), None: ("note ", "yellow"), False: ("WRONG", "bold red")}
    for one in found:
        out.print(Text.assemble(marks[one.well], "  ", one.found), soft_wrap=True)
        if one.advice is not None:
            out.print(Text(f"       {one.advice}", "dim"), soft_wrap=True)
    wrong = sum(one.well is False for one in found)
    out.print("\nNothing is wrong." if not wrong else f"\n{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.")
