"""`sqlite:///file` keeps every clause that it claims, as a broker and as a store."""

from minuet.testing.conformance import BrokerConformance, StoreConformance


class TestSqliteBroker(BrokerConformance):
    url = "sqlite:///{folder}/log.db"


class TestSqliteStore(StoreConformance):
    url = "sqlite:///{folder}/state.db"
