"""Where a run keeps what it does: on servers that others use too, a place of its own, so that no two runs meet.

What names the place is an option of the server's URL. A URL that has it already is taken at its word, and refused if
somebody has been there.
"""

from __future__ import annotations

import asyncio
import os
from urllib.parse import SplitResult, parse_qs, urlsplit

from minuet.app import App
from minuet.composition import groups_of
from minuet.config import expanded, named, open_broker, open_store
from minuet.demo.plan import DemoFailed
from minuet.errors import NeverUsed

OPTION = {"postgres": "schema", "postgresql": "schema", "kafka": "prefix", "rabbitmq": "exchange"}
"""What names a place on a server of each kind."""


def own(url: str, name: str) -> str:
    """The place of this name on the server of a URL; the URL itself if it names one, or where none is needed."""
    parts = parts_of(url)
    option = OPTION.get(parts.scheme)
    if option is None or option in parse_qs(parts.query):
        return url
    return f"{url}{'&' if parts.query else '?'}{option}={name}{'.' if parts.scheme == 'kafka' else ''}"


def told(url: str) -> str:
    """A place for people, without credentials."""
    parts = parts_of(url)
    option = OPTION.get(parts.scheme, "")
    names = parse_qs(parts.query).get(option, [])
    return f"{named(url).partition('?')[0]}, {option} {names[0]}" if names else named(url)


def parts_of(url: str) -> SplitResult:
    """The parts of a URL, with what it takes from the environment."""
    return urlsplit(expanded(url, os.environ))


async def refuse_used(app: App, broker: str, store: str) -> None:
    """Raise DemoFailed if services have run at one of these places, or if processes cannot share it.

    Raises BrokerUnavailable or StoreUnavailable for one that cannot be reached.
    """
    if not (open_broker(broker).capabilities.competing and open_store(store).capabilities.shared):
        raise DemoFailed(f"Several processes cannot share {named(broker)} and {named(store)}.")
    if await _ran_on_store(store):
        raise DemoFailed(_used("store", store))
    if await _ran_on_broker(app, broker):
        raise DemoFailed(_used("broker", broker))


def _used(kind: str, url: str) -> str:
    option = OPTION.get(parts_of(url).scheme)
    advice = f", or leave ?{option}= out and let this run have one of its own" if option else ""
    return (
        f"The {kind} {told(url)} holds the state of an earlier run, whose orders and these would mix. Give another "
        f"place{advice}."
    )


async def _ran_on_store(url: str) -> bool:
    store = open_store(url)
    try:
        await store.open(create=False)
    except NeverUsed:
        return False
    try:
        return bool(await store.manifests())
    finally:
        await store.close()


async def _ran_on_broker(app: App, url: str) -> bool:
    """Whether the groups of the app are there already."""
    broker = open_broker(url)
    try:
        await broker.open(create=False)
    except NeverUsed:
        return False
    try:
        groups = groups_of(app.services, broker.capabilities)
        return bool(groups) and not await broker.plan(groups)
    finally:
        await broker.close()


async def remove(app: App, *urls: str) -> None:
    """Forget these places with all that is in them. Raises BrokerUnavailable or StoreUnavailable."""
    for url in dict.fromkeys(expanded(url, os.environ) for url in urls):
        match urlsplit(url).scheme:
            case "kafka":
                await _remove_prefix(url)
            case "rabbitmq":
                await _remove_exchange(app, url)
            case _:
                await _remove_schema(url)


# Each client library is loaded only where it is used.


async def _remove_prefix(url: str) -> None:
    from minuet.brokers.kafka.place import KafkaPlace  # noqa: PLC0415
    from minuet.brokers.kafka.removal import remove  # noqa: PLC0415

    await asyncio.to_thread(remove, KafkaPlace.from_url(url))


async def _remove_exchange(app: App, url: str) -> None:
    from minuet.brokers.rabbitmq import RabbitBroker  # noqa: PLC0415
    from minuet.brokers.rabbitmq.address import Address  # noqa: PLC0415
    from minuet.brokers.rabbitmq.removal import remove  # noqa: PLC0415

    await remove(Address.from_url(url), groups_of(app.services, RabbitBroker.capabilities))


async def _remove_schema(url: str) -> None:
    from minuet.databases.postgres.place import PostgresPlace  # noqa: PLC0415
    from minuet.databases.postgres.schemas import drop  # noqa: PLC0415

    await drop(PostgresPlace.from_url(url))
