"""The drawings: the same graph as Mermaid and as DOT, whole and escaped."""

import re

from hypothesis import given
from hypothesis import strategies as st

from minuet import Event, Service
from minuet.choreography.extract import extract
from minuet.choreography.manifest import ServiceEntry
from minuet.choreography.render import distinct, dot, mermaid
from tests.unit.choreography import shop
from tests.unit.choreography.test_manifest import MANIFESTS

MERMAID = """\
flowchart LR
    LabelPrinted_v1(["LabelPrinted.v1"])
    OrderPlaced_v2(["OrderPlaced.v2"])
    OrderShipped_v1(["OrderShipped.v1"])
    PaymentCaptured_v1(["PaymentCaptured.v1"])
    PaymentDeclined_v1(["PaymentDeclined.v1"])
    subgraph service0["orders"]
        emit_orders{{"emit"}}
    end
    subgraph service1["payments"]
        payments_charge["charge"]
    end
    subgraph service2["shipping"]
        shipping_ship["ship"]
    end
    subgraph service3["mail"]
        mail_welcome["welcome"]
        mail_archive["archive"]
    end
    emit_orders --> OrderPlaced_v2
    OrderPlaced_v2 --> payments_charge
    payments_charge -.-> PaymentCaptured_v1
    payments_charge -.-> PaymentDeclined_v1
    PaymentCaptured_v1 --> shipping_ship
    shipping_ship --> LabelPrinted_v1
    shipping_ship --> OrderShipped_v1
    OrderPlaced_v2 -->|"large"| mail_welcome
    PaymentDeclined_v1 --> mail_archive
    OrderShipped_v1 --> mail_archive
    mail_archive -.-> LabelPrinted_v1
    classDef starts fill:#d7f0dd,color:#1d1d1f
    class OrderPlaced_v2 starts
    classDef ends fill:#f6ddc9,color:#1d1d1f
    class OrderShipped_v1,PaymentDeclined_v1 ends
"""

DOT = """\
digraph choreography {
    rankdir=LR;
    node [shape=box];
    "LabelPrinted.v1" [style=rounded];
    "OrderPlaced.v2" [style="rounded,filled", fillcolor="#d7f0dd"];
    "OrderShipped.v1" [style="rounded,filled", fillcolor="#f6ddc9"];
    "PaymentCaptured.v1" [style=rounded];
    "PaymentDeclined.v1" [style="rounded,filled", fillcolor="#f6ddc9"];
    subgraph cluster_0 {
        label="orders";
        "(emit) orders" [label="emit", shape=hexagon];
    }
    subgraph cluster_1 {
        label="payments";
        "payments.charge" [label="charge"];
    }
    subgraph cluster_2 {
        label="shipping";
        "shipping.ship" [label="ship"];
    }
    subgraph cluster_3 {
        label="mail";
        "mail.welcome" [label="welcome"];
        "mail.archive" [label="archive"];
    }
    "(emit) orders" -> "OrderPlaced.v2";
    "OrderPlaced.v2" -> "payments.charge";
    "payments.charge" -> "PaymentCaptured.v1" [style=dashed];
    "payments.charge" -> "PaymentDeclined.v1" [style=dashed];
    "PaymentCaptured.v1" -> "shipping.ship";
    "shipping.ship" -> "LabelPrinted.v1";
    "shipping.ship" -> "OrderShipped.v1";
    "OrderPlaced.v2" -> "mail.welcome" [label="large"];
    "PaymentDeclined.v1" -> "mail.archive";
    "OrderShipped.v1" -> "mail.archive";
    "mail.archive" -> "LabelPrinted.v1" [style=dashed];
}
"""


def test_the_shop_in_mermaid():
    """Events, frames, reactions, arrows and colours of the whole shop."""
    assert mermaid(extract(shop.services, [shop.order_flow])) == MERMAID


def test_the_shop_in_dot():
    """The same graph for Graphviz."""
    assert dot(extract(shop.services, [shop.order_flow])) == DOT


def test_a_lone_service_is_drawn():
    """A service alone shows its reactions between the events that it takes and emits, without a workflow."""
    drawn = mermaid(extract([shop.payments]))
    assert "    OrderPlaced_v2 --> payments_charge\n" in drawn
    assert "classDef" not in drawn
    assert "emit_" not in drawn


def test_nothing_is_drawn_as_nothing():
    """An empty choreography is an empty drawing, not an error."""
    assert mermaid(extract([])) == "flowchart LR\n"
    assert dot(extract([])) == "digraph choreography {\n    rankdir=LR;\n    node [shape=box];\n}\n"


def test_an_event_is_emitted_by_one_arrow():
    """A reaction that emits one event twice at a time has one arrow to it."""

    class Doubled(Event):
        order_id: str

    twice = Service("twice")

    @twice.reaction
    async def double(order: shop.OrderPlaced) -> tuple[Doubled, Doubled]: ...

    assert mermaid(extract([twice])).count("twice_double --> Doubled_v1") == 1


@given(st.lists(st.text(max_size=6), unique=True, max_size=8))
def test_identifiers_are_plain_and_distinct(nodes):
    """Whatever the nodes are called, each has an identifier of letters, digits and underscores of its own."""
    spelled = dict(distinct(nodes))
    assert list(spelled) == nodes
    assert len(set(spelled.values())) == len(nodes)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", identifier) for identifier in spelled.values())


def test_a_word_of_mermaid_is_no_identifier():
    """An event of another's making that is called `end` does not end a frame."""
    assert dict(distinct(["end", "ending"])) == {"end": "end_2", "ending": "ending"}


def test_service_names_that_differ_in_a_dash_stay_apart():
    """`a-b` and `a_b` are two services in a drawing as well."""
    assert dict(distinct(["a-b.run", "a_b.run"])) == {"a-b.run": "a_b_run", "a_b.run": "a_b_run_2"}


@given(MANIFESTS)
def test_any_manifest_can_be_drawn(manifest):
    """Drawing never fails, also for a manifest of another's making, and every quote is closed."""
    for draw in (mermaid, dot):
        assert draw(manifest).endswith("\n")
    quotes = re.sub(r"\\.", "", dot(manifest)).count('"')
    assert quotes % 2 == 0


def test_names_cannot_break_out_of_their_quotes():
    """Quotes, backslashes and line breaks in a foreign manifest's names stay inside their label."""
    evil = ServiceEntry(name='a"]\nend <b>\\', owns=(), reactions=(), place="")
    manifest = extract([]).__class__(services=(evil,), contracts=())
    assert '    subgraph service0["a#quot;] end #lt;b#gt;\\"]\n' in mermaid(manifest)
    assert '        label="a\\"] end <b>\\\\";\n' in dot(manifest)
