"""What an instance still waits for, and from whom."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.choreography.awaited import Seen, outlook
from minuet.choreography.extract import extract
from tests.unit.choreography import shop

MANIFEST = extract(shop.services, [shop.order_flow])
WITHOUT_WORKFLOW = extract(shop.services)

PLACED, CAPTURED, DECLINED, SHIPPED, PRINTED = (
    "OrderPlaced.v2", "PaymentCaptured.v1", "PaymentDeclined.v1", "OrderShipped.v1", "LabelPrinted.v1",
)  # fmt: skip
REDRIVE = "it is a dead letter until it is redriven"


def handled(type: str, *reactions: str) -> Seen:
    return Seen(type, handled=frozenset(reactions))


def sentences(*seen: Seen) -> list[str]:
    return [entry.sentence for entry in outlook(MANIFEST, seen).awaited]


def test_a_fresh_instance_awaits_whoever_takes_its_start():
    """Nothing is handled yet: each reaction to the first event is awaited, with what it may emit."""
    standing = outlook(MANIFEST, [Seen(PLACED)])
    assert standing.state == "running"
    assert standing.workflow == MANIFEST.workflows[0]
    assert standing.ended_with == ()
    assert standing.possible_ends == (SHIPPED, DECLINED)
    assert sentences(Seen(PLACED)) == [
        f"{CAPTURED} or {DECLINED} from payments.charge, which has yet to handle OrderPlaced.v2",
        "mail.welcome has yet to handle OrderPlaced.v2",
    ]


def test_what_is_handled_is_awaited_no_more():
    """As events are handled the wait moves on to whoever takes what they emitted."""
    seen = [handled(PLACED, "payments.charge", "mail.welcome"), Seen(CAPTURED)]
    standing = outlook(MANIFEST, seen)
    assert standing.state == "running"
    assert standing.possible_ends == (SHIPPED,)
    assert sentences(*seen) == [
        "LabelPrinted.v1 and OrderShipped.v1 from shipping.ship, which has yet to handle PaymentCaptured.v1"
    ]


def test_an_end_ends_the_instance_though_others_still_work():
    """Once an end is seen the instance has ended; a reaction that is still at work is still listed."""
    seen = [handled(PLACED, "payments.charge", "mail.welcome"), Seen(DECLINED)]
    standing = outlook(MANIFEST, seen)
    assert standing.state == "ended"
    assert standing.ended_with == (DECLINED,)
    assert sentences(*seen) == [
        "any number of LabelPrinted.v1 from mail.archive, which has yet to handle PaymentDeclined.v1"
    ]


def test_a_dead_letter_leaves_the_instance_stuck():
    """When only given-up deliveries are left, nobody is at work; a redrive could still reach the end."""
    dead = Seen(CAPTURED, given_up=frozenset({"shipping.ship"}))
    seen = [handled(PLACED, "payments.charge", "mail.welcome"), dead]
    standing = outlook(MANIFEST, seen)
    assert standing.state == "stuck"
    assert standing.possible_ends == (SHIPPED,)
    assert sentences(*seen) == [f"{PRINTED} and {SHIPPED} from shipping.ship, which gave up on {CAPTURED}: {REDRIVE}"]


def test_a_dead_letter_beside_work_does_not_stop_the_instance():
    """One consumer's dead letter is its own; while another is at work the instance runs."""
    seen = Seen(PLACED, given_up=frozenset({"mail.welcome"}))
    assert outlook(MANIFEST, [seen]).state == "running"
    assert sentences(seen)[1] == (f"mail.welcome gave up on OrderPlaced.v2: {REDRIVE}")


def test_an_instance_that_nobody_moves_is_stuck():
    """All is handled, no end was seen and nothing is left that could lead to one."""
    standing = outlook(MANIFEST, [handled(PLACED, "payments.charge", "mail.welcome")])
    assert standing.state == "stuck"
    assert standing.awaited == standing.possible_ends == ()


def test_an_event_that_nobody_takes_is_awaited_by_nobody():
    """An event without a reaction waits for none."""
    assert outlook(MANIFEST, [Seen(PRINTED)]).awaited == ()


def test_an_unknown_event_is_no_error():
    """An event that the manifest has never heard of is passed over."""
    standing = outlook(MANIFEST, [Seen("Elsewhere.v1"), Seen(PLACED)])
    assert standing.workflow == MANIFEST.workflows[0]
    assert len(standing.awaited) == 2


def test_an_older_version_is_awaited_by_who_reads_the_newer():
    """A reaction to version 2 reads version 1 as well, so it is awaited for it; the same goes for ends."""
    standing = outlook(MANIFEST, [Seen("OrderPlaced.v1")])
    assert [entry.reaction.id for entry in standing.awaited] == ["payments.charge", "mail.welcome"]
    assert standing.workflow is not None
    assert outlook(MANIFEST, [Seen("OrderShipped.v9")]).awaited[0].event == "OrderShipped.v9"


def test_two_events_of_one_type_are_two():
    """Each event is awaited for itself."""
    seen = [handled(CAPTURED, "shipping.ship"), Seen(CAPTURED)]
    assert len(outlook(MANIFEST, seen).awaited) == 1


def test_without_a_workflow_an_instance_ends_when_all_is_handled():
    """No lens says what the end is, so nothing left to handle is the end, and a dead letter is none."""
    done = handled(PLACED, "payments.charge", "mail.welcome")
    dead = Seen(PLACED, frozenset({"payments.charge"}), frozenset({"mail.welcome"}))
    assert outlook(WITHOUT_WORKFLOW, [Seen(PLACED)]).state == "running"
    assert outlook(WITHOUT_WORKFLOW, [done]).state == "ended"
    assert outlook(WITHOUT_WORKFLOW, [dead]).state == "stuck"
    assert outlook(WITHOUT_WORKFLOW, []).state == "ended"


TYPES = st.sampled_from([PLACED, CAPTURED, DECLINED, SHIPPED, PRINTED, "Elsewhere.v1"])
IDS = st.frozensets(st.sampled_from([reaction.id for reaction in MANIFEST.reactions]))
SEEN = st.lists(st.builds(Seen, TYPES, IDS, IDS), max_size=6)


@given(SEEN)
def test_the_outlook_is_total_and_agrees_with_itself(seen):
    """For any events in any state: who is awaited takes it and is not done, and the state follows."""
    standing = outlook(MANIFEST, seen)
    for entry in standing.awaited:
        assert any(event.type == entry.event and entry.reaction.id not in event.handled for event in seen)
        assert entry.event in entry.reaction.takes
    if standing.ended_with:
        assert standing.state == "ended"
    elif standing.state == "running":
        assert any(not entry.given_up for entry in standing.awaited)
    else:
        assert all(entry.given_up for entry in standing.awaited)


@given(SEEN, SEEN)
def test_what_happens_later_takes_nothing_from_what_is_awaited_now(seen, more):
    """Further events add to what is awaited; they never handle an earlier one by themselves."""
    before, after = outlook(MANIFEST, seen).awaited, outlook(MANIFEST, seen + more).awaited
    assert after[: len(before)] == before


@given(SEEN)
def test_handling_everything_leaves_nothing_awaited(seen):
    """With every reaction done with every event, nobody is awaited and no end is possible any more."""
    everyone = frozenset(reaction.id for reaction in MANIFEST.reactions)
    standing = outlook(MANIFEST, [Seen(event.type, everyone) for event in seen])
    assert standing.awaited == standing.possible_ends == ()
