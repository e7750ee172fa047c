"""Events are immutable, typed, and carry the contract that their class declares."""

from datetime import date
from enum import Enum
from types import UnionType
from typing import Annotated
from uuid import UUID

import msgspec
import pytest

from minuet.contracts.contract import Contract, Deprecated, contract_of
from minuet.contracts.event import Event
from minuet.errors import DeclarationError, PayloadRejected


class Line(msgspec.Struct, frozen=True):
    """A line of an order."""

    sku: str
    quantity: int = 1


class OrderPlaced(
    Event,
    version=3,
    key="order_id",
    owner="orders team",
    guarantee="at_least_once",
    consumers=["payments", "stock"],
    on_dead_letter="hold",
):
    """
    A customer committed to buy.

    Nothing is charged yet.
    """

    order_id: str
    lines: list[Line] = []  # noqa: RUF012  # msgspec copies it for each event


class Plain(Event):
    amount: int = 0


def test_a_contract_says_what_its_class_statement_says() -> None:
    """Every term of the class statement is an attribute of the contract, and the docstring is the meaning."""
    declared = contract_of(OrderPlaced)
    assert (declared.name, declared.version, declared.key) == ("OrderPlaced", 3, "order_id")
    assert (declared.type, declared.topic) == ("OrderPlaced.v3", "OrderPlaced")
    assert (declared.owner, declared.guarantee, declared.on_dead_letter) == ("orders team", "at_least_once", "hold")
    assert declared.consumers == ("payments", "stock")
    assert declared.meaning == "A customer committed to buy.\n\nNothing is charged yet."
    assert declared.payload is OrderPlaced
    assert declared.extensions == {}
    assert repr(declared).startswith("<Contract OrderPlaced.v3 at ")


def test_a_contract_without_terms_has_defaults() -> None:
    """A bare event is version 1, has no key, no owner and no meaning, and asks for nothing."""
    declared = contract_of(Plain)
    assert (declared.version, declared.key, declared.owner, declared.meaning) == (1, None, None, "")
    assert (declared.guarantee, declared.consumers, declared.on_dead_letter) == (None, (), "continue")
    assert declared.deprecated is None


def test_a_contract_knows_the_line_of_its_class_statement() -> None:
    """The place is the file below its import root, and the line of the class statement."""

    class Here(Event):
        pass

    place = contract_of(Here).place
    assert place.file.endswith("unit/contracts/test_event.py")
    assert place.line == test_a_contract_knows_the_line_of_its_class_statement.__code__.co_firstlineno + 3


def test_an_event_cannot_be_changed() -> None:
    """A fact stays what it was."""
    event = OrderPlaced(order_id="1")
    with pytest.raises(AttributeError):
        event.order_id = "2"
    assert event == OrderPlaced(order_id="1", lines=[])


def test_an_event_is_made_by_keyword() -> None:
    """Positions mean nothing, so that fields may be added anywhere."""
    with pytest.raises(TypeError):
        OrderPlaced("1")


def test_events_form_unions() -> None:
    """`A | B` works at run time, as annotations of reactions need."""
    assert isinstance(OrderPlaced | Plain, UnionType)


def test_a_contract_is_not_inherited() -> None:
    """Every event class has a contract of its own, and a plain class has none."""

    class Rush(OrderPlaced, version=1, key="order_id"):
        """An order in a hurry."""

        by: date

    class Inherited(OrderPlaced):
        pass

    assert contract_of(Rush).type == "Rush.v1"
    assert contract_of(Inherited).key is None
    for other in (Event, str, None, OrderPlaced(order_id="1"), contract_of(OrderPlaced)):
        assert contract_of(other) is None


