"""`rabbitmq://` keeps every clause that it claims, against a real server."""

from minuet.testing.conformance import BrokerConformance
from tests.contract.servers import needs, url_of

pytestmark = needs("rabbitmq")


class TestRabbitBroker(BrokerConformance):
    url = url_of("rabbitmq")
