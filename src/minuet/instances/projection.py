"""From what brokers and stores hold to an instance: a pure function."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from minuet.choreography.awaited import Seen, awaited, outlook
from minuet.choreography.manifest import Manifest, ReactionEntry
from minuet.contracts.envelope import Envelope, split_type
from minuet.contracts.identity import derive
from minuet.instances.instance import Handling, HandlingState, Instance, InstanceEvent, Wait
from minuet.ports.store import DeadLetterHead, Standing

MOST_ORDINALS = 16
"""How many ordinals are tried at least to find the reaction that an id was derived for."""
PARKED: dict[str, HandlingState] = {"behind": "waiting_behind", "running": "running", "held": "dead_letter"}
"""What the store's words for a parked delivery are here; a `due` one is retrying or awaited."""


class Found(Struct, frozen=True):
    """One event as it was found."""

    envelope: Envelope
    had: frozenset[str] = frozenset()
    """The groups that have had it."""
    owed: bool = False


def project(
    correlation_id: str,
    manifest: Manifest,
    found: Sequence[Found],
    standings: Sequence[Standing],
    letters: Sequence[DeadLetterHead],
    now: float,
) -> Instance:
    """The instance with these events (at least one), parked deliveries and dead letters at the instant `now`."""
    parked = {(s.delivery.consumer, s.delivery.event_id or ""): s for s in standings}
    dead = {(letter.consumer, letter.event_id or ""): letter for letter in letters}
    emitters = emitters_of(manifest, [one.envelope for one in found])
    times = [one.envelope.time.timestamp() for one in found if one.envelope.time is not None]
    began_at = min(times, default=None)
    events = tuple(
        InstanceEvent(
            id=one.envelope.id,
            type=one.envelope.type,
            service=service_of(one.envelope.source),
            at=at,
            offset_seconds=None if at is None or began_at is None else at - began_at,
            key=one.envelope.partitionkey,
            causation_id=one.envelope.causationid,
            emitted_by=emitters.get(one.envelope.id),
            owed=one.owed,
            handlings=tuple(handlings(manifest, one, parked, dead, emitters, found)),
        )
        for one in found
        for at in [None if one.envelope.time is None else one.envelope.time.timestamp()]
    )
    standing = outlook(manifest, [seen(event) for event in events])
    within = standing.workflow.within_seconds if standing.workflow is not None else None
    overdue = within is not None and began_at is not None and now - began_at > within
    return Instance(
        correlation_id=correlation_id,
        workflow=standing.workflow.name if standing.workflow is not None else None,
        state=standing.state,
        late=standing.state != "ended" and overdue,
        began_at=began_at,
        last_at=max(times, default=None),
        ended_with=standing.ended_with,
        possible_ends=standing.possible_ends,
        awaited=tuple(wait for event in events for wait in waits(manifest, event, now)),
        events=events,
    )


def service_of(source: str) -> str:
    """The service that a source names: `/payments` is payments; what others write stays as it is."""
    return source[1:] if source.startswith("/") and "/" not in source[1:] else source


def emitters_of(manifest: Manifest, envelopes: Sequence[Envelope]) -> dict[str, str]:
    """Which reaction emitted which event, by the event's id, as far as ids tell: they are derived from their cause."""
    children: dict[str, list[Envelope]] = {}
    for envelope in envelopes:
        if envelope.causationid is not None:
            children.setdefault(envelope.causationid, []).append(envelope)
    found: dict[str, str] = {}
    for cause in envelopes:
        caused = {child.id for child in children.get(cause.id, ())}
        ordinals = range(max(len(caused), MOST_ORDINALS))
        for reaction in manifest.takers(split_type(cause.type)[0]) if caused else ():
            for ordinal in ordinals:
                derived = derive(cause.id, reaction.service, reaction.name, ordinal)
                if derived in caused:
                    found[derived] = reaction.id
    return found


