"""The writer made once for each contract and source writes what the envelope would."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.contracts.contract import Deprecated, contract, contract_of
from minuet.contracts.envelope import Envelope, StructuredWriter, from_structured
from minuet.contracts.event import Event
from minuet.errors import EnvelopeRejected
from tests.unit.contracts.envelopes import texts, times

NOW = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)


class OrderPlaced(Event, key="order_id"):
    """An order."""

    order_id: str


@contract(version=2, deprecated=Deprecated(since="2026-01-01", use="https://example.org/why"))
@dataclass
class Priced:
    """A dataclass, on its way out."""

    order_id: str


@contract()
class Paid(pydantic.BaseModel):
    """A pydantic model."""

    order_id: str


optional = st.none() | texts


@given(st.sampled_from([OrderPlaced, Priced, Paid]), st.text(st.characters(exclude_categories=("Cs",))), st.data())
def test_a_reader_finds_what_was_given(cls, order_id, data) -> None:
    """Every attribute, the contract's own ones, and the payload arrive."""
    given_attributes = {
        "id": data.draw(texts),
        "time": data.draw(times),
        "correlationid": data.draw(texts),
        "causationid": data.draw(optional),
        "partitionkey": data.draw(optional),
        "traceparent": data.draw(optional),
        "tracestate": data.draw(optional),
    }
    declared = contract_of(cls)
    event = cls(order_id=order_id)
    body = StructuredWriter(declared, "/orders").write(declared.encode(event), **given_attributes)
    assert from_structured(body) == Envelope(
        source="/orders",
        type=declared.type,
        datacontenttype="application/json",
        extensions=declared.extensions,
        data=declared.encode(event),
        **given_attributes,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "\x00"},
        {"correlationid": ""},
        {"causationid": ""},
        {"partitionkey": ""},
        {"partitionkey": "two\nlines"},
        {"traceparent": ""},
        {"tracestate": "\x7f"},
        {"time": NOW.replace(tzinfo=None)},
    ],
    ids=repr,
)
def test_what_would_be_invalid_is_not_written(wrong) -> None:
    """The writer is as strict as the envelope."""
    writer = StructuredWriter(contract_of(OrderPlaced), "/orders")
    with pytest.raises(EnvelopeRejected):
        writer.write(b"{}", **{"id": "1", "time": NOW, "correlationid": "1", **wrong})


def test_a_source_is_a_uri_reference() -> None:
    """A source that no envelope could carry is refused when the writer is made."""
    with pytest.raises(EnvelopeRejected, match="not a source"):
        StructuredWriter(contract_of(OrderPlaced), "not a source")
