"""The lines of the log read as sentences, whatever an error says."""

import asyncio
from collections.abc import Sequence

import pytest

from minuet import App, Event, Service
from minuet.brokers.memory import MemoryBroker
from minuet.errors import MinuetError, NotRepeated, StandsStill
from minuet.ports.broker import Message
from minuet.ports.observer import Outcome, Point, Turn
from minuet.runtime.observing import Observers
from minuet.telemetry.logging import LogObserver, clause


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ValueError: no such house.", "ValueError: no such house"),
        ("ValueError: ", "ValueError"),
        ("ValueError: no such house", "ValueError: no such house"),
    ],
)
def test_an_error_is_a_part_of_a_sentence(error: str, expected: str) -> None:
    """Its own full stop goes, and so does the colon before no text at all."""
    assert clause(error) == expected


def test_trouble_ends_with_one_full_stop(caplog: pytest.LogCaptureFixture) -> None:
    """An error that is a sentence is not given a second full stop."""
    LogObserver().trouble("publishing", OSError("One transaction cannot span two databases."))
    LogObserver().trouble("publishing", OSError())
    assert caplog.messages == [
        "While publishing: OSError: One transaction cannot span two databases. Nothing is lost; trying again.",
        "While publishing: OSError. Nothing is lost; trying again.",
    ]


@pytest.mark.parametrize("kind", [NotRepeated, StandsStill])
def test_what_is_not_tried_again_is_not_said_to_be(kind: type[MinuetError], caplog: pytest.LogCaptureFixture) -> None:
    """The line of what stands still, or is left as it is, ends with what the error itself says of it."""
    LogObserver().trouble("reading the log", kind("A transaction is open. Look with `minuet doctor`."))
    assert caplog.messages == ["While reading the log: A transaction is open. Look with `minuet doctor`."]


class Speechless(Exception):
    """An error that fails to say what it is."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "named"),
    [(OSError("no room on the disk."), "OSError: no room on the disk"), (Speechless(), "Speechless")],
)
def test_an_observer_that_raises_is_told_of_once(
    error: Exception, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not told again of the turns at which it raised, and the log does not say that it is."""

    class Raising(LogObserver):
        def at(self, point: Point, turns: Sequence[Turn]) -> None:
            raise error

    Observers([Raising()]).at(Point.FAILED, ())
    [said] = caplog.messages
    assert said.endswith(f"of turns that are failed: {named}. It is not told of these again, and the turns go on.")


def test_an_instance_that_nobody_knows_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no event have neither id nor instance, and the line says no None."""
    turn = Turn(
        reaction="desk.note",
        place="desk.py:7",
        topic="Noted",
        event_id=None,
        outcome=Outcome.DEAD,
        reason="undecodable",
    )
    LogObserver().at(Point.FAILED, [turn])
    [said] = caplog.messages
    assert said.startswith("desk.note Noted (an event without a readable id): dead letter, undecodable")
    assert "None" not in said


def test_a_dead_letter_is_told_with_its_instance(caplog: pytest.LogCaptureFixture) -> None:
    """Also when the reaction never saw the event, as when its payload is refused or its processes died."""

    class Noted(Event):
        """Something was noted."""

        number: int

    desk, broker = Service("desk"), MemoryBroker()

    @desk.reaction
    async def note(noted: Noted) -> None: ...

    body = (
        '{"specversion":"1.0","type":"Noted.v1","source":"/far","id":"n1","correlationid":"c1","data":{"number":"no"}}'
    )

    async def run() -> None:
        async with App([desk], broker=broker).running() as app:
            await broker.publish([Message("Noted", None, None, None, None, body)])
            await app.settled()

    asyncio.run(run())
    [said] = caplog.messages
    assert said.startswith("desk.note Noted n1 (instance c1): dead letter, payload")