def handlings(
    manifest: Manifest,
    one: Found,
    parked: Mapping[tuple[str, str], Standing],
    dead: Mapping[tuple[str, str], DeadLetterHead],
    emitters: Mapping[str, str],
    found: Sequence[Found],
) -> Iterator[Handling]:
    """What each reaction that takes this event did with it."""
    envelope = one.envelope
    for reaction in manifest.takers(split_type(envelope.type)[0]):
        emitted = tuple(
            other.envelope.id
            for other in found
            if other.envelope.causationid == envelope.id and emitters.get(other.envelope.id) == reaction.id
        )
        identity = (reaction.id, envelope.id)
        yield handling(reaction, one, parked.get(identity), dead.get(identity), emitted)


def handling(
    reaction: ReactionEntry,
    one: Found,
    parked: Standing | None,
    letter: DeadLetterHead | None,
    emitted: tuple[str, ...],
) -> Handling:
    """How one reaction stands to one event. What the store knows tells more than what the broker knows."""
    number = letter.id if letter is not None else None
    if letter is not None and letter.state in ("open", "discarded"):
        return Handling(
            reaction=reaction.id, state="dead_letter" if letter.state == "open" else "discarded",
            attempts=letter.attempts, reason=letter.reason, error=letter.error, dead_letter=number, emitted=emitted,
        )  # fmt: skip
    if parked is not None and parked.state not in ("handled", "dead"):
        delivery = parked.delivery
        tried = bool(delivery.history) or delivery.dead_letter is not None
        return Handling(
            reaction=reaction.id, state=PARKED.get(parked.state, "retrying" if tried else "awaited"),
            attempts=delivery.attempts,
            due_at=parked.due_at, error=delivery.history[-1].error if delivery.history else None,
            dead_letter=number, history=delivery.history, emitted=emitted,
        )  # fmt: skip
    taken = not one.owed and not one.had.isdisjoint((reaction.id, reaction.service))
    history = parked.delivery.history if parked is not None else ()
    begun = parked.delivery.attempts if parked is not None else 0
    return Handling(
        reaction=reaction.id, state="handled" if taken else "awaited",
        attempts=max(begun, len(history) + 1) if taken else 0,
        dead_letter=number, history=history, emitted=emitted,
    )  # fmt: skip


def seen(event: InstanceEvent) -> Seen:
    """The event as the choreography is asked about it."""
    return Seen(
        event.type,
        handled=frozenset(h.reaction for h in event.handlings if h.state in ("handled", "discarded")),
        given_up=frozenset(h.reaction for h in event.handlings if h.state == "dead_letter"),
    )


def waits(manifest: Manifest, event: InstanceEvent, now: float) -> Iterator[Wait]:
    """What is awaited because of one event."""
    by_reaction = {handling.reaction: handling for handling in event.handlings}
    for entry in awaited(manifest, [seen(event)]):
        why = because(by_reaction[entry.reaction.id], event, now)
        yield Wait(
            sentence=f"{entry.sentence}; {why}",
            reaction=entry.reaction.id,
            event_id=event.id,
            since=event.at,
            given_up=entry.given_up,
        )


def because(handling: Handling, event: InstanceEvent, now: float) -> str:
    """Why a reaction is not done with an event, as the second half of a sentence."""
    service = handling.reaction.partition(".")[0]
    match handling.state:
        case "dead_letter":
            return f"number {handling.dead_letter}, {handling.reason}: {handling.error}"
        case "retrying":
            failed = f"attempt {len(handling.history)} failed with {handling.error}" if handling.history else "redriven"
            return f"{failed}, and the next {due(handling.due_at, now)}"
        case "waiting_behind":
            return f"an earlier event of key {event.key} is not settled"
        case "running":
            return f"it runs now, attempt {handling.attempts}"
        case _ if event.owed:
            return "the broker does not have the event yet: it lies in the outbox"
        case _:
            return f"no process of {service} has begun it"


def due(at: float | None, now: float) -> str:
    """When an attempt is due, in words."""
    if at is None or at <= now:
        return "is due now"
    return f"is due in {at - now:.1f} s"
