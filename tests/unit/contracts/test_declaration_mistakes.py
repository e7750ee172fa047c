"""A contract that is declared wrongly is refused where it is declared, in prose."""

from dataclasses import dataclass
from datetime import date

import msgspec
import pytest

from minuet.contracts.contract import Deprecated, contract
from minuet.contracts.event import Event
from minuet.errors import DeclarationError

MISTAKES = [
    ({"key": "order"}, "key='order' names no field. The fields are order_id, total."),
    ({"key": "total"}, "the key 'total' is float. A key is a str, an int, a UUID or an enum."),
    ({"version": 0}, "version=0, but versions are whole numbers from 1 on."),
    ({"version": -1}, "version=-1"),
    ({"version": "2"}, "version='2'"),
    ({"version": True}, "version=True"),
    ({"guarantee": "exactly_once"}, "guarantee='exactly_once' is unknown. Choose one of effectively_once, "),
    ({"on_dead_letter": "stop"}, "on_dead_letter='stop' is unknown. Choose one of continue, hold."),
    ({"on_dead_letter": None}, "on_dead_letter=None is unknown."),
    ({"name": "Order Placed"}, "'Order Placed' cannot be a contract's name."),
    ({"name": "OrderPlaced.v2"}, "'OrderPlaced.v2' cannot be a contract's name."),
    ({"name": ".x"}, "'.x' cannot be a contract's name."),
    ({"topic": "two words"}, "topic='two words' cannot be a topic's name: it is made of letters,"),
    ({"topic": ""}, "topic='' cannot be a topic's name"),
    ({"topic": 7}, "topic=7 cannot be a topic's name"),
    ({"name": "N" * 201}, "its name has 201 characters, and a contract's name has 200 at most."),
    ({"topic": "T" * 201}, "topic= has 201 characters, and a topic's name has 200 at most."),
    ({"owner": 7}, "owner=7, but an owner is a name."),
    ({"owner": ""}, "owner='', but an owner is a name."),
    ({"consumers": "payments"}, "consumers='payments', but consumers are a list of services' names."),
    ({"consumers": [1]}, "consumers=[1]"),
    ({"deprecated": True}, "deprecated=True. Write deprecated=Deprecated("),
    (
        {"verson": 2},
        "the keyword 'verson' is unknown. There are version, key, name, topic, owner, guarantee, consumers, ",
    ),
]


@pytest.mark.parametrize(("terms", "said"), MISTAKES, ids=[str(terms) for terms, _ in MISTAKES])
def test_a_mistake_is_refused_when_the_class_is_made(terms, said) -> None:
    """The message begins with file and line, names the class, says what is wrong and what would be right."""
    with pytest.raises(DeclarationError) as refused:

        class OrderPlaced(Event, **terms):
            order_id: str
            total: float

    assert str(refused.value).startswith(f"{refused.value.place}: OrderPlaced: {said}")
    assert refused.value.place.file.endswith("test_declaration_mistakes.py")
    assert refused.value.place.line > test_a_mistake_is_refused_when_the_class_is_made.__code__.co_firstlineno


@pytest.mark.parametrize(("terms", "said"), MISTAKES, ids=[str(terms) for terms, _ in MISTAKES])
def test_a_mistake_is_refused_when_a_class_is_decorated(terms, said) -> None:
    """@contract refuses what the class statement of an event refuses, in the same words."""
    with pytest.raises(DeclarationError) as refused:

        @contract(**terms)
        @dataclass
        class OrderPlaced:
            order_id: str
            total: float

    assert f": OrderPlaced: {said}" in str(refused.value)


@pytest.mark.parametrize("annotation", [str | None, bool, float, list[str], date, bytes], ids=str)
def test_a_key_is_text_or_becomes_text_in_one_way(annotation) -> None:
    """Keys order and route, so they cannot be absent, and equal ones must read the same everywhere."""
    with pytest.raises(DeclarationError, match="A key is a str, an int, a UUID or an enum"):
        type(Event)("Keyed", (Event,), {"__annotations__": {"key": annotation}}, key="key")


def test_a_field_that_json_cannot_carry_is_refused() -> None:
    """A field of a class that knows no JSON is found at declaration and not in the first event."""

    class Socket:
        pass

    with pytest.raises(
        DeclarationError,
        match=r"Bad: a field is of a type that JSON cannot carry: type <.*Socket'> is not supported\.$",
    ):
        type(Event)("Bad", (Event,), {"__annotations__": {"socket": Socket}})


@pytest.mark.parametrize("keyword", ["frozen", "kw_only"])
def test_an_event_is_frozen_and_by_keyword_whatever_is_asked(keyword) -> None:
    """The struct options that make an event what it is cannot be switched off."""
    with pytest.raises(DeclarationError, match="always frozen and keyword-only"):
        type(Event)("Loose", (Event,), {}, **{keyword: False})


def test_a_class_that_is_no_payload_is_refused() -> None:
    """@contract on a plain class, for example above nothing or below @dataclass, says where it belongs."""
    with pytest.raises(DeclarationError, match="@contract stands above the decorator"):

        @dataclass
        @contract()
        class Early:
            order_id: str


def test_a_struct_that_is_an_array_is_refused() -> None:
    """A payload is a JSON object: arrays have no names to evolve by."""
    with pytest.raises(DeclarationError, match="JSON object"):

        @contract()
        class Row(msgspec.Struct, array_like=True):
            order_id: str


def test_an_upcaster_lifts_from_an_earlier_version_once() -> None:
    """An upcaster from the present version, a later one or none, or a second from the same, is refused at its line."""

    class Renamed(Event, version=3):
        order_id: str

    def lift(payload: dict[str, object]) -> dict[str, object]:
        return payload

    for version in (-1, 0, 3, 4):
        with pytest.raises(DeclarationError, match=f"nothing is lifted from version {version}") as refused:
            Renamed.upcaster(version)(lift)
        assert refused.value.place.line == lift.__code__.co_firstlineno
    assert Renamed.upcaster(2)(lift) is lift
    with pytest.raises(DeclarationError, match=r"has an upcaster from version 2 already, at .*test_declaration_mist"):
        Renamed.upcaster(2)(lift)


def test_a_first_version_has_nothing_to_lift() -> None:
    """An upcaster for a contract of version 1 is told to raise the version."""

    class First(Event):
        order_id: str

    with pytest.raises(
        DeclarationError, match=r"First is at version 1, and no version is earlier\. Raise version= first\."
    ):
        First.upcaster(1)(dict)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"since": "soon"}, "'soon' is neither a date"),
        ({"sunset": "2027-13-01"}, "'2027-13-01' is neither a date"),
        ({"sunset": 2027}, "2027 is neither a date"),
        ({"since": "2027-01-02", "sunset": date(2027, 1, 1)}, "the sunset 2027-01-01 comes before 2027-01-02"),
    ],
)
def test_a_deprecation_that_makes_no_sense_is_refused(terms, said) -> None:
    """Dates that are none, and an end before the beginning, are refused where they are written."""
    with pytest.raises(DeclarationError, match=said) as refused:
        Deprecated(**terms)
    assert refused.value.place.file.endswith("test_declaration_mistakes.py")