def test_an_event_is_written_and_read() -> None:
    """`encode` and `decode` are each other's inverse, and decoding validates."""
    declared = contract_of(OrderPlaced)
    event = OrderPlaced(order_id="1", lines=[Line(sku="A", quantity=2)])
    assert declared.encode(event) == b'{"order_id":"1","lines":[{"sku":"A","quantity":2}]}'
    assert declared.decode(declared.encode(event)) == event
    assert declared.decode('{"order_id":"1"}') == OrderPlaced(order_id="1")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"order_id":1}', b'{"order_id":"1","lines":7}', b"\xff", b'{"order_id":"\xff"}', "\ud800"],
)
def test_data_that_does_not_fit_is_rejected(data) -> None:
    """Wrong types, missing fields and what is no JSON are PayloadRejected, with reason `payload`."""
    with pytest.raises(PayloadRejected, match="The data is no OrderPlaced") as rejected:
        contract_of(OrderPlaced).decode(data)
    assert rejected.value.reason == "payload"


class Colour(Enum):
    """What a key may be, besides text and numbers."""

    RED = "red"


class ByText(Event, key="key"):
    key: Annotated[str, msgspec.Meta(max_length=9)]


class ByNumber(Event, key="key"):
    key: int


class ByUuid(Event, key="key"):
    key: UUID


class ByEnum(Event, key="key"):
    key: Colour


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (ByText(key="a"), "a"),
        (ByNumber(key=7), "7"),
        (ByUuid(key=UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
        (ByEnum(key=Colour.RED), "red"),
        (Plain(), None),
    ],
)
def test_the_key_is_text(event, key) -> None:
    """A key of any allowed type becomes text, the same whenever the value is the same."""
    assert contract_of(type(event)).key_of(event) == key


class Node(Event, key="key"):
    """Mentions itself, and what is defined below it."""

    key: "Below"
    parent: "Node | None" = None


def test_a_class_may_mention_what_is_defined_below_it() -> None:
    """What an annotation names is looked up at the latest when the first event is read or written."""
    node = Node(key=Below.ONE, parent=Node(key=Below.ONE))
    declared = contract_of(Node)
    assert declared.key_of(node) == "one"
    assert declared.decode(declared.encode(node)) == node
    assert declared.json_schema()["$defs"]["Node"]["required"] == ["key"]


class Below(Enum):
    """Defined below its use."""

    ONE = "one"


class Lost(Event, key="key"):
    key: "Nowhere"  # noqa: F821  # that is the mistake


def test_a_name_that_is_defined_nowhere_is_named() -> None:
    """What was never defined is a DeclarationError once the contract is used."""
    for use in (contract_of(Lost).decode, contract_of(Lost).key_of):
        with pytest.raises(DeclarationError, match="'Nowhere'"):
            use(b"{}")


def test_a_deprecated_contract_marks_its_events() -> None:
    """The contract's extensions are the CloudEvents attributes for deprecation."""

    class Old(
        Event,
        deprecated=Deprecated(since="2026-01-01", sunset="2027-01-31T12:00:00+02:00", use="https://example.org/why"),
    ):
        pass

    assert contract_of(Old).extensions == {
        "deprecated": True,
        "deprecationfrom": "2026-01-01T00:00:00Z",
        "deprecationsunset": "2027-01-31T10:00:00Z",
        "deprecationmigration": "https://example.org/why",
    }


def test_a_schema_describes_the_payload() -> None:
    """The JSON Schema names fields, their types and which are required."""
    schema = contract_of(OrderPlaced).json_schema()
    assert schema["$defs"]["OrderPlaced"]["properties"]["order_id"] == {"type": "string"}
    assert schema["$defs"]["OrderPlaced"]["required"] == ["order_id"]


def test_a_field_may_have_the_name_of_a_term() -> None:
    """Terms belong to the class statement and fields to its body, so neither shadows the other."""

    class Renamed(Event, name="shop.Renamed", key="name"):
        name: str
        version: str = "x"
        type: str = "y"

    declared = contract_of(Renamed)
    assert (declared.type, declared.key_of(Renamed(name="n"))) == ("shop.Renamed.v1", "n")
    assert isinstance(declared, Contract)
