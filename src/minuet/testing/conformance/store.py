"""The conformance suite of a store."""

from __future__ import annotations

from minuet.testing.conformance.of_stores.burying import Burying
from minuet.testing.conformance.of_stores.committing import Committing
from minuet.testing.conformance.of_stores.holding import Holding
from minuet.testing.conformance.of_stores.looking import Looking
from minuet.testing.conformance.of_stores.owing import Owing
from minuet.testing.conformance.of_stores.parking import Waiting
from minuet.testing.conformance.of_stores.remembering import Remembering
from minuet.testing.conformance.of_stores.sharing import Sharing


class StoreConformance(Committing, Remembering, Owing, Holding, Waiting, Burying, Looking, Sharing):
    """Every clause of `minuet.ports.store`, as tests of one adapter.

    A subclass whose name begins with `Test` gives its `url`, or overrides `make_store`.
    """
