"""An instance as it is told from what broker and store hold."""

from datetime import UTC, datetime

import pytest

from minuet.choreography.extract import extract
from minuet.contracts.envelope import Envelope
from minuet.contracts.identity import derive
from minuet.instances.projection import Found, emitters_of, project, service_of
from minuet.ports.store import Attempt, DeadLetterHead, Parked, Standing
from tests.unit.choreography import shop

MANIFEST = extract(shop.services, [shop.order_flow])
BEGAN = 1_700_000_000.0
PLACED = "0198c5a1-0000-7000-8000-000000000001"
CAPTURED = derive(PLACED, "payments", "charge", 0)


def event(type, id, *, cause=None, source="/sales", after=0.0):
    return Envelope(
        id=id, source=source, type=type, time=datetime.fromtimestamp(BEGAN + after, UTC),
        correlationid=PLACED, causationid=cause, partitionkey="o1",
    )  # fmt: skip


placed = event("OrderPlaced.v2", PLACED)
captured = event("PaymentCaptured.v1", CAPTURED, cause=PLACED, source="/payments", after=1.5)


def parked(state, *, attempts=0, history=(), due_at=None, dead_letter=None, consumer="payments.charge"):
    delivery = Parked(
        id=1, consumer=consumer, topic="OrderPlaced", key="o1", event_id=PLACED, source="/sales", headers=None,
        body="{}", attempts=attempts, history=history, dead_letter=dead_letter,
    )  # fmt: skip
    return Standing(delivery=delivery, state=state, due_at=due_at, settled_at=None)


def letter(state):
    return DeadLetterHead(
        id=7, consumer="payments.charge", topic="OrderPlaced", key="o1", event_id=PLACED, correlation_id=PLACED,
        type="OrderPlaced.v2", reason="permanent_error", error="CardStolen", attempts=3, at=BEGAN, state=state,
    )  # fmt: skip


ALL = frozenset(reaction.id for reaction in MANIFEST.reactions)


def had(envelope, *, by=ALL, awaiting=frozenset()):
    return Found(envelope, by - awaiting)


def stand(*found, standings=(), letters=(), now=BEGAN + 10):
    return project(PLACED, MANIFEST, found, standings, letters, now)


def state_of(instance, reaction="payments.charge"):
    [found] = [h for e in instance.events for h in e.handlings if h.reaction == reaction]
    return found


def test_an_event_that_its_groups_have_had_is_handled():
    """Whoever takes it and is not behind has handled it; the instance waits for what comes next."""
    instance = stand(had(placed), had(captured, awaiting={"shipping.ship"}))
    assert [h.state for h in instance.events[0].handlings] == ["handled", "handled"]
    assert [wait.reaction for wait in instance.awaited] == ["shipping.ship"]
    assert instance.awaited[0].sentence == (
        "LabelPrinted.v1 and OrderShipped.v1 from shipping.ship, which has yet to handle PaymentCaptured.v1; "
        "no process of shipping has begun it"
    )
    assert (instance.state, instance.workflow) == ("running", "order")


def test_events_are_told_with_their_service_their_offset_and_who_emitted_them():
    """The first event came from outside; the second was emitted by a reaction, as its id proves."""
    first, second = stand(had(placed), had(captured)).events
    assert (first.service, first.offset_seconds, first.emitted_by) == ("sales", 0.0, None)
    assert (second.service, second.offset_seconds, second.emitted_by) == ("payments", 1.5, "payments.charge")
    assert state_of(stand(had(placed), had(captured))).emitted == (CAPTURED,)


def test_a_failed_attempt_is_told_with_its_error_and_the_next():
    """A reaction that is retrying says what failed and when it is tried again."""
    history = (Attempt(at=BEGAN + 1, error="TimeoutError: slow"),)
    instance = stand(had(placed), standings=[parked("due", attempts=1, history=history, due_at=BEGAN + 12.5)])
    handling = state_of(instance)
    assert (handling.state, handling.attempts, handling.due_at) == ("retrying", 1, BEGAN + 12.5)
    assert instance.awaited[0].sentence.endswith(
        "attempt 1 failed with TimeoutError: slow, and the next is due in 2.5 s"
    )


