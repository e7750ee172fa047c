"""What a manifest says is wrong with a choreography, or worth knowing."""

from minuet import Event, Service, Workflow
from minuet.choreography.extract import extract
from minuet.choreography.health import examine, strangers
from minuet.choreography.manifest import Manifest
from tests.unit.choreography import shop


class Said(Event):
    word: str


class Heard(Event, consumers=("archive",)):
    word: str


class Foreign(Event):
    word: str


speaker = Service("speaker", owns=[Said, Heard])
listener = Service("listener")


@listener.reaction
async def listen(word: Heard | Foreign) -> None: ...


def found(services, workflows=()):
    return [(one.subject, one.well) for one in examine(extract(services, workflows))]


def test_a_consumer_that_does_not_react_is_wrong():
    """The contract expects the archive, and only the listener has a reaction."""
    assert ("choreography.expected_consumer", False) in found([speaker, listener])


def test_an_event_that_nobody_takes_is_worth_knowing():
    """It may be for somebody elsewhere; an end of a workflow is meant for nobody."""
    assert ("choreography.no_consumer", None) in found([speaker, listener])
    ended = Workflow("talk", starts=Heard, ends=Said)
    assert "choreography.no_consumer" not in dict(found([speaker, listener], [ended]))


def test_an_event_that_nobody_here_emits_is_worth_knowing():
    """It comes from elsewhere, or never."""
    [foreign] = [one for one in examine(extract([speaker, listener])) if one.subject == "choreography.no_producer"]
    assert foreign.found.startswith("listener.listen take Foreign.v1 (")


def test_a_choreography_that_is_whole_has_nothing_to_say():
    """The shop names its consumers and its ends; one event of it is printed for nobody."""
    assert [one.found.split(" (")[0] for one in examine(extract(shop.services, [shop.order_flow]))] == [
        "Nobody takes LabelPrinted.v1"
    ]


def test_groups_are_known_by_reaction_or_by_service():
    """Brokers have one group a reaction or one a service; all others are strangers."""
    manifest = extract(shop.services)
    assert strangers(manifest, ["payments.charge", "mail", "payments.pay", "post"]) == ("payments.pay", "post")
    assert strangers(Manifest(services=(), contracts=()), ["a"]) == ("a",)
