"""The conformance suite of a broker."""

from __future__ import annotations

from minuet.testing.conformance.of_brokers.carrying import Carrying
from minuet.testing.conformance.of_brokers.joining import Joining
from minuet.testing.conformance.of_brokers.keeping import Keeping
from minuet.testing.conformance.of_brokers.ordering import Ordering
from minuet.testing.conformance.of_brokers.receiving import Receiving
from minuet.testing.conformance.of_brokers.surviving import Surviving


class BrokerConformance(Carrying, Receiving, Ordering, Surviving, Keeping, Joining):
    """Every clause of `minuet.ports.broker`, as tests of one adapter.

    A subclass whose name begins with `Test` gives its `url`, or overrides `make_broker` and, if the adapter claims
    `joins`, `make_store`.
    """
