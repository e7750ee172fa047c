"""The tests' own broker that is provisioned on request keeps every clause, so that what is tested with it counts."""

from pathlib import Path

from minuet.ports.broker import Broker
from minuet.testing.conformance import BrokerConformance
from tests.acceptance.decided import DecidedBroker


class TestDecidedBroker(BrokerConformance):
    def make_broker(self, folder: Path) -> Broker:
        return DecidedBroker(str(folder / "log.db"))
