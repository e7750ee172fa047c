"""A small app as a user writes it, for the command line's tests: letters are posted, and delivered if they can be."""

import shutil
from pathlib import Path

from tests.acceptance.command import minuet, python

POST = '''
import asyncio
import os

from minuet import App, Event, Service, Transaction, Workflow, retry


class LetterPosted(Event, key="street", consumers=("delivery",)):
    """Somebody put a letter into the box."""

    street: str
    number: int


class LetterDelivered(Event, key="street"):
    """It is in the letter box of the house."""

    street: str
    number: int


class NoSuchHouse(Exception):
    """The street has no such number."""


boxes = Service("boxes", owns=[LetterPosted])
delivery = Service("delivery", owns=[LetterDelivered])


@delivery.setup
async def tables(tx: Transaction) -> None:
    await tx.execute("CREATE TABLE IF NOT EXISTS delivered (street TEXT, number INTEGER)")


@delivery.reaction(never=NoSuchHouse, retry=retry(times=2, first="1h", most="1h"), on_dead_letter="hold")
async def deliver(letter: LetterPosted, tx: Transaction) -> LetterDelivered:
    """Walk there."""
    if letter.number > int(os.environ.get("HOUSES", "9")):
        raise NoSuchHouse(f"{letter.street} {letter.number}")
    if letter.street == "Muddy Lane":
        raise OSError("stuck")
    await tx.execute("INSERT INTO delivered VALUES (?, ?)", (letter.street, letter.number))
    return LetterDelivered(street=letter.street, number=letter.number)


letter = Workflow("letter", starts=LetterPosted, ends=LetterDelivered, within="1h")
app = App([boxes, delivery], workflows=[letter], broker="sqlite:///post.db")


async def post(letters: list[tuple[str, int, str]]) -> None:
    async with app.connected():
        for street, number, id in letters:
            await boxes.emit(LetterPosted(street=street, number=number), id=id, correlation_id=id)
'''


def post_office(directory: Path) -> Path:
    """Write the app as post.py into a directory; the directory."""
    (directory / "post.py").write_text(POST)
    return directory


def post(directory: Path, *letters: tuple[str, int, str]) -> None:
    """Post letters: street, number, and an id that is the correlation id too."""
    python(f"import asyncio, post; asyncio.run(post.post({list(letters)!r}))", cwd=directory)


def copied(prepared: Path, directory: Path) -> Path:
    """Copy a post office whose processes have all ended; the directory."""
    for name in ("post.py", "post.db"):
        shutil.copy(prepared / name, directory / name)
    return directory


def work(directory: Path, *, houses: int = 9) -> None:
    """Let the delivery do what it can; streets have so many houses."""
    minuet("run", "post:app", "--drain", cwd=directory, HOUSES=str(houses))


def work_in_the_mud(directory: Path) -> None:
    """Let the delivery try twice what fails; the third attempt is due within the hour."""
    python(MUD, cwd=directory)


MUD = """
import asyncio
import post
from minuet.testing import Point, Signals

async def main():
    signals = Signals([Point.COMMITTED])
    post.app.observers = (signals,)
    async with post.app.running():
        await signals.reached(Point.COMMITTED, reaction="delivery.deliver", count=2)

asyncio.run(main())
"""
