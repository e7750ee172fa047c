"""Annotations that are text, as `from __future__ import annotations` makes them in a user's module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from minuet import DeclarationError, Event, Service, Transaction

if TYPE_CHECKING:
    from decimal import Decimal


class OrderPlaced(Event):
    order_id: str


class OrderShipped(Event):
    order_id: str


def test_text_is_read_as_the_annotation_that_it_is():
    """A module with deferred annotations declares the same reactions as one without."""
    shipping = Service("shipping")

    @shipping.reaction
    async def ship(order: OrderPlaced, tx: Transaction) -> AsyncIterator[OrderShipped]:
        yield OrderShipped(order_id=order.order_id)

    [reaction] = shipping.reactions
    assert repr(reaction).startswith("<Reaction shipping.ship(OrderPlaced.v1) -> AsyncIterator[OrderShipped.v1] at ")
    assert reaction.needs[0].type is Transaction


def test_classes_of_the_enclosing_function_are_found():
    """A service built inside a function may use events and resources that are local to it."""

    class Local(Event):
        order_id: str

    class Printer:
        pass

    shipping = Service("shipping")

    @shipping.provides
    def printer() -> Printer:
        return Printer()

    @shipping.reaction
    async def ship(order: Local, printer: Printer) -> Local | None: ...

    [reaction] = shipping.reactions
    [provider] = shipping.providers
    assert reaction.takes[0].payload is Local
    assert reaction.needs[0].type is provider.type is Printer


def test_an_import_for_type_checkers_only_is_refused():
    """A name that exists only under TYPE_CHECKING cannot be injected; the message says what to do."""
    shipping = Service("shipping")
    with pytest.raises(DeclarationError) as refused:

        @shipping.reaction
        async def ship(order: OrderPlaced, weight: Decimal) -> None: ...

    assert str(refused.value).endswith(
        "Reaction shipping.ship has an annotation that names 'Decimal', which is not known when the function "
        "is declared. Import or define Decimal above it, not only under `if TYPE_CHECKING:`: annotations are "
        "read when the module is imported."
    )
    assert "test_future_annotations.py:" in str(refused.value)


def test_text_that_is_no_expression_is_refused():
    """An annotation that cannot be evaluated is refused in the name of the reaction, with Python's reason."""
    shipping = Service("shipping")
    with pytest.raises(DeclarationError, match=r"shipping\.ship has an annotation that cannot be evaluated: "):

        @shipping.reaction
        async def ship(order: OrderPlaced.nonsense) -> None: ...
