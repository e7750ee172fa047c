"""One manifest out of several."""

from minuet.choreography.extract import extract
from minuet.choreography.manifest import Manifest
from minuet.choreography.merge import merged
from tests.unit.choreography.shop import order_flow, services

WHOLE = extract(services, [order_flow])


def test_the_parts_that_services_keep_make_the_whole():
    """Each service's own manifest, put together again, is the manifest of them all: owners, workflows and order."""
    assert merged(extract([service], [order_flow]) for service in services) == WHOLE


def test_merging_the_whole_with_its_parts_changes_nothing():
    """What is described twice is kept once."""
    assert merged([WHOLE, *(extract([service], [order_flow]) for service in services)]) == WHOLE


def test_nothing_merged_is_an_empty_manifest():
    """A store on which no service has run has a manifest all the same."""
    assert merged([]) == Manifest(services=(), contracts=())
