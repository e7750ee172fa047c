"""`kafka://` keeps every clause that it claims, against a real server."""

from minuet.testing.conformance import BrokerConformance
from tests.contract.servers import needs, url_of

pytestmark = needs("kafka")


class TestKafkaBroker(BrokerConformance):
    url = url_of("kafka")
    patience_seconds = 20.0  # a process that dies is missed after its session of 6 seconds
