"""Which place a run has on a server, by its URL alone."""

import pytest

from minuet.demo.places import own, told


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://me@host/db", "postgres://me@host/db?schema=mine"),
        ("postgres://me@host/db?pool=3", "postgres://me@host/db?pool=3&schema=mine"),
        ("postgresql://host/db", "postgresql://host/db?schema=mine"),
        ("kafka://host", "kafka://host?prefix=mine."),
        ("rabbitmq://host/shop", "rabbitmq://host/shop?exchange=mine"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("postgres://host/db?schema=theirs", "postgres://host/db?schema=theirs"),
        ("kafka://host?prefix=theirs", "kafka://host?prefix=theirs"),
        ("rabbitmq://host?exchange=theirs", "rabbitmq://host?exchange=theirs"),
        ("", ""),
    ],
)
def test_a_server_has_a_place_for_each_run(url, place) -> None:
    """A server that others use is given a place of the run's own; a URL that names its place is taken at its word."""
    assert own(url, "mine") == place


def test_a_url_in_a_variable_has_a_place_too(monkeypatch) -> None:
    """What a variable holds decides about the place, and stays in the variable."""
    monkeypatch.setenv("SHOP", "postgres://me:secret@host/db?pool=3")
    assert own("${SHOP}", "mine") == "${SHOP}&schema=mine"


def test_a_place_is_told_without_what_lets_anybody_in() -> None:
    """Whoever reads it knows where to look, and no password."""
    said = told("postgres://me:secret@host:1/db?schema=mine")
    assert said.endswith("host:1/db, schema mine")
    assert "secret" not in said
