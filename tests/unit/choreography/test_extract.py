"""What is read off the declarations, entry by entry, and which contradictions are refused."""

from datetime import date
from pathlib import Path

import pytest

from minuet import DeclarationError, Deprecated, Event, Service, Workflow
from minuet.choreography.extract import extract
from minuet.choreography.manifest import DeprecationEntry, RetryEntry
from minuet.errors import place_of
from tests.unit.choreography import shop

MANIFEST = extract(shop.services, [shop.order_flow])
REACTIONS = {reaction.id: reaction for reaction in MANIFEST.reactions}
CONTRACTS = {contract.type: contract for contract in MANIFEST.contracts}


def test_services_and_reactions_keep_their_order():
    """The manifest lists services as given and reactions as declared."""
    assert [(service.name, service.owns) for service in MANIFEST.services] == [
        ("orders", ("OrderPlaced.v2",)),
        ("payments", ("PaymentCaptured.v1", "PaymentDeclined.v1")),
        ("shipping", ("OrderShipped.v1", "LabelPrinted.v1")),
        ("mail", ()),
    ]
    assert list(REACTIONS) == ["payments.charge", "shipping.ship", "mail.welcome", "mail.archive"]


def test_contracts_are_sorted_by_name():
    """Every contract that anybody mentions is there once, in an order that is not the services'."""
    assert list(CONTRACTS) == [
        "LabelPrinted.v1", "OrderPlaced.v2", "OrderShipped.v1", "PaymentCaptured.v1", "PaymentDeclined.v1",
    ]  # fmt: skip
    assert extract(shop.services[::-1]).contracts == MANIFEST.contracts


def test_a_reaction_is_described_in_full():
    """Shape, needs, policies, place and meaning of a reaction are all in its entry."""
    ship = REACTIONS["shipping.ship"]
    assert (ship.service, ship.name, ship.meaning) == ("shipping", "ship", "Pack and hand over.")
    assert ship.takes == ("PaymentCaptured.v1",)
    assert (ship.shape, ship.emits) == ("all", ("LabelPrinted.v1", "OrderShipped.v1"))
    assert (ship.needs, ship.never) == (("Printer",), ("OutOfPaper",))
    assert (ship.guarantee, ship.on_dead_letter, ship.concurrency) == ("at_least_once", "continue", 3)
    assert ship.place == str(place_of(shop.ship))
    charge = REACTIONS["payments.charge"]
    assert (charge.shape, charge.emits) == ("one", ("PaymentCaptured.v1", "PaymentDeclined.v1"))
    assert charge.retry == RetryEntry(times=2, first_seconds=1.0, most_seconds=2.0)
    assert charge.needs == ("Transaction",)
    assert charge.guarantee is charge.on_dead_letter is None


def test_predicates_and_unions_are_described():
    """A predicate goes by its name, a union of events by its members, a stream by its shape."""
    assert REACTIONS["mail.welcome"].when == "large"
    assert (REACTIONS["mail.welcome"].shape, REACTIONS["mail.welcome"].emits) == ("nothing", ())
    assert REACTIONS["mail.archive"].takes == ("PaymentDeclined.v1", "OrderShipped.v1")
    assert REACTIONS["mail.archive"].shape == "stream"
    assert REACTIONS["mail.archive"].when is None


def test_a_contract_is_described_in_full():
    """Version, key, meaning, promises and schema of a contract are all in its entry."""
    placed = CONTRACTS["OrderPlaced.v2"]
    assert (placed.name, placed.version, placed.key) == ("OrderPlaced", 2, "order_id")
    assert placed.meaning == "A customer committed to buy."
    assert placed.expected_consumers == ("payments", "mail")
    assert placed.place.endswith(f"shop.py:{line_of('class OrderPlaced')}")
    assert "total_pence" in str(placed.schema)
    assert CONTRACTS["PaymentCaptured.v1"].guarantee == "effectively_once"
    assert CONTRACTS["PaymentDeclined.v1"].on_dead_letter == "hold"
    assert CONTRACTS["LabelPrinted.v1"].deprecated == DeprecationEntry(since="2026-01-31", use="OrderShipped")


def line_of(text: str) -> int:
    lines = Path(shop.__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


def test_an_owner_is_named_by_the_contract_or_is_the_owning_service():
    """The contract's own word goes first, then the service that owns it; some events have no owner here."""
    assert CONTRACTS["OrderPlaced.v2"].owner == "sales"
    assert CONTRACTS["PaymentCaptured.v1"].owner == "payments"
    assert extract([shop.payments]).contracts[0].owner == "sales"
    assert extract([shop.mail]).contracts[-1].owner is None


def test_a_workflow_is_described_in_full():
    """Starts, ends and the limit in seconds."""
    [flow] = MANIFEST.workflows
    assert (flow.name, flow.starts) == ("order", ("OrderPlaced.v2",))
    assert flow.ends == ("OrderShipped.v1", "PaymentDeclined.v1")
    assert flow.within_seconds == 3600


def test_dates_of_a_deprecation_become_text():
    """A date object in a contract is written as ISO 8601 in the manifest."""

    class Old(Event, deprecated=Deprecated(sunset=date(2027, 1, 31))):
        order_id: str

    [old] = extract([Service("orders", owns=[Old])]).contracts
    assert old.deprecated == DeprecationEntry(sunset="2027-01-31")


def test_two_services_of_one_name_are_refused():
    """Both places are named."""
    one, other = Service("orders"), Service("orders")
    with pytest.raises(DeclarationError) as refused:
        extract([one, other])
    assert str(refused.value) == (
        f"{other.place}: Service orders has the name of the one declared at {one.place}. Rename one of them."
    )


def test_two_workflows_of_one_name_are_refused():
    """A lens is asked for by its name."""
    twice = [Workflow("order", starts=shop.OrderPlaced, ends=shop.OrderShipped) for _ in "12"]
    with pytest.raises(DeclarationError, match="Workflow order has the name of the one declared at"):
        extract(shop.services, twice)


def test_two_owners_of_one_event_are_refused():
    """One service decides about an event."""
    greedy = Service("greedy", owns=[shop.PaymentCaptured])
    with pytest.raises(DeclarationError, match=r"greedy owns PaymentCaptured\.v1, and so does service payments"):
        extract([shop.payments, greedy])


def test_two_classes_of_one_type_are_refused():
    """Two classes that look the same on the wire are refused with both places, whoever uses them."""

    class OrderPlaced(Event, version=2):
        other: str

    with pytest.raises(DeclarationError) as refused:
        extract([*shop.services, Service("other", owns=[OrderPlaced])])
    told = str(refused.value)
    assert "Event type OrderPlaced.v2 is declared twice, here and at " in told
    assert "test_extract.py:" in told
    assert "shop.py:" in told


def test_two_versions_of_one_event_live_side_by_side():
    """While consumers move, the same name may be there in two versions."""

    class OrderPlaced(Event, version=3):
        other: str

    manifest = extract([*shop.services, Service("other", owns=[OrderPlaced])])
    assert [contract.type for contract in manifest.contracts][1:3] == ["OrderPlaced.v2", "OrderPlaced.v3"]


def test_nothing_is_a_choreography_too():
    """Without services the manifest is empty."""
    assert extract([]).services == extract([]).contracts == extract([]).workflows == ()
