"""Ids: the same for the same cause, different for everything else, ordered where they begin."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.identity import Derivation, derive, new

any_text = st.text() | st.text(st.characters())
ids = st.uuids().map(str) | any_text
arguments = st.tuples(ids, any_text, any_text, st.integers(0, 100))


@given(arguments)
def test_a_derived_id_depends_on_its_arguments_alone(given_arguments) -> None:
    """A re-run after a crash derives the same ids, whatever the texts are."""
    assert derive(*given_arguments) == derive(*given_arguments)


@given(arguments)
def test_a_derived_id_is_a_uuid_of_version_8(given_arguments) -> None:
    """It reads as a UUID in canonical form, version 8, of the variant of RFC 9562."""
    parsed = uuid.UUID(derived := derive(*given_arguments))
    assert (str(parsed), parsed.version, parsed.variant) == (derived, 8, uuid.RFC_4122)


@given(any_text, any_text, st.lists(st.tuples(ids, st.integers(0, 100))))
def test_a_derivation_made_once_derives_the_same_ids(service, reaction, caused) -> None:
    """What is prepared for a service and reaction gives, call after call, what `derive` gives."""
    derivation = Derivation(service, reaction)
    for cause, ordinal in caused:
        assert derivation.derive(cause, ordinal) == derive(cause, service, reaction, ordinal)


@given(arguments, arguments)
def test_different_arguments_give_different_ids(one, other) -> None:
    """No two causes, services, reactions or ordinals share an id."""
    assert (derive(*one) == derive(*other)) is (one == other)


@given(ids, st.text(), st.text(), st.text(), st.text())
def test_arguments_do_not_run_into_each_other(cause, a, b, c, d) -> None:
    """Where a name ends is part of the id: ("ab", "c") is not ("a", "bc")."""
    assert (derive(cause, a + b, c + d, 0) == derive(cause, a, b + c + d, 0)) is (b == "")


@given(st.uuids().map(str), st.text(), st.text(), st.integers(0))
def test_a_derived_id_stands_beside_its_cause(cause, service, reaction, ordinal) -> None:
    """The first 48 bits of a cause that is a UUID stay, so that the ids of an instance stand together."""
    assert derive(cause, service, reaction, ordinal)[:13] == cause[:13]
    assert derive(cause.upper(), service, reaction, ordinal)[:13] == cause[:13]


def test_a_derived_id_stays_what_it_is() -> None:
    """Ids written by one release are those that the next derives: changing this is losing deduplication."""
    cause = "018f0000-0000-7000-8000-000000000000"
    assert derive(cause, "payments", "charge", 0) == "018f0000-0000-8fba-a762-5b0f8471833e"
    assert derive("order 7", "payments", "charge", 1) == "e6e7459c-364d-8b6c-b974-ab787f595569"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10))
def test_a_new_id_is_a_uuid_of_version_7(now_ms, entropy) -> None:
    """It reads as a UUIDv7 that begins with the time."""
    parsed = uuid.UUID(made := new(now_ms, entropy))
    assert (str(parsed), parsed.version, parsed.variant) == (made, 7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ms


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=10), st.binary(min_size=10))
def test_new_ids_sort_by_time(earlier, later, one, other) -> None:
    """Ids of different milliseconds sort as the milliseconds do."""
    if earlier != later:
        assert (new(earlier, one) < new(later, other)) is (earlier < later)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_chance_tells_ids_of_one_millisecond_apart(now_ms, one, other) -> None:
    """74 bits of the entropy are in the id, none of them lost."""

    def entropy(bits: int) -> bytes:
        # The two bits beside the variant, then 72 more; the six between them are not used.
        return bytes([(bits >> 72) << 6]) + (bits & (2**72 - 1)).to_bytes(9, "big")

    assert (new(now_ms, entropy(one)) == new(now_ms, entropy(other))) is (one == other)


def test_too_little_chance_is_refused() -> None:
    """Nine bytes of entropy would repeat themselves."""
    with pytest.raises(ValueError, match="10 bytes"):
        new(0, b"123456789")
