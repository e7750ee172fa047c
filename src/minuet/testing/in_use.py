"""Whether a broker or a store is somebody's: the conformance suites write where they run, and leave it behind."""

from __future__ import annotations

import re
from contextlib import suppress

from minuet.choreography.manifest import from_json
from minuet.config import named, open_broker, open_store
from minuet.errors import DeclarationError, MinuetError

OURS = re.compile(r"[A-Za-z]+[0-9a-f]{12}")
"""The services that the suites make up, so that they may run again where they have run."""


async def refusal(option: str, url: str) -> str | None:
    """Why the suites must not run at this place, None if they may. `option` is `--broker` or `--store`.

    Looks and changes nothing. What cannot be opened is left to the suites to say.
    """
    if "{folder}" in url:
        return None
    services: set[str] = set()
    # Either way: a broker and a store may share the place, and one of them be somebody's.
    for look in (services_of_broker, services_of_store):
        with suppress(MinuetError):
            services |= await look(url)
    theirs = sorted(service for service in services if not OURS.fullmatch(service))
    if not theirs:
        return None
    fresh = (
        "sqlite:///{folder}/fresh.db, a new file for each test" if url.startswith("sqlite:") else "an empty database"
    )
    return (
        f"{option} {named(url)} is in use: it holds the state of the services {', '.join(theirs)}. The suites write "
        f"events, letters and groups of their own, and do not clean up. Give a place that is nobody's: {fresh}."
    )


async def services_of_broker(url: str) -> set[str]:
    """The services with a group on a broker that shows its groups."""
    broker = open_broker(url)
    if not (broker.capabilities.persistent and broker.capabilities.traceable):
        return set()
    await broker.open(create=False)
    try:
        return {progress.group.service for progress in await broker.groups()}
    finally:
        await broker.close()


async def services_of_store(url: str) -> set[str]:
    """The services that have run on a store."""
    store = open_store(url)
    if not store.capabilities.persistent:
        return set()
    await store.open(create=False)
    try:
        return {service for service, text in (await store.manifests()).items() if is_manifest(text)}
    finally:
        await store.close()


def is_manifest(text: str) -> bool:
    """Whether an app has written it."""
    try:
        return bool(from_json(text).services)
    except DeclarationError:
        return False
