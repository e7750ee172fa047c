"""The parts of reference pages are what the code says of itself."""

import pytest

from minuet.ports.observer import Point
from tools.documents import reference
from tools.documents.verbs import verbs


def test_every_keyword_of_a_contract_is_explained() -> None:
    """A line for each, in the order of declaration."""
    lines = reference.contract_keywords().splitlines()
    assert lines[2].startswith("| `version` | Counts from 1;")
    assert len(lines) == 2 + 9


def test_every_point_of_a_turn_is_explained() -> None:
    """In the order of a turn's life."""
    lines = reference.observer_points().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == [point.value for point in Point]


def test_a_parameter_comes_with_its_default() -> None:
    """As it would be written; none for what must be given."""
    settings = reference.app_settings()
    assert "| `services` |  | The services" in settings
    assert '| `retention` | `"7d"` | How long' in settings


def test_a_parameter_that_the_docstring_passes_over_is_an_error() -> None:
    """A reference page cannot fall behind the code."""

    def undocumented(*, given: int = 1, forgotten: int = 2) -> None:
        """Do something.

        `given`: Which thing.
        """

    with pytest.raises(ValueError, match="has no line for `forgotten`"):
        reference.settings(undocumented)


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    """Those of failed attempts and those of the data, each once."""
    lines = reference.dead_letter_reasons().splitlines()[2:]
    reasons = [line.split("`")[1] for line in lines]
    assert {"retries_exhausted", "process_died", "undecodable", "payload", "newer_version", "no_upcaster"} <= {*reasons}
    assert len(reasons) == len({*reasons})


def test_refusals_are_the_ones_that_declarations_meet() -> None:
    """Each with its signature and its sentence; advice that was given once is not repeated."""
    refusals = reference.refusals()
    assert "- `async def no_parameter() -> None`: takes no event: it has no parameters." in refusals.splitlines()
    assert refusals.count("Annotate exactly one with a class derived from minuet.Event") == 1


def test_every_verb_says_what_it_does() -> None:
    """A section for each verb and for each command of a group, with the help that the command prints."""
    sections = verbs()
    assert "## minuet run\n\n```text\nUsage: minuet run [OPTIONS] [APP]\n" in sections
    assert "### minuet dlq redrive\n\n```text\nUsage: minuet dlq redrive [OPTIONS] [ID]...\n" in sections
