"""Emitting where nothing is awaited: in the caller's own transaction, with no event loop and no connection kept."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager

import msgspec

from minuet.choreography.manifest import Manifest
from minuet.errors import StartupError
from minuet.ports.broker import Broker
from minuet.ports.clock import Clock, Ids
from minuet.ports.store import Store
from minuet.runtime.emitting import AppEmitter
from minuet.runtime.outlets import JoinedOutlet, OutboxOutlet
from minuet.runtime.writing import MessageWriter
from minuet.service.service import Service


@contextmanager
def unawaited(
    services: Mapping[Service, Manifest],
    broker: Broker,
    store: Store,
    *,
    owners: Mapping[str, str],
    clock: Clock,
    ids: Ids,
) -> Generator[None]:
    """Services may emit by `emit_sync`, from any thread, until the block ends. Nothing is published or consumed here.

    Raises StartupError where an event loop runs, and what opening broker and store raises.
    """
    _refuse_loop()
    joined = broker.joined(store)
    asyncio.run(_visit(services, [store] if joined is None else [store, broker], store))
    outlet = OutboxOutlet(clock) if joined is None else JoinedOutlet(joined)
    writers = {s.name: MessageWriter(s.name, broker.capabilities, joined=joined is not None) for s in services}
    emitter = AppEmitter(store, outlet, writers, owners, clock, ids, awaits=False)
    with ExitStack() as stack:
        for service in services:
            service.bind(emitter)
            stack.callback(service.unbind)
        yield


async def _visit(services: Mapping[Service, Manifest], adapters: Sequence[Store | Broker], store: Store) -> None:
    """Leave what whoever emits needs: the tables, and word of who will react where there is none yet."""
    async with AsyncExitStack() as stack:
        for adapter in adapters:
            await adapter.open()
            stack.push_async_callback(adapter.close)
        kept = await store.manifests()
        for service, manifest in services.items():
            if service.name not in kept:
                await store.keep_manifest(service.name, msgspec.json.encode(manifest).decode())


def _refuse_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StartupError(
        "`with app.emitting():` is for a program that awaits nothing, and an event loop runs here. Write "
        "`async with app.connected():`, in which emit_sync() may be called too."
    )
