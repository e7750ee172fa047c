"""Arrays that were packed for PostgreSQL, as another driver is given their items."""

from hypothesis import given
from hypothesis import strategies as some

from minuet.databases.postgres.encoding import floats, kept, numbers, octets, texts, unpacked

NUMBERS = some.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(some.lists(some.none() | some.text(some.characters(exclude_categories=["Cs"]))))
def test_texts_are_what_the_tables_keep(items: list[str | None]) -> None:
    """A text is as minuet's tables keep it, which have no NUL."""
    assert unpacked(texts(items)) == [None if item is None else kept(item) for item in items]


@given(some.lists(some.none() | some.binary()))
def test_octets_are_themselves(items: list[bytes | None]) -> None:
    """Bytes come back as they were."""
    assert unpacked(octets(items)) == items


@given(some.lists(NUMBERS), some.lists(some.none() | some.floats(allow_nan=False)))
def test_numbers_are_themselves(whole: list[int], fractions: list[float | None]) -> None:
    """Whole numbers and others, also where some are missing."""
    assert unpacked(numbers(whole)) == whole
    assert unpacked(floats(fractions)) == fractions
