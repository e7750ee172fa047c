"""What is injected by type: the context's facts and the writes that wait for the transaction."""

import pytest

from minuet import Context, Writes


def test_writes_keep_their_statements_in_order():
    """Nothing is performed: statements and their parameters wait in the order of their calls."""
    writes = Writes()
    writes.execute("INSERT INTO charges VALUES (?, ?)", ("1", 5))
    writes.execute("DELETE FROM holds WHERE order_id = :id", {"id": "1"})
    writes.execute("VACUUM")
    assert writes.statements == [
        ("INSERT INTO charges VALUES (?, ?)", ("1", 5)),
        ("DELETE FROM holds WHERE order_id = :id", {"id": "1"}),
        ("VACUUM", ()),
    ]


def test_writes_show_statements_and_no_values():
    """The repr has the SQL; parameters may be private."""
    writes = Writes()
    writes.execute("INSERT INTO cards VALUES (?)", ("4000-0000",))
    assert repr(writes) == "<Writes ['INSERT INTO cards VALUES (?)']>"


def test_a_context_cannot_be_changed():
    """A reaction reads its context and cannot rewrite what it is about."""
    context = Context(
        service="payments",
        reaction="charge",
        event_id="1",
        correlation_id="c",
        causation_id=None,
        key="order-1",
        attempt=1,
        time=None,
        idempotency_key="k",
    )
    with pytest.raises(AttributeError):
        context.attempt = 2
