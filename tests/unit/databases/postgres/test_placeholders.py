"""Placeholders of `Transaction` become PostgreSQL's, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.databases.postgres.placeholders import bound
from minuet.errors import StoreUnavailable


def test_question_marks_are_numbered() -> None:
    """Each `?` is the next value."""
    assert bound("SELECT ? + ?", (1, 2)) == ("SELECT $1 + $2", (1, 2))


def test_a_name_is_one_number_however_often_it_stands_there() -> None:
    """A value that is named twice is given once, in the order of first naming."""
    sql, values = bound("SELECT :b, :a, :b", {"a": 1, "b": 2, "c": 3})
    assert (sql, values) == ("SELECT $1, $2, $1", [2, 1])


@pytest.mark.parametrize(
    "still",
    ["'? :a'", "E'\\'? :a'", "'it''s ?'", '"? :a"', "-- ? :a\n", "/* ? :a */", "$$ ? :a $$", "$t$ ? $$ :a $t$", "x::a"],
)
def test_what_is_no_placeholder_is_left(still) -> None:
    """Texts, names, comments and casts may have question marks and colons of their own."""
    assert bound(f"SELECT {still}", ()) == (f"SELECT {still}", ())
    assert bound(f"SELECT {still}", {}) == (f"SELECT {still}", [])


@given(st.lists(st.sampled_from(["?", "'?'", " a ", '"?"', "--?\n", "::text"])))
def test_there_are_as_many_numbers_as_question_marks(parts) -> None:
    """However a statement is put together, its placeholders are counted, and the rest is as it was."""
    expected, count = list[str](), 0
    for part in parts:
        count += part == "?"
        expected.append(f"${count}" if part == "?" else part)
    assert bound(" ".join(parts), (0,) * count) == (" ".join(expected), (0,) * count)


def test_missing_values_are_refused_in_prose() -> None:
    """Too few values, too many, or one that is not named."""
    for sql, params in (("SELECT ?", ()), ("SELECT ?", (1, 2)), ("SELECT :a", {"b": 1})):
        with pytest.raises(StoreUnavailable, match="SELECT"):
            bound(sql, params)
