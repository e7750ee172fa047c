"""What `minuet doctor` looks at: an app's composition, its choreography, and the broker and store that it lives on."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack

from minuet.app import App
from minuet.choreography.health import examine, strangers
from minuet.choreography.manifest import Manifest
from minuet.cli.opening import Place, opened_broker, opened_store
from minuet.cli.output import length
from minuet.composition import check_promises, groups_of, missing_needs
from minuet.config import named, open_broker, open_store
from minuet.errors import BrokerUnavailable, MinuetError, NeverUsed, Rejected, StartupError
from minuet.instances.reading import read_manifest
from minuet.ports.broker import Broker
from minuet.ports.examined import Examined
from minuet.ports.store import DeadLetterFilter, ParkedFilter, Standing, Store
from minuet.runtime.presence import PROCESSES
from minuet.runtime.reading import envelope_of

MOST = 10_000
"""How many rows of a kind are looked at."""
MOST_TOLD = 5
"""How many deliveries are told one by one."""
LONG_SECONDS = 60.0
"""After how long a delivery that runs is worth knowing."""


async def check_up(place: Place, owed_seconds: float, now: float) -> AsyncIterator[Examined]:
    """Everything that can be checked at this place. `owed_seconds` is how long an event may lie in the outbox."""
    declared: Manifest | None = None
    if place.app is not None:
        for one in composition(place.app):
            yield one
        declared = place.app.manifest
    away = False
    async for one in topology(place):
        away = away or one.subject == "broker.opens"
        yield one
    if place.app is not None and is_fleeting(place):
        yield Examined(
            subject="store.opens", well=None,
            found=f"{named(place.store)} keeps nothing: there is no store to look into.",
            advice="Give the app a store that lasts, sqlite:///shop.db, or say which with --db or --store.",
        )  # fmt: skip
        for one in examine(place.app.manifest):
            yield one
        return
    try:
        async with opened_store(place) as store, AsyncExitStack() as stack:
            broker = None if away else await reached(place, stack)
            if isinstance(broker, Examined):
                yield broker
                broker = None
            yield Examined(subject="store.opens", well=True, found=f"{named(place.store)} opens.")
            async for one in inside(broker, store, declared, owed_seconds, now):
                yield one
    except NeverUsed as error:
        yield Examined(subject="store.opens", well=False if declared is None else None, found=str(error))
        for one in examine(declared) if declared is not None else ():
            yield one
    except MinuetError as error:
        yield Examined(subject="store.opens", well=False, found=str(error))
    except Exception as error:  # noqa: BLE001  # a damaged file fails wherever it is first read
        yield Examined(
            subject="store.reads", well=False,
            found=f"Reading {named(place.store)} failed: {type(error).__qualname__}: {error}.",
            advice="If that says that the file is damaged: stop every process, keep a copy, and bring back a backup.",
        )  # fmt: skip


def is_fleeting(place: Place) -> bool:
    """Whether the place is gone with its process."""
    store = open_store(place.store) if isinstance(place.store, str) else place.store
    return not store.capabilities.persistent


def composition(app: App) -> Iterator[Examined]:
    """Whether each service of the app may start."""
    broker = open_broker(app.broker) if isinstance(app.broker, str) else app.broker
    store = open_store(app.store) if isinstance(app.store, str) else app.store
    for service in app.services:
        well = True
        try:
            where = f"{named(app.broker)} and {named(app.store)}"
            check_promises([service], [service], broker.capabilities, store.capabilities, where)
        except StartupError as error:
            well = False
            yield Examined(subject="app.promise", well=False, found=str(error))
        for reaction, need in missing_needs(service, app.provide, store.capabilities):
            well = False
            name = getattr(need.type, "__name__", str(need.type))
            yield Examined(
                subject="app.need", well=False,
                found=f"{reaction.id} ({reaction.place}) needs {need.parameter!r}: nobody provides a {name}.",
                advice=f"Write @{service.name}.provides on a function that returns {name}.",
            )  # fmt: skip
        if well:
            yield Examined(subject="app.service", well=True, found=f"{service.name} can start.")


async def reached(place: Place, stack: AsyncExitStack) -> Broker | Examined:
    """The broker, open until the stack is closed; or what is found instead."""
    try:
        broker = await stack.enter_async_context(opened_broker(place))
        if place.app is not None and broker.capabilities.provisioned == "on_request":
            # It looks at the groups that it was told of.
            await broker.plan(groups_of(place.app.services, broker.capabilities))
    except BrokerUnavailable as error:
        return Examined(subject="broker.opens", well=False, found=str(error))
    except NeverUsed as error:
        return Examined(subject="broker.opens", well=False if place.app is None else None, found=str(error))
    return broker


async def topology(place: Place) -> AsyncIterator[Examined]:
    """What a broker whose topology is somebody's decision lacks of what the app's services need."""
    if place.app is None:
        return
    broker = open_broker(place.broker) if isinstance(place.broker, str) else place.broker
    if broker.capabilities.provisioned != "on_request":
        return
    try:
        await broker.open()
        try:
            planned = await broker.plan(groups_of(place.app.services, broker.capabilities))
        finally:
            await broker.close()
    except BrokerUnavailable as error:
        yield Examined(subject="broker.opens", well=False, found=str(error))
        return
    if not planned:
        yield Examined(
            subject="broker.topology", well=True, found=f"{named(place.broker)} has what these services need."
        )
    for change in planned:
        yield Examined(
            subject="broker.topology", well=False, found=f"{change.what}: {change.how}.",
            advice=change.refused or "`minuet run --provision` does it.",
        )  # fmt: skip


async def inside(
    broker: Broker | None, store: Store, declared: Manifest | None, owed_seconds: float, now: float
) -> AsyncIterator[Examined]:
    """What an open broker and store show. Without a broker, which is away, the store alone."""
    for one in await store.examine():
        yield one
    if broker is not None and broker.joined(store) is None:
        for one in await broker.examine():
            yield one
    manifest = await read_manifest(store, declared)
    if not manifest.services:
        yield Examined(subject="store.services", well=None, found="No service has run here yet.")
    for one in examine(manifest):
        yield one
    if broker is not None and broker.capabilities.traceable:
        async for one in groups(broker, manifest):
            yield one
    async for one in owed(store, owed_seconds, now):
        yield one
    async for one in dead_letters(store, manifest):
        yield one
    async for one in parked(store, manifest, owed_seconds, now):
        yield one


async def groups(broker: Broker, manifest: Manifest) -> AsyncIterator[Examined]:
    """The broker's groups: whose they are, and how far behind."""
    standing = await broker.groups()
    services = {service.name for service in manifest.services}
    unknown = strangers(manifest, [one.group.name for one in standing])
    for group in [one.group for one in standing if one.group.name in unknown]:
        renamed = group.service in services
        yield Examined(
            subject="broker.stranger", well=False if renamed else None,
            found=f"The group {group.name} belongs to no reaction that is known here, and the log keeps for it what it "
            "has not had.",
            advice=f"If the reaction was renamed, run {group.service} with the old name until the group has caught up."
            if renamed
            else f"If {group.service} runs with a store of its own, all is well; look there too.",
        )  # fmt: skip
    behind = {one.group.name: one.behind for one in standing if one.behind}
    if behind:
        told = ", ".join(f"{name} {count}" for name, count in sorted(behind.items()))
        yield Examined(
            subject="broker.behind", well=None, found=f"Events that wait to be taken: {told}.",
            advice="They are taken once a process of that service runs and is done with what it has begun: see that "
            "one runs, and in its log (or `minuet run --verbose`) what it is at.",
        )  # fmt: skip
    else:
        yield Examined(subject="broker.behind", well=True, found="Every group has had every event.")


