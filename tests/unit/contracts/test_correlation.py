"""Which instance an event belongs to, and how its ids begin."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.correlation import belongs, instance_of, shared_start
from minuet.contracts.envelope import Envelope, to_binary, to_structured
from minuet.contracts.identity import derive

EVENT = Envelope(id="e1", source="/shop", type="Sold.v1")
JOINED = Envelope(id="e2", source="/shop", type="Sold.v1", correlationid="e1")


def test_an_event_without_a_correlation_id_begins_its_own_instance():
    """Whatever follows from it carries its id."""
    assert (instance_of(EVENT), instance_of(JOINED)) == ("e1", "e1")


def test_bytes_belong_in_either_mode():
    """Structured and binary events are read alike."""
    headers, body = to_binary(JOINED)
    assert belongs("e1", None, to_structured(JOINED))
    assert belongs("e1", headers, body)
    assert not belongs("e2", headers, body)


@given(st.binary(max_size=30), st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_bytes_that_are_no_event_belong_to_nobody(body, headers):
    """Whatever lies in a log can be looked at."""
    assert not belongs("e1", headers, body)


@given(st.uuids().map(str), st.text(max_size=5), st.text(max_size=5), st.integers(0, 1000))
def test_derived_ids_begin_as_their_cause_does(cause, service, reaction, ordinal):
    """An index range over the shared start finds them all, and so does one over the start of a derived id."""
    start = shared_start(cause)
    derived = derive(cause, service, reaction, ordinal)
    assert start is not None
    assert derived.startswith(start)
    assert start <= derived < f"{start}~"
    assert shared_start(derived) == start


def test_what_is_no_uuid_has_no_shared_start():
    """Its events are found by looking at all."""
    assert shared_start("536365") is None
    assert shared_start("") is None
