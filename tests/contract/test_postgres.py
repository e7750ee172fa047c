"""`postgres://` keeps every clause that it claims, as a broker and as a store, against a real server."""

from collections.abc import Iterator

import pytest

from minuet.testing.conformance import BrokerConformance, StoreConformance
from tests.contract.servers import needs, own_database, url_of

pytestmark = needs("postgres")


@pytest.fixture(autouse=True, scope="class")
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    """A database for the clauses of a class, in each process that runs some of them."""
    with own_database() as url:
        request.cls.url = url
        yield


class TestPostgresBroker(BrokerConformance):
    url = url_of("postgres")


class TestPostgresStore(StoreConformance):
    url = url_of("postgres")
