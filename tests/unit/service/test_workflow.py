"""A workflow: a lens with starts, ends and a limit, declared over events that exist."""

from datetime import timedelta

import pytest

from minuet import DeclarationError, Event, Workflow


class Placed(Event):
    order_id: str


class Returned(Event):
    order_id: str


class Shipped(Event, version=2):
    order_id: str


class Cancelled(Event):
    order_id: str


def test_a_workflow_reads_as_how_it_starts_and_ends():
    """The repr has the lens in one line, its limit in seconds."""
    lens = Workflow("order", starts=Placed | Returned, ends=Shipped | Cancelled, within="1h")
    assert repr(lens) == "<Workflow order: Placed.v1 | Returned.v1 -> Shipped.v2 | Cancelled.v1 within 3600 s>"
    assert [contract.payload for contract in lens.starts] == [Placed, Returned]
    assert [contract.payload for contract in lens.ends] == [Shipped, Cancelled]


def test_a_limit_may_be_left_out():
    """Without `within` an instance may take any time."""
    lens = Workflow("order", starts=Placed, ends=Shipped)
    assert lens.within_seconds is None
    assert repr(lens) == "<Workflow order: Placed.v1 -> Shipped.v2>"


@pytest.mark.parametrize("within", ["90s", "1.5m", 90, 90.0, timedelta(seconds=90)])
def test_a_limit_is_a_duration(within):
    """Text with a unit, seconds or a timedelta say the same."""
    assert Workflow("order", starts=Placed, ends=Shipped, within=within).within_seconds == 90


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"name": "Order flow"}, "Workflow 'Order flow' cannot have this name."),
        ({"starts": int}, "has starts=int, which is not an event."),
        ({"ends": Shipped | None}, "has ends=Shipped | None, in which None is not an event."),
        ({"ends": "Shipped"}, "has ends='Shipped', which is not an event."),
        ({"ends": Shipped | Placed}, "both starts and ends with Placed.v1. Remove it from one."),
        ({"within": "soon"}, "within='soon'"),
    ],
)
def test_a_lens_that_shows_nothing_is_refused(keywords, sentence):
    """Each mistake names the workflow and its place."""
    declared = {"name": "order", "starts": Placed, "ends": Shipped} | keywords
    with pytest.raises(DeclarationError) as refused:
        Workflow(declared.pop("name"), **declared)
    assert "test_workflow.py:" in str(refused.value)
    assert sentence in str(refused.value)
