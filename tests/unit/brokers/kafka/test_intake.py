"""What was fetched of a partition counts as done when it is acknowledged, or when it is known that nothing is there."""

import sys

from confluent_kafka import Message as Record

from minuet.brokers.kafka.intake import MOST_WAITING_BYTES, Intake

WHERE = ("there", 0)


def records(*offsets: int) -> list[Record]:
    return [Record(topic="there", partition=0, offset=offset, value=b"{}") for offset in offsets]


def begun(offset: int = 0) -> Intake:
    """A process that has one partition, from this offset on."""
    intake = Intake({"there": "here"})
    intake.assign(WHERE, offset, "")
    return intake


def test_an_end_passes_over_no_record_that_nobody_has_looked_at() -> None:
    """Records and the end behind them wait together: all of them are handed out, and none is done."""
    intake = begun()
    intake.arrived(records(0, 1))
    intake.ended(WHERE, 5)
    intake.arrived(records(5))
    intake.ended(WHERE, 7)
    assert intake.commits() == []
    found = [*intake.take(1, None), *intake.take(10, None), *intake.take(10, None)]
    assert len(found) == 3
    assert [offset for _, offset, _ in intake.commits()] == [0]
    intake.acknowledge(found[:2])
    assert [offset for _, offset, _ in intake.commits()] == [5]
    intake.acknowledge(found[2:])
    assert [offset for _, offset, _ in intake.commits()] == [7]


def test_who_waits_is_told_of_an_end() -> None:
    """Nobody is given anything for it, and yet it is looked at and written down; an end that is known says nothing."""
    intake = begun(3)
    assert intake.take(1, None) == []
    assert intake.ended(WHERE, 4)
    assert intake.take(1, None) == []
    assert intake.commits() == [(WHERE, 4, "")]
    intake.ended(WHERE, 4)
    assert intake.take(1, None) == []
    assert intake.commits() == []


def test_an_end_that_was_told_to_an_earlier_assignment_says_nothing() -> None:
    """Who has the partition next is told by itself, in its own order."""
    intake = begun()
    intake.ended(WHERE, 5)
    intake.drop([WHERE])
    intake.assign(WHERE, 2, "")
    assert intake.take(1, None) == []
    assert intake.commits() == []


def test_a_partition_that_leaves_is_told_nothing() -> None:
    """What it has is committed as it was when it was to leave."""
    intake = begun()
    intake.ended(WHERE, 5)
    intake.leave([WHERE])
    assert intake.take(1, None) == []
    assert intake.commits([WHERE]) == []


def test_what_was_fetched_before_a_partition_was_made_anew_is_not_taken_for_what_is_there_now() -> None:
    """Others stand at the same offsets: all of them are handed out, and only their own acknowledgements count."""
    intake = begun()
    intake.arrived(records(0, 1))
    old = intake.take(1, None)
    intake.arrived(records(2, 3))
    intake.ended(WHERE, 9)
    intake.restart(WHERE)
    assert intake.commits() == [(WHERE, 0, "")]
    intake.arrived(records(0, 1, 2))
    new = intake.take(10, None)
    assert len(new) == 3
    intake.acknowledge(old)
    assert intake.commits() == []
    intake.acknowledge(new)
    assert intake.commits() == [(WHERE, 3, "")]


def test_what_was_fetched_of_a_partition_that_is_lost_is_kept_no_longer() -> None:
    """Its memory is there for what comes next, and what is of the partitions that stay is handed out."""
    intake = begun()
    intake.assign(("there", 1), 0, "")
    intake.arrived([*records(0, 1), Record(topic="there", partition=1, offset=0, value=b"{}")])
    assert len(intake.take(1, None)) == 1
    intake.arrived([Record(topic="there", partition=0, offset=2, value=b"x" * MOST_WAITING_BYTES)])
    assert intake.full
    intake.drop([WHERE])
    assert not intake.full
    assert len(intake.take(10, None)) == 1


def test_a_member_that_has_ended_keeps_nothing() -> None:
    """Nobody looks soon for what only holds itself."""
    kept = Record(topic="there", partition=0, offset=0, value=b"{}")
    before = sys.getrefcount(kept)
    intake = begun()
    intake.arrived([kept])
    intake.close()
    assert sys.getrefcount(kept) == before
    assert repr(intake) == "<Intake of 0 partitions, 0 waiting>"
