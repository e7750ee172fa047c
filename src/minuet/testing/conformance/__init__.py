"""The conformance suites: every clause of the broker port and of the store port as tests of an adapter.

Without any Python, for an adapter that is installed with its entry point:

    pytest --pyargs minuet.testing.conformance --broker pulsar://localhost --store postgresql://localhost/test

As a test file of one's own, which pytest collects like any other:

    from minuet.testing.conformance import BrokerConformance

    class TestPulsar(BrokerConformance):
        url = "pulsar://localhost"

`{folder}` in a URL is a directory that is new for each test. An adapter without an entry point overrides
`make_broker` or `make_store`.

A clause about a capability runs where the adapter claims it; elsewhere the run says that it is not claimed. A claim of
which no clause ran fails the run; `--partial` says that only a part of the suite was meant to run.
"""

from minuet.testing.conformance.broker import BrokerConformance
from minuet.testing.conformance.claims import requires
from minuet.testing.conformance.store import StoreConformance

__all__ = ["BrokerConformance", "StoreConformance", "requires"]
