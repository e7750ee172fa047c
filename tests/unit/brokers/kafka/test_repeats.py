"""What the client library logs again and again while no server answers."""

import logging
import uuid

import pytest

from minuet.brokers.kafka.failures import logger as of_kafka
from minuet.brokers.kafka.repeats import EVERY_SECONDS, LIBRARY, MOST_KINDS, Repeats

REFUSED = "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect failed: Connection refused (after %dms%s)"


class Held:
    """A logger with the filter on a clock that the test moves, and what came through."""

    def __init__(self) -> None:
        self.now = 100.0
        self.logger = logging.getLogger(f"held {uuid.uuid4()}")
        self.logger.setLevel(logging.DEBUG)
        self.filter = Repeats(lambda: self.now)
        self.logger.addFilter(self.filter)
        handler = logging.Handler()
        handler.emit = lambda record: self.said.append(record.getMessage())  # type: ignore[method-assign]
        self.logger.addHandler(handler)
        self.said: list[str] = []

    def fails(self, milliseconds: int = 0, client: str = "rdkafka#consumer-1", more: str = "") -> None:
        """The library logs that it was refused."""
        self.logger.log(logging.ERROR, LIBRARY, "FAIL", client, REFUSED % (milliseconds, more))


@pytest.fixture
def held() -> Held:
    return Held()


def test_a_line_is_let_through_once_in_a_while_and_says_how_many_were_not(held: Held) -> None:
    """Numbers make no difference, and neither does how many the library itself has left out."""
    for number in range(1200):
        held.fails(number % 3, more=f", {number} identical error(s) suppressed" if number % 30 == 5 else "")
        held.now += 0.025
    assert len(held.said) == 1
    assert "were not logged" not in held.said[0]
    held.fails()
    first, second = held.said
    assert first == f"FAIL [rdkafka#consumer-1] {REFUSED % (0, '')}"
    assert second == f"{first} (1199 like it since the last one were not logged)"
    held.now += EVERY_SECONDS
    held.fails()
    assert held.said[2] == first


def test_clients_and_texts_are_kinds_of_their_own(held: Held) -> None:
    """The number of a client tells it from another."""
    for _ in range(3):
        held.fails(client="rdkafka#consumer-1")
        held.fails(client="rdkafka#consumer-2")
        held.logger.error(LIBRARY, "FAIL", "rdkafka#consumer-1", "Disconnected")
        held.logger.error(LIBRARY, "TERM", "rdkafka#consumer-1", "Disconnected")
    assert len(held.said) == 4


def test_own_lines_are_held_back_only_when_they_are_the_same(held: Held) -> None:
    """Their numbers are of groups, topics and partitions."""
    for _ in range(2):
        held.logger.warning("No server of %s answers %s", "a:1", "orders-1")
        held.logger.warning("No server of %s answers %s", "a:1", "orders-2")
        held.logger.warning("100% down")
    assert held.said == [
        "No server of a:1 answers orders-1", "No server of a:1 answers orders-2", "100% down",
    ]  # fmt: skip
    held.now += EVERY_SECONDS
    held.logger.warning("100% down")
    assert held.said[-1] == "100% down (1 like it since the last one were not logged)"


def test_what_is_no_warning_is_never_held_back(held: Held) -> None:
    """Whoever turns the library's `debug` on wants it all."""
    for _ in range(5):
        held.logger.debug(LIBRARY, "FETCH", "rdkafka#consumer-1", "Fetch")
        held.logger.info("A commit is repeated")
    assert len(held.said) == 10


def test_kinds_are_not_remembered_for_ever(held: Held) -> None:
    """Each consumer that is made has a name of its own."""
    for number in range(MOST_KINDS + 10):
        held.fails(client=f"rdkafka#consumer-{number}")
        held.now += EVERY_SECONDS
    assert len(held.said) == MOST_KINDS + 10
    assert repr(held.filter) == "<Repeats of 10 kinds>"


def test_minuets_logger_for_kafka_has_it() -> None:
    """The one that is handed to every client of the library."""
    assert [type(each) for each in of_kafka.filters] == [Repeats]
