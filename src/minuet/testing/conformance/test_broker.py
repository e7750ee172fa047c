"""The broker that `--broker URL` names keeps the clauses that it claims."""

from minuet.testing.conformance.broker import BrokerConformance


class TestBroker(BrokerConformance):
    """Its URL is given by the plugin."""
