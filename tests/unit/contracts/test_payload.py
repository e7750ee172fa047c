"""Classes that users bring along: dataclasses, attrs classes, pydantic models and msgspec Structs."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from minuet.contracts.contract import contract, contract_of
from minuet.errors import PayloadRejected


@contract(version=2, key="order_id")
@dataclass(frozen=True)
class DataclassPaid:
    """Paid."""

    order_id: str
    at: datetime
    tags: list[str] = field(default_factory=list)


@contract(version=2, key="order_id")
@attrs.frozen
class AttrsPaid:
    """Paid."""

    order_id: str
    at: datetime
    tags: list[str] = attrs.field(factory=list)


@contract(version=2, key="order_id")
class PydanticPaid(pydantic.BaseModel):
    """Paid."""

    order_id: str
    at: datetime
    tags: list[str] = []


@contract(version=2, key="order_id")
class StructPaid(msgspec.Struct, frozen=True):
    """Paid."""

    order_id: str
    at: datetime
    tags: list[str] = []


NOW = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
KINDS = [DataclassPaid, AttrsPaid, PydanticPaid, StructPaid]


@pytest.mark.parametrize("cls", KINDS)
def test_a_class_of_any_kind_is_an_event(cls) -> None:
    """Each kind has a contract, is written as the same JSON object, read back, and described by a schema."""
    declared = contract_of(cls)
    event = cls(order_id="1", at=NOW, tags=["a"])
    assert declared.type == f"{cls.__name__}.v2"
    assert declared.meaning == "Paid."
    assert json.loads(declared.encode(event)) == {"order_id": "1", "at": "2011-12-09T12:50:00Z", "tags": ["a"]}
    assert declared.decode(declared.encode(event)) == event
    assert declared.key_of(event) == "1"
    assert "order_id" in str(declared.json_schema())


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("data", [b"", b"[]", b'{"order_id":"1"}', b'{"order_id":"1","at":"soon"}', b"\xff", "\ud800"])
def test_data_is_validated_by_its_class(cls, data) -> None:
    """Data that the class does not accept is PayloadRejected, whichever library finds out."""
    with pytest.raises(PayloadRejected, match=f"The data is no {cls.__name__}"):
        contract_of(cls).decode(data)


@pytest.mark.parametrize("cls", KINDS)
def test_a_subclass_has_no_contract(cls) -> None:
    """Only the decorated class itself is an event."""

    class Sub(cls):
        """Derived, and not declared."""

    assert contract_of(Sub) is None


def test_a_decorated_class_is_returned_itself() -> None:
    """@contract changes nothing about the class but its contract."""

    @dataclass
    class Mutable:
        order_id: str

    assert contract()(Mutable) is Mutable
    event = Mutable("1")
    event.order_id = "2"
    assert contract_of(Mutable).encode(event) == b'{"order_id":"2"}'


def test_the_signature_that_a_dataclass_gets_is_no_meaning() -> None:
    """A dataclass without a docstring is given one by Python, which says nothing about the event."""

    @contract()
    @dataclass
    class Undocumented:
        order_id: str

    assert contract_of(Undocumented).meaning == ""


def test_aliases_of_a_model_are_its_names_on_the_wire() -> None:
    """A pydantic model is written by the names that it reads."""

    @contract(key="order_id")
    class Aliased(pydantic.BaseModel):
        order_id: str = pydantic.Field(alias="orderId")

    declared = contract_of(Aliased)
    event = Aliased(orderId="1")
    assert declared.encode(event) == b'{"orderId":"1"}'
    assert declared.decode(declared.encode(event)) == event
    assert declared.key_of(event) == "1"


@contract()
class Tree(pydantic.BaseModel):
    """Mentions a class that is defined below it."""

    leaf: "Leaf"


class Leaf(pydantic.BaseModel):
    """Defined below its use."""

    colour: str


def test_a_model_may_mention_what_is_defined_below_it() -> None:
    """Pydantic's own late resolution works as without a contract."""
    declared = contract_of(Tree)
    event = Tree(leaf=Leaf(colour="red"))
    assert declared.decode(declared.encode(event)) == event


def test_a_constructor_that_raises_rejects_the_data() -> None:
    """Whatever a class's own check raises, the data is at fault."""

    @contract()
    @dataclass
    class Checked:
        share: Decimal
        id: UUID

        def __post_init__(self) -> None:
            1 / self.share  # raises for nothing

    @contract()
    class Validated(pydantic.BaseModel):
        share: Decimal

        @pydantic.field_validator("share")
        @classmethod
        def not_nothing(cls, share: Decimal) -> Decimal:
            return 1 / share

    data = b'{"share":"0","id":"00000000-0000-0000-0000-000000000001"}'
    for cls in (Checked, Validated):
        with pytest.raises(PayloadRejected, match="The data is no"):
            contract_of(cls).decode(data)


def test_libraries_that_nobody_uses_are_not_imported() -> None:
    """Events cost the import of neither pydantic nor attrs."""
    code = (
        "import minuet.contracts.event, minuet.contracts.envelope, sys; print({'pydantic', 'attr'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
