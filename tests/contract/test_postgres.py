"""`postgres://` keeps every clause that it claims, as a broker and as a store, against a real server."""

from minuet.testing.conformance import BrokerConformance, StoreConformance
from tests.contract.servers import needs, url_of

pytestmark = needs("postgres")


class TestPostgresBroker(BrokerConformance):
    url = url_of("postgres")


class TestPostgresStore(StoreConformance):
    url = url_of("postgres")
