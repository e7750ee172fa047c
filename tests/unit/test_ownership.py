"""Who may say that something happened."""

import pytest

from minuet import App, Event, Service, StartupError


class OrderPlaced(Event, owner="checkout team"):
    """A customer committed to buy."""

    order_id: str


class OrderShipped(Event):
    """The parcel is on its way."""

    order_id: str


def test_a_contracts_owner_is_people_and_no_service() -> None:
    """A team answers for an event, and whichever service owns it emits it."""
    orders, shipping = Service("orders", owns=[OrderPlaced]), Service("shipping", owns=[OrderShipped])

    @shipping.reaction
    async def ship(order: OrderPlaced) -> OrderShipped:
        return OrderShipped(order_id=order.order_id)

    App([orders, shipping])


def test_an_event_has_one_owning_service() -> None:
    """Two services that own one event are refused, with both their places."""
    with pytest.raises(StartupError, match=r"OrderPlaced .* is owned by orders, and <Service sales .* owns it too"):
        App([Service("orders", owns=[OrderPlaced]), Service("sales", owns=[OrderPlaced])])


def test_only_its_owner_emits_an_event() -> None:
    """A reaction that emits another service's event is refused before anything starts."""
    shipping, sales = Service("shipping", owns=[OrderShipped]), Service("sales", owns=[OrderPlaced])

    @sales.reaction
    async def ship(order: OrderPlaced) -> OrderShipped:
        return OrderShipped(order_id=order.order_id)

    with pytest.raises(StartupError, match=r"sales\.ship .* emits OrderShipped\.v1 .*, which shipping owns"):
        App([shipping, sales])
