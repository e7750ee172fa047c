"""A list that was forgotten is told in prose."""

from typing import Any

import pytest

from minuet import App, DeclarationError, Event, Service, StartupError, Workflow


class OrderPlaced(Event):
    """A customer committed to buy."""

    order_id: str


class OrderPaid(Event):
    """The money is there."""

    order_id: str


def test_one_event_in_place_of_a_list_is_refused() -> None:
    """The sentence says what to write."""
    one: Any = OrderPlaced
    with pytest.raises(DeclarationError, match=r"Service orders has owns=OrderPlaced.*owns=\[OrderPlaced\]"):
        Service("orders", owns=one)


def test_one_service_in_place_of_a_list_is_refused() -> None:
    """The sentence says what an App takes."""
    one: Any = Service("orders")
    with pytest.raises(StartupError, match=r"takes a list of services, .*Write App\(\[\.\.\.\]\)"):
        App(one)


def test_two_workflows_of_one_name_are_refused() -> None:
    """Before anything is opened; the sentence names both places. One that is given twice is one."""
    first, second = (Workflow("order", starts=OrderPlaced, ends=OrderPaid) for _ in range(2))
    orders = Service("orders", owns=[OrderPlaced, OrderPaid])
    with pytest.raises(
        StartupError, match=r"Two workflows are called 'order': .*test_wrong_lists\.py:\d+ and .*Rename"
    ):
        App([orders], workflows=[first, second])
    App([orders], workflows=[first, first])
