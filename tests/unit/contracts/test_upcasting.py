"""Events of other versions: lifted if older, read tolerantly if newer, rejected with the reason otherwise."""

import json
from dataclasses import dataclass

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.contract import contract, contract_of
from minuet.contracts.event import Event
from minuet.errors import PayloadRejected, VersionRejected
from tests.unit.contracts.envelopes import json_values

JSONObject = dict[str, object]


class Paid(Event, version=4, key="order_id"):
    """Version 1 had `id`, 2 renamed it, 3 turned pounds into pence, 4 says in which currency."""

    order_id: str
    pence: int
    currency: str


@Paid.upcaster(1)
def rename_id(payload: JSONObject) -> JSONObject:
    """`id` became `order_id`."""
    payload["order_id"] = payload.pop("id")
    return payload


@Paid.upcaster(3)
def name_currency(payload: JSONObject) -> JSONObject:
    """There was only one."""
    return {**payload, "currency": "GBP"}


@Paid.upcaster(2)
def count_pence(payload: JSONObject) -> JSONObject:
    """Pounds were fractions."""
    pounds = payload.pop("pounds")
    assert isinstance(pounds, (int, float))
    return {**payload, "pence": round(pounds * 100)}


def as_version(version: int, order_id: str, pence: int) -> JSONObject:
    """The same payment as each version said it."""
    amount = {"pounds": pence / 100} if version < 3 else {"pence": pence}
    return {"id" if version == 1 else "order_id": order_id} | amount | ({"currency": "GBP"} if version == 4 else {})


@given(st.integers(1, 4), st.text(), st.integers(0, 10**9))
def test_every_version_reads_as_the_present_one(version, order_id, pence) -> None:
    """The chain of upcasters takes each version to the same event, in whichever order they were declared."""
    data = json.dumps(as_version(version, order_id, pence)).encode()
    assert contract_of(Paid).read(version, data) == Paid(order_id=order_id, pence=pence, currency="GBP")


def test_an_upcaster_is_still_the_function() -> None:
    """Decorating returns the function itself, to be tested as one."""
    assert rename_id({"id": 1}) == {"order_id": 1}


@given(st.integers(1, 6), json_values)
def test_any_data_of_any_version_is_read_or_rejected(version, value) -> None:
    """Upcasters meet whatever arrives; nothing but a rejection comes out."""
    try:
        outcome = contract_of(Paid).read(version, json.dumps(value))
    except (PayloadRejected, VersionRejected) as rejected:
        outcome = rejected.reason
    assert isinstance(outcome, Paid) or outcome in ("payload", "newer_version")


def test_a_gap_in_the_chain_is_named() -> None:
    """An older version that nothing lifts is rejected as `no_upcaster`, and the message says what to declare."""

    class Gappy(Event, version=3):
        order_id: str

    Gappy.upcaster(1)(dict)
    for version, missing in ((1, 2), (2, 2), (0, 0), (-5, -5)):
        with pytest.raises(VersionRejected, match=rf"nothing lifts it from version {missing}. Declare an") as rejected:
            contract_of(Gappy).read(version, b'{"order_id":"1"}')
        assert rejected.value.reason == "no_upcaster"


def test_a_newer_version_that_fits_is_read() -> None:
    """Fields that this version does not know are passed over."""
    data = b'{"order_id":"1","pence":5,"currency":"EUR","tip":{"pence":1}}'
    assert contract_of(Paid).read(7, data) == Paid(order_id="1", pence=5, currency="EUR")


def test_a_newer_version_that_does_not_fit_says_so() -> None:
    """A newer version that lacks what this one needs is rejected as `newer_version`, not as a broken payload."""
    with pytest.raises(VersionRejected, match="version 5, newer than the version 4 that is read here") as rejected:
        contract_of(Paid).read(5, b'{"order_id":"1"}')
    assert rejected.value.reason == "newer_version"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"{", "\ud800", b"[" * 100_000])
def test_what_is_no_object_cannot_be_lifted(data) -> None:
    """An older payload that is no JSON object is a broken payload."""
    with pytest.raises(PayloadRejected, match="The data of Paid is no JSON object"):
        contract_of(Paid).read(1, data)


@pytest.mark.parametrize(
    ("upcaster", "said"),
    [
        (lambda payload: payload["missing"], "failed: KeyError"),
        (lambda _: None, "returned NoneType where a dict belongs"),
        (lambda _: ["a"], "returned list where a dict belongs"),
        (lambda _: {"order_id": object()}, "made of version 1 what JSON cannot carry"),
        (lambda _: {"order_id": 1}, "The data is no Odd"),
    ],
)
def test_an_upcaster_that_cannot_cope_rejects_the_payload(upcaster, said) -> None:
    """Whatever an upcaster raises or returns, the delivery is rejected with a message that names the contract."""

    class Odd(Event, version=2):
        order_id: str

    Odd.upcaster(1)(upcaster)
    with pytest.raises(PayloadRejected, match=said):
        contract_of(Odd).read(1, b"{}")


@contract(version=2)
@dataclass(frozen=True)
class OnDataclass:
    """Version 1 called it `id`."""

    order_id: str


@contract(version=2)
class OnModel(pydantic.BaseModel):
    """Version 1 called it `id`."""

    order_id: str


@pytest.mark.parametrize("cls", [OnDataclass, OnModel])
def test_a_class_of_the_users_own_is_lifted_too(cls) -> None:
    """Upcasters belong to the contract, whatever kind of class has it."""
    declared = contract_of(cls)
    declared.upcaster(1)(rename_id)
    assert declared.read(1, b'{"id":"7"}') == cls(order_id="7")