async def owed(store: Store, owed_seconds: float, now: float) -> AsyncIterator[Examined]:
    """Events that lie in the outbox for too long."""
    old = [row for row in await store.owed(MOST) if now - row.at > owed_seconds]
    if not old:
        yield Examined(subject="store.owed", well=True, found="The outbox owes the broker nothing that is old.")
        return
    count = f"{len(old)}{' or more' if len(old) == MOST else ''}"
    yield Examined(
        subject="store.owed", well=False,
        found=f"The outbox owes the broker {count} events, the oldest for {length(now - old[0].at)}.",
        advice="See that a process with this store runs and that the broker can be reached from it; its log says more.",
    )  # fmt: skip


async def dead_letters(store: Store, manifest: Manifest) -> AsyncIterator[Examined]:
    """Deliveries that were given up on."""
    letters = await store.survey_dead_letters(DeadLetterFilter())
    if not letters:
        yield Examined(subject="store.dead_letters", well=True, found="There are no open dead letters.")
        return
    counts = Counter((letter.consumer, letter.reason) for letter in letters)
    told = ", ".join(f"{count} of {consumer} ({reason})" for (consumer, reason), count in counts.most_common(10))
    yield Examined(
        subject="store.dead_letters", well=False, found=f"{len(letters)} open dead letters: {told}.",
        advice="Look with `minuet dlq list` and `minuet dlq show`; mend the cause; `minuet dlq redrive` or `discard`.",
    )  # fmt: skip
    lost = strangers(manifest, sorted({letter.consumer for letter in letters}))
    if lost:
        yield Examined(
            subject="store.dead_letters_of_strangers", well=False,
            found=f"Of these, the reactions {', '.join(lost)} are not known here: redriven, they would wait for ever.",
            advice="Start a service that has them, or discard their letters.",
        )  # fmt: skip


