"""Editing a dead letter: only within its contract, with the difference kept."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet import Event
from minuet.contracts.contract import contract_of
from minuet.contracts.envelope import Envelope, read, to_binary, to_structured
from minuet.core.editing import Edit, edited, merge_patch
from minuet.errors import EditRefused
from minuet.ports.store import DeadLetter


class AccountOpened(Event, version=2, key="account"):
    account: str
    pence: int
    note: str | None = None


@AccountOpened.upcaster(1)
def in_pence(payload):
    return {"account": payload["account"], "pence": payload["pounds"] * 100}


CONTRACT = contract_of(AccountOpened)
ENVELOPE = Envelope(
    id="e1", source="/accounts", type="AccountOpened.v2", correlationid="c1", causationid="e0", partitionkey="a1",
    datacontenttype="application/json", extensions={"tenant": "north"},
    data=b'{"account":"a1","pence":-5,"note":"hello"}',
)  # fmt: skip

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


def letter(headers=None, body=None):
    return DeadLetter(
        id=3, consumer="mail.welcome", topic="AccountOpened", key="a1", event_id="e1", source="/accounts",
        correlation_id="c1", type="AccountOpened.v2", headers=headers,
        body=to_structured(ENVELOPE).decode() if body is None else body,
        reason="payload", error="", trace="", attempts=1, history=(), at=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_its_rfc_says(target, patch, result):
    """The examples of RFC 7396, appendix A."""
    assert merge_patch(target, patch) == result


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_is_applied_once(target, patch):
    """Patching is idempotent, and never changes what it was given."""
    before = json.dumps(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert json.dumps(target) == before


def test_an_edit_changes_the_payload_and_nothing_else():
    """Id, correlation, cause, key and extensions stay; the difference tells what changed."""
    changed = edited(letter(), CONTRACT, Edit({"pence": 5}))
    envelope = read(changed.headers, changed.body)
    assert json.loads(envelope.data) == {"account": "a1", "pence": 5, "note": "hello"}
    assert msgspec.structs.replace(envelope, data=b"") == msgspec.structs.replace(ENVELOPE, data=b"")
    assert changed.difference is not None
    assert "--- AccountOpened.v2 as it came\n+++ AccountOpened.v2 as redriven\n" in changed.difference
    assert '-  "pence": -5,\n+  "pence": 5,\n' in changed.difference
    assert (changed.id, changed.event_id) == (3, "e1")


def test_a_whole_payload_replaces_the_one_that_was_there():
    """With a whole payload nothing of the old one is left."""
    changed = edited(letter(), CONTRACT, Edit({"account": "a1", "pence": 7}, whole=True))
    assert json.loads(read(None, changed.body).data) == {"account": "a1", "pence": 7}


def test_an_event_in_binary_mode_keeps_its_headers_and_its_bytes():
    """Headers carry the attributes; the body is the new data, bytes as it was."""
    headers, body = to_binary(ENVELOPE)
    changed = edited(letter(headers, body), CONTRACT, Edit({"pence": 5}))
    assert changed.headers == headers
    assert isinstance(changed.body, bytes)
    assert json.loads(changed.body)["pence"] == 5


def test_an_older_version_is_edited_as_it_came():
    """The payload stays in its own version; the contract lifts it to be checked."""
    old = msgspec.structs.replace(ENVELOPE, type="AccountOpened.v1", data=b'{"account":"a1","pounds":"x"}')
    changed = edited(letter(body=to_structured(old).decode()), CONTRACT, Edit({"pounds": 3}))
    envelope = read(None, changed.body)
    assert (envelope.type, json.loads(envelope.data)) == ("AccountOpened.v1", {"account": "a1", "pounds": 3})


@pytest.mark.parametrize(
    ("subject", "edit", "message"),
    [
        (letter(), Edit({"pence": "five"}), "would not satisfy AccountOpened.v2"),
        (letter(), Edit({"account": "a2"}), "its key 'account' would change from 'a1' to 'a2'"),
        (letter(), Edit({"note": "hello"}), "changes nothing in dead letter 3"),
        (letter(body="no event"), Edit({"pence": 5}), "its bytes are no CloudEvent"),
        (
            letter(*to_binary(msgspec.structs.replace(ENVELOPE, data=b"\xff"))),
            Edit({"pence": 5}),
            "has data that is not JSON",
        ),
    ],
    ids=["contract", "key", "nothing", "envelope", "data"],
)
def test_what_an_edit_must_not_do_is_refused_in_prose(subject, edit, message):
    """Nothing is changed that the contract, the order by key or the bytes do not allow."""
    with pytest.raises(EditRefused, match=message):
        edited(subject, CONTRACT, edit)


def test_data_that_is_not_json_can_be_replaced_as_a_whole():
    """Where there is nothing to patch, a whole payload still helps."""
    headers, body = to_binary(msgspec.structs.replace(ENVELOPE, data=b"\xff"))
    changed = edited(letter(headers, body), CONTRACT, Edit({"account": "a1", "pence": 7}, whole=True))
    assert json.loads(changed.body) == {"account": "a1", "pence": 7}
