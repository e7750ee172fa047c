"""The store that `--store URL` names keeps the clauses that it claims."""

from minuet.testing.conformance.store import StoreConformance


class TestStore(StoreConformance):
    """Its URL is given by the plugin."""
