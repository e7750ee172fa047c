"""Reads an instance from a broker and a store, through their ports. It takes nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from minuet.choreography.manifest import Manifest, from_json
from minuet.choreography.merge import merged
from minuet.contracts.correlation import instance_of
from minuet.errors import EnvelopeRejected
from minuet.instances.instance import Instance
from minuet.instances.projection import Found, project
from minuet.ports.broker import Broker, Message
from minuet.ports.clock import Clock
from minuet.ports.store import DeadLetterFilter, ParkedFilter, Store
from minuet.runtime.reading import envelope_of

READINGS = 5
"""How often an instance that moves is read again, until two readings agree."""
MOST_OWED = 10_000
MOST_PARKED = 100_000


async def read_manifest(store: Store, declared: Manifest | None = None) -> Manifest:
    """The choreography of every service that has run on this store; `declared` counts for the services that it has."""
    known = {service.name for service in declared.services} if declared is not None else set[str]()
    kept = [from_json(text) for name, text in (await store.manifests()).items() if name not in known]
    return merged(kept if declared is None else [declared, *kept])


async def read_instance(
    broker: Broker, store: Store, clock: Clock, correlation_id: str, *, quick: bool = False
) -> Instance | None:
    """The instance as it stands, None when there is no event of it. Raises BrokerUnavailable, StoreUnavailable.

    `quick` reads by an index; see `Broker.instance`.
    """
    manifest = await read_manifest(store)
    found = await _find(broker, store, correlation_id, quick=quick)
    if not found:
        return None
    for _ in range(READINGS):
        instance = await _stand(store, clock, correlation_id, manifest, found)
        # The parts are read one after the other; only when nothing has moved in between do they belong together.
        before, found = found, await _find(broker, store, correlation_id, quick=quick)
        if found == before:
            return instance
    return await _stand(store, clock, correlation_id, manifest, found)


async def _stand(
    store: Store, clock: Clock, correlation_id: str, manifest: Manifest, found: Sequence[Found]
) -> Instance:
    ids = tuple(one.envelope.id for one in found)
    standings = await store.parked(ParkedFilter(event_ids=ids), MOST_PARKED)
    letters = await store.survey_dead_letters(DeadLetterFilter(state=None, event_ids=ids))
    return project(correlation_id, manifest, found, standings, letters, clock.now())


async def _find(broker: Broker, store: Store, correlation_id: str, *, quick: bool) -> list[Found]:
    logged = await broker.instance(correlation_id, quick=quick)
    groups = [progress.group for progress in await broker.groups()]
    found = [
        Found(
            envelope_of(one.message),
            frozenset(group.name for group in groups if one.message.topic in group.topics) - one.awaiting,
        )
        for one in logged
    ]
    there = {one.envelope.id for one in found}
    owed = _events(correlation_id, [row.message for row in await store.owed(MOST_OWED)])
    return [*found, *(one for one in owed if one.envelope.id not in there)]


def _events(correlation_id: str, messages: Sequence[Message]) -> list[Found]:
    """Those of the outbox's messages that are events of the instance."""
    found: list[Found] = []
    for message in messages:
        try:
            envelope = envelope_of(message)
        except EnvelopeRejected:
            continue
        if instance_of(envelope) == correlation_id:
            found.append(Found(envelope, owed=True))
    return found