@pytest.mark.parametrize(
    ("standing", "state", "because"),
    [
        (parked("due", due_at=BEGAN), "awaited", "no process of payments has begun it"),
        (parked("behind"), "waiting_behind", "an earlier event of key o1 is not settled"),
        (parked("running", attempts=2), "running", "it runs now, attempt 2"),
        (parked("due", due_at=BEGAN, dead_letter=7), "retrying", "redriven, and the next is due now"),
    ],
    ids=["due", "behind", "running", "redriven"],
)
def test_what_is_parked_says_why_it_waits(standing, state, because):
    """Each way to be parked is a state of its own, with its reason."""
    instance = stand(had(placed), standings=[standing])
    assert state_of(instance).state == state
    assert instance.awaited[0].sentence.endswith(f"; {because}")


def test_a_dead_letter_leaves_the_instance_stuck():
    """Nobody is at work: the wait says which dead letter, and why it died."""
    instance = stand(had(placed), letters=[letter("open")], standings=[parked("held", attempts=3, dead_letter=7)])
    handling = state_of(instance)
    assert (handling.state, handling.dead_letter, handling.reason) == ("dead_letter", 7, "permanent_error")
    assert instance.state == "stuck"
    assert instance.awaited[0].given_up
    assert instance.awaited[0].sentence.endswith("; number 7, permanent_error: CardStolen")


def test_a_discarded_dead_letter_is_awaited_no_more():
    """Somebody gave it up for good."""
    instance = stand(had(placed), letters=[letter("discarded")])
    assert state_of(instance).state == "discarded"
    assert instance.awaited == ()


def test_a_redriven_dead_letter_that_was_handled_is_handled():
    """It keeps the number of the letter, and every attempt counts."""
    history = (Attempt(at=BEGAN, error="x"), Attempt(at=BEGAN, error="y"))
    settled = parked("handled", attempts=0, history=history, dead_letter=7)
    handling = state_of(stand(had(placed), letters=[letter("resolved")], standings=[settled]))
    assert (handling.state, handling.dead_letter, handling.attempts) == ("handled", 7, 3)


def test_an_event_in_the_outbox_has_not_reached_anybody():
    """What the broker does not have yet is awaited by everyone, and says so."""
    instance = stand(Found(placed, owed=True))
    assert {h.state for h in instance.events[0].handlings} == {"awaited"}
    assert instance.awaited[0].sentence.endswith("the broker does not have the event yet: it lies in the outbox")


def test_an_instance_is_late_once_its_workflow_allows_no_more():
    """Late is what has not ended within its workflow's time."""
    shipped = event("OrderShipped.v1", derive(CAPTURED, "shipping", "ship", 1), cause=CAPTURED, source="/shipping")
    assert not stand(had(placed), now=BEGAN + 3599).late
    assert stand(had(placed), now=BEGAN + 3601).late
    ended = stand(had(placed), had(captured), had(shipped), now=BEGAN + 9999)
    assert (ended.state, ended.late, ended.ended_with) == ("ended", False, ("OrderShipped.v1",))


def test_a_group_of_a_service_waits_for_all_of_its_reactions():
    """Where a broker has one group a service, its name stands for each reaction."""
    instance = stand(had(placed, by=frozenset({"payments"})))
    assert state_of(instance, "mail.welcome").state == "awaited"
    assert state_of(instance, "payments.charge").state == "handled"


def test_who_emitted_an_event_is_found_at_any_ordinal():
    """A reaction that emits many is found for each of them; an id that nobody derived stays without."""
    many = [event("LabelPrinted.v1", derive(PLACED, "mail", "welcome", n), cause=PLACED) for n in range(40)]
    foreign = event("LabelPrinted.v1", "somebody-elses", cause=PLACED)
    found = emitters_of(MANIFEST, [placed, *many, foreign])
    assert set(found.values()) == {"mail.welcome"}
    assert len(found) == 40


def test_a_source_of_a_service_is_told_by_its_name():
    """`/payments` is the service payments; what others write as a source stays as it is."""
    assert service_of("/payments") == "payments"
    assert service_of("https://example.org/shop") == "https://example.org/shop"
    assert service_of("/a/b") == "/a/b"


def test_an_event_without_a_time_has_no_offset():
    """A foreign event need not say when it happened."""
    timeless = Envelope(id="x", source="/sales", type="OrderPlaced.v2")
    [only] = stand(had(timeless)).events
    assert (only.at, only.offset_seconds) == (None, None)
