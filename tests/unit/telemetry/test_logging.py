"""The lines of the log read as sentences, whatever an error says."""

import asyncio

import pytest

from minuet import App, Event, Service
from minuet.brokers.memory import MemoryBroker
from minuet.ports.broker import Message
from minuet.ports.observer import Outcome, Point, Turn
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
