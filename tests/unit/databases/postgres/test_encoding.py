"""What minuet's own tables keep comes back as it was, also what PostgreSQL has no text for."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.databases.postgres.encoding import encoded, given_back, kept, texts


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(["\0", "\ufdd0", "e", "0"])))
def test_a_text_comes_back(text) -> None:
    """Whatever it has, a NUL or the character that stands for one; and PostgreSQL is given no NUL."""
    assert "\0" not in kept(text)
    assert given_back(kept(text)) == text


@given(st.text(), st.text())
def test_two_texts_stay_two(one, other) -> None:
    """What differs is kept differently."""
    assert (kept(one) == kept(other)) == (one == other)


def test_an_array_says_how_many_it_has() -> None:
    """One dimension, items of one type, null items without bytes."""
    assert texts([]) == bytes(8) + b"\0\0\0\x19"
    assert texts(["a", None])[12:] == b"\0\0\0\x02\0\0\0\x01" + b"\0\0\0\x01a" + b"\xff\xff\xff\xff"


def test_booleans_are_numbers_too() -> None:
    """A column of numbers takes them, and a column of booleans as well."""
    assert (encoded(True), encoded(False), encoded(None)) == ((b"1", 0), (b"0", 0), (None, 0))
