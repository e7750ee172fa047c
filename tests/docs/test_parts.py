"""The parts of documents that are made of facts standing elsewhere."""

import pytest

from tools.documents.parts import brokers, filled, stores


def test_a_part_replaces_what_stands_between_its_marks() -> None:
    """What stood there goes, all around it stays, and filling it again changes nothing."""
    document = "before\n<!-- weather:begin -->\nold\n<!-- weather:end -->\nafter\n"
    current = filled(document, {"weather": lambda: "fine"})
    assert current == "before\n<!-- weather:begin -->\n\nfine\n\n<!-- weather:end -->\nafter\n"
    assert filled(current, {"weather": lambda: "fine"}) == current


def test_a_part_that_nobody_makes_is_an_error() -> None:
    """A name that does not exist is refused, with those that do."""
    with pytest.raises(ValueError, match=r"`weather`; there are: .*brokers, .*speed, .*stores"):
        filled("<!-- weather:begin -->\n<!-- weather:end -->\n")


def test_capabilities_are_told_as_the_adapters_declare_them() -> None:
    """The tables have a column for each adapter and say yes or no to each capability."""
    assert brokers().startswith("| | `kafka` | `memory` | ")
    assert "| persistent | yes | no | yes | yes | yes |" in brokers()
    assert "| persistent | no | yes |" in stores()
