"""What minuet's own tables keep comes back as it was, also what PostgreSQL has no text for."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.databases.postgres.encoding import encoded, given_back, indexed, kept, texts


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(["\0", "\ufdd0", "e", "0"])))
def test_a_text_comes_back(text) -> None:
    """Whatever it has, a NUL or the character that stands for one; and PostgreSQL is given no NUL."""
    assert "\0" not in kept(text)
    assert given_back(kept(text)) == text


@given(st.text(), st.text())
def test_two_texts_stay_two(one, other) -> None:
    """What differs is kept differently."""
    assert (kept(one) == kept(other)) == (one == other)


LONG = st.sampled_from(["x", "\0", "\ufdd0", "\ud800", "\U0001f40c"]).flatmap(
    lambda letter: st.integers(100, 3000).map(lambda count: letter * count)
)


@given(LONG)
def test_a_name_fits_its_index(text) -> None:
    """Whatever it is made of, its column has at most the bytes that an index has room for; again, it stays as it is."""
    assert len(kept(indexed(text)).encode(errors="backslashreplace")) <= 1024
    assert indexed(indexed(text)) == indexed(text)


@given(LONG, LONG)
def test_two_names_stay_two_in_their_index(one, other) -> None:
    """What differs anywhere is shortened differently, and what is short is itself."""
    assert (indexed(one) == indexed(other)) == (one == other)
    assert indexed(one[:100]) == one[:100]


def test_an_array_says_how_many_it_has() -> None:
    """One dimension, items of one type, null items without bytes."""
    assert texts([]) == bytes(8) + b"\0\0\0\x19"
    assert texts(["a", None])[12:] == b"\0\0\0\x02\0\0\0\x01" + b"\0\0\0\x01a" + b"\xff\xff\xff\xff"


def test_booleans_are_numbers_too() -> None:
    """A column of numbers takes them, and a column of booleans as well."""
    assert (encoded(True), encoded(False), encoded(None)) == ((b"1", 0), (b"0", 0), (None, 0))
