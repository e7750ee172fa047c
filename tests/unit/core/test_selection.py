"""A frozen set of dead letters: what was looked at is what is acted on."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from minuet.core.selection import freeze
from minuet.ports.store import DeadLetterHead

LETTERS = st.lists(
    st.builds(DeadLetterHead, id=st.integers(1, 10_000), at=st.floats(0, 1e10)), unique_by=lambda letter: letter.id
)


@given(LETTERS, st.randoms(use_true_random=False))
def test_the_hash_does_not_depend_on_the_order(letters, chance):
    """The same letters, however they are handed over, are the same selection, oldest number first."""
    shuffled = list(letters)
    chance.shuffle(shuffled)
    assert freeze(shuffled) == freeze(letters)
    assert list(freeze(letters).ids) == sorted(letter.id for letter in letters)


@given(LETTERS.filter(bool), st.sampled_from(["at", "state", "reason", "consumer"]))
def test_a_letter_in_another_condition_makes_another_hash(letters, changed):
    """Whoever confirms a hash confirms these letters as they were: not one that died again or was resolved since."""
    first, *rest = letters
    value = first.at + 1e6 if changed == "at" else getattr(first, changed) + "!"
    assert freeze([msgspec.structs.replace(first, **{changed: value}), *rest]).hash != freeze(letters).hash


@given(LETTERS.filter(bool))
def test_one_letter_less_makes_another_hash(letters):
    """A set that shrank is another set."""
    assert freeze(letters[1:]).hash != freeze(letters).hash
