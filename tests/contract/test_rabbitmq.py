"""`rabbitmq://` keeps every clause that it claims, against a real server."""

from minuet.ports.broker import Group
from minuet.testing.conformance import BrokerConformance
from tests.contract.rabbitmq_places import forget
from tests.contract.servers import needs, url_of

pytestmark = needs("rabbitmq")


class TestRabbitBroker(BrokerConformance):
    url = url_of("rabbitmq")

    def new_group(self, *topics: str) -> Group:
        """A new group, of which nothing is left on the server."""
        group = super().new_group(*topics)
        self.stack.push_async_callback(forget, str(self.url), group)
        return group