async def parked(store: Store, manifest: Manifest, late_seconds: float, now: float) -> AsyncIterator[Examined]:
    """Deliveries that wait in the store for a reaction that does not come."""
    everything = await store.parked(ParkedFilter(unsettled=True), MOST)
    waiting = [one for one in everything if one.delivery.consumer != PROCESSES]
    lost = strangers(manifest, sorted({one.delivery.consumer for one in waiting}))
    for consumer in lost:
        count = sum(one.delivery.consumer == consumer for one in waiting)
        yield Examined(
            subject="store.parked_of_strangers", well=False,
            found=f"{count} deliveries wait for {consumer}, which is not known here.",
            advice="If it was renamed, start its service under the old name until they are done.",
        )  # fmt: skip
    late = Counter(
        one.delivery.consumer
        for one in waiting
        if one.due_at is not None and now - one.due_at > late_seconds and one.delivery.consumer not in lost
    )
    if late:
        told = ", ".join(f"{count} of {consumer}" for consumer, count in sorted(late.items()))
        yield Examined(
            subject="store.parked_late", well=None, found=f"Deliveries that are due and not begun: {told}.",
            advice="They begin once a process of that service runs and has room: see that one runs, and what it is at.",
        )  # fmt: skip
    for one in running(waiting, now):
        yield one


def running(waiting: Sequence[Standing], now: float) -> Iterator[Examined]:
    """Deliveries that run now and may have done so for long. An attempt has no instant of its own."""
    long = [
        (one, now - before)
        for one in waiting
        if one.state == "running" and (before := since(one)) is not None and now - before > LONG_SECONDS
    ]
    if long:
        told = "; ".join(_run(one, seconds) for one, seconds in long[:MOST_TOLD])
        more = f"; and {len(long) - MOST_TOLD} more" if len(long) > MOST_TOLD else ""
        named = any(one.owner is not None for one, _ in long[:MOST_TOLD])
        dash = "The number before the dash is the process's id; when that" if named else "When its"
        yield Examined(
            subject="store.running", well=None,
            found=f"Deliveries that may have been running for long: {told}{more}.",
            advice="If one does not end, its reaction waits for something: give what it calls a time limit. "
            f"{dash} process ends, another begins the delivery again.",
        )  # fmt: skip


def _run(one: Standing, seconds: float) -> str:
    where = f" in process {one.owner}" if one.owner is not None else ""
    return (
        f"{one.delivery.consumer} has event {one.delivery.event_id}{where}, attempt {one.delivery.attempts}, begun "
        f"{length(seconds)} ago at most"
    )


def since(one: Standing) -> float | None:
    """The instant after which the present attempt began: its last failure, or else its event; None if not known."""
    if one.delivery.history:
        return one.delivery.history[-1].at
    try:
        time = envelope_of(one.delivery).time
    except Rejected:
        return None
    return time.timestamp() if time is not None else None
