"""Where a run keeps what it does: on servers that others use too, a place of its own, so that no two runs meet.

What names the place is an option of the server's URL. A URL that has it already is taken at its word, and refused if
somebody has been there.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from minuet.app import App
from minuet.composition import groups_of
from minuet.config import named, open_broker, open_store
from minuet.databases.postgres import PostgresDatabase
from minuet.databases.schemas import drop
from minuet.demo.plan import DemoFailed
from minuet.errors import NeverUsed

OPTION = {"postgres": "schema", "postgresql": "schema", "kafka": "prefix", "rabbitmq": "exchange"}
"""What names a place on a server of each kind."""


def own(url: str, name: str) -> str:
    """The place of this name on the server of a URL; the URL itself if it names one, or where none is needed."""
    parts = urlsplit(url)
    option = OPTION.get(parts.scheme)
    if option is None or option in parse_qs(parts.query):
        return url
    return f"{url}{'&' if parts.query else '?'}{option}={name}"


def told(url: str) -> str:
    """A place for people, without credentials."""
    parts = urlsplit(url)
    option = OPTION.get(parts.scheme)
    names = parse_qs(parts.query).get(option or "", [])
    return f"{named(url)}, {option} {names[0]}" if names else named(url)


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
    return (
        f"The {kind} {told(url)} holds the state of an earlier run, whose orders and these would mix. Give another "
        f"place, or leave ?{OPTION.get(urlsplit(url).scheme, '...')}= out and let this run have one of its own."
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


async def remove(*urls: str) -> None:
    """Forget these places with all that is in them. Raises MinuetError."""
    for url in dict.fromkeys(urls):
        if urlsplit(url).scheme in ("postgres", "postgresql"):
            database = open_store(url).database
            assert isinstance(database, PostgresDatabase)
            await drop(database.place)
