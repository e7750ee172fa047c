"""Turns that share a mark: what goes wrong in one is its own, as if each had been run by itself."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from minuet import NEVER, App, Event, Service, Transaction
from minuet.ports.observer import Outcome, Point
from minuet.ports.store import DeadLetterFilter
from minuet.stores.sqlite.unit import TURNS_AHEAD
from minuet.testing.signals import Signals
from tests.acceptance.pairs import KINDS, adapters, rows

MANY = 4 * TURNS_AHEAD


class Asked(Event, key="number"):
    """A row is to be written, and perhaps what does harm."""

    number: int
    then: str = ""


class Written(Event, key="number"):
    """The row is there."""

    number: int


class Scribe:
    """A service that writes a row for each event, does what it is asked to, and counts how often it was called."""

    def __init__(self) -> None:
        self.service = Service("scribe", owns=[Asked, Written])
        self.calls = Counter[int]()
        self.signals = Signals({Point.COMMITTED})

        @self.service.setup
        async def tables(tx: Transaction) -> None:
            await tx.execute("CREATE TABLE IF NOT EXISTS done (number INTEGER)")
            await tx.execute("CREATE TABLE IF NOT EXISTS once (number INTEGER PRIMARY KEY)")

        @self.service.reaction(retry=NEVER)
        async def write(asked: Asked, tx: Transaction) -> Written:
            self.calls[asked.number] += 1
            await tx.execute("INSERT INTO done VALUES (?)", (asked.number,))
            if asked.then == "raise":
                raise ValueError("asked to")
            if asked.then:
                await tx.execute(asked.then)
            return Written(number=asked.number)

    async def settle(self, harm: dict[int, str], events: int, kind: str, folder: Path) -> tuple[list[int], list[str]]:
        """Emit events in one commit; the rows that are there in the end, and the keys of the dead letters."""
        broker, store = adapters(kind, folder)
        async with App([self.service], broker=broker, store=store, observers=[self.signals]).running():
            emitting = [self.service.emit(Asked(number=n, then=harm.get(n, ""))) for n in range(events)]
            await asyncio.gather(*emitting)
            await self.signals.reached(Point.COMMITTED, count=events, within="20s")
            found = sorted(number for (number,) in await rows(store, "SELECT number FROM done"))
            letters = await store.list_dead_letters(DeadLetterFilter())
        assert self.signals.troubles == []
        return found, sorted(str(letter.key) for letter in letters)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [1, 3, 50])
async def test_a_turn_that_fails_takes_nothing_from_those_beside_it(kind: str, every: int, tmp_path: Path) -> None:
    """Others that share its mark are handled once, and emit once."""
    scribe = Scribe()
    failing = set(range(0, MANY, every))
    found, dead = await scribe.settle(dict.fromkeys(failing, "raise"), MANY, kind, tmp_path)
    assert found == sorted(set(range(MANY)) - failing)
    assert dead == sorted(map(str, failing))
    emitted = [turn.emitted for turn in scribe.signals.passed(Point.COMMITTED, outcome=Outcome.HANDLED)]
    assert emitted == [1] * (MANY - len(failing))


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_fails_makes_few_others_run_twice(kind: str, tmp_path: Path) -> None:
    """At most those behind the same mark run again, and only once more."""
    scribe = Scribe()
    await scribe.settle({MANY // 2: "raise"}, MANY, kind, tmp_path)
    assert 0 < sum(calls > 1 for calls in scribe.calls.values()) <= TURNS_AHEAD
    assert max(scribe.calls.values()) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_a_savepoint_left_open_is_no_way_back_into_the_turn_before(kind: str, tmp_path: Path) -> None:
    """ROLLBACK TO finds no savepoint of an earlier turn."""
    harm = {3: "SAVEPOINT mine", 4: "ROLLBACK TO mine"}
    found, dead = await Scribe().settle(harm, 8, kind, tmp_path)
    assert found == [0, 1, 2, 3, 5, 6, 7]
    assert dead == ["4"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_one_that_loses_the_transaction_is_found_among_many(kind: str, tmp_path: Path) -> None:
    """A conflict clause takes the transaction itself back, with every turn that shares it."""
    culprit = MANY - 3
    found, dead = await Scribe().settle({culprit: "INSERT OR ROLLBACK INTO once VALUES (1), (1)"}, MANY, kind, tmp_path)
    assert found == [number for number in range(MANY) if number != culprit]
    assert dead == [str(culprit)]
