"""`memory://` keeps every clause that it claims, as a broker and as a store."""

from minuet.testing.conformance import BrokerConformance, StoreConformance


class TestMemoryBroker(BrokerConformance):
    url = "memory://"


class TestMemoryStore(StoreConformance):
    url = "memory://"
