"""The manifest as plain data: it survives JSON, and refuses what is none."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet import DeclarationError
from minuet.choreography.extract import extract
from minuet.choreography.manifest import (
    ContractEntry,
    DeprecationEntry,
    Manifest,
    ReactionEntry,
    RetryEntry,
    ServiceEntry,
    WorkflowEntry,
    from_json,
    names,
)
from tests.unit.choreography.shop import order_flow, services

TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), FINITE, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
RETRIES = st.builds(RetryEntry, times=st.integers(0, 100), first_seconds=FINITE, most_seconds=FINITE)
REACTIONS = st.builds(
    ReactionEntry,
    takes=TEXTS,
    emits=TEXTS,
    needs=TEXTS,
    never=TEXTS,
    retry=RETRIES,
    concurrency=st.integers(1, 999),
)
SERVICES = st.builds(ServiceEntry, owns=TEXTS, reactions=st.lists(REACTIONS, max_size=3).map(tuple))
CONTRACTS = st.builds(
    ContractEntry,
    version=st.integers(1, 999),
    expected_consumers=TEXTS,
    deprecated=st.none() | st.builds(DeprecationEntry),
    schema=st.dictionaries(TEXT, JSON, max_size=3),
)
WORKFLOWS = st.builds(WorkflowEntry, starts=TEXTS, ends=TEXTS, within_seconds=st.none() | FINITE)
MANIFESTS = st.builds(
    Manifest,
    minuet=st.just(1),
    services=st.lists(SERVICES, max_size=3).map(tuple),
    contracts=st.lists(CONTRACTS, max_size=3).map(tuple),
    workflows=st.lists(WORKFLOWS, max_size=3).map(tuple),
)


@given(MANIFESTS)
def test_any_manifest_goes_through_json_unchanged(manifest):
    """Reading what was written gives the same manifest, and writing that gives the same bytes."""
    written = manifest.to_json()
    assert from_json(written) == manifest
    assert from_json(written.decode()).to_json() == written


def test_the_shop_goes_through_json_unchanged():
    """A manifest read off real declarations is as plain as any other."""
    manifest = extract(services, [order_flow])
    assert from_json(manifest.to_json()) == manifest
    assert manifest.to_json().endswith(b"}\n")


def test_members_of_a_later_minuet_are_passed_over():
    """A manifest with more in it than this version knows is read for what it knows."""
    written = msgspec.json.decode(extract(services, [order_flow]).to_json())
    written["saga"] = {"steps": []}
    written["services"][0]["colour"] = "blue"
    assert from_json(msgspec.json.encode(written)) == extract(services, [order_flow])


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", "not json", b'{"services": 3}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(text):
    """Any other bytes are refused in prose that says where manifests come from."""
    with pytest.raises(DeclarationError, match="This is not a manifest as `minuet graph --json` writes it"):
        from_json(text)


def test_another_format_is_refused():
    """A manifest of another format is not guessed at."""
    later = msgspec.structs.replace(extract(services), minuet=2)
    with pytest.raises(DeclarationError, match="This manifest has format 2 and this minuet reads format 1"):
        from_json(later.to_json())


def test_who_takes_and_who_emits_is_asked_by_name():
    """Takers and emitters of an event are found whichever version they declare."""
    manifest = extract(services, [order_flow])
    assert [reaction.id for reaction in manifest.takers("OrderPlaced")] == ["payments.charge", "mail.welcome"]
    assert [reaction.id for reaction in manifest.takers("PaymentDeclined")] == ["mail.archive"]
    assert [reaction.id for reaction in manifest.emitters("LabelPrinted")] == [
        "shipping.ship",
        "mail.archive",
    ]
    assert manifest.takers("LabelPrinted") == manifest.emitters("OrderPlaced") == ()


def test_a_name_is_a_type_without_its_version():
    """Names keep their dots, and a type without a version is its own name."""
    assert names(["A.v1", "A.v12", "shop.B.v3", "C"]) == {"A", "shop.B", "C"}
