"""Where an operator's verb looks: the broker and store that the command line names, opened and never created."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import typer

from minuet.app import App
from minuet.cli.reference import default_reference, load_app
from minuet.config import named, open_broker, open_store
from minuet.errors import NeverUsed
from minuet.ports.broker import Broker
from minuet.ports.store import Store


class Place(NamedTuple):
    """A broker and a store, as URLs or adapters; the app, if one was needed to know them."""

    broker: str | Broker
    store: str | Store
    app: App | None = None


def place_of(
    *, db: Path | None = None, store: str | None = None, broker: str | None = None, app: str | None = None
) -> Place:
    """What the options say: a file, URLs, or an app, which pyproject.toml may name. Usage errors in prose."""
    if db is not None and (store is not None or broker is not None):
        raise typer.BadParameter("--db stands for --store and --broker. Give either it or them.", param_hint="--db")
    if db is not None:
        store = broker = url_of(db)
    if store is not None:
        return Place(broker or store, store, load_app(app) if app is not None else None)
    if app is None and default_reference() is None:
        raise typer.BadParameter(
            "Nothing says where to look. Give --db shop.db, --store URL with --broker URL if that is elsewhere, or an "
            "app.",
            param_hint="--store",
        )
    loaded = load_app(app)
    return Place(broker or loaded.broker, loaded.store, loaded)


def url_of(file: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{quote(str(file))}"


@asynccontextmanager
async def opened_store(place: Place) -> AsyncGenerator[Store]:
    """The store, open. Raises StoreUnavailable for one that minuet has never used."""
    store = open_store(place.store) if isinstance(place.store, str) else place.store
    await store.open(create=False)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened_broker(place: Place) -> AsyncGenerator[Broker]:
    """The broker of a place whose store is open. Raises NeverUsed or BrokerUnavailable."""
    broker = open_broker(place.broker) if isinstance(place.broker, str) else place.broker
    try:
        await broker.open(create=False)
    except NeverUsed as error:
        if place.broker != place.store:
            raise
        raise NeverUsed(
            f"{named(place.store)} is a store that minuet has used, and holds no log of events: they travel through "
            "another broker. Say which with --broker URL."
        ) from error
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def opened(place: Place) -> AsyncGenerator[tuple[Broker, Store]]:
    """Broker and store, open. Raises StoreUnavailable or BrokerUnavailable for one that minuet has never used."""
    async with opened_store(place) as store, opened_broker(place) as broker:
        yield broker, store
