"""The lines of the log read as sentences, whatever an error says."""

import pytest

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
