"""From a URL to an adapter: the scheme names an entry point, the adapter's own config reads the rest."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast
from urllib.parse import urlsplit

from minuet.errors import StartupError
from minuet.ports.broker import Broker
from minuet.ports.store import Store


class _FromUrl(Protocol):
    def from_url(self, url: str) -> object: ...


def open_broker(url: str) -> Broker:
    """The broker adapter that a URL names, not opened yet. Raises StartupError."""
    return cast("Broker", _adapter("minuet.brokers", "broker", url).from_url(url))


def open_store(url: str) -> Store:
    """The store adapter that a URL names, not opened yet. Raises StartupError."""
    return cast("Store", _adapter("minuet.stores", "store", url).from_url(url))


def _adapter(group: str, kind: str, url: str) -> _FromUrl:
    scheme = url.partition("://")[0]
    found: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=group)}
    point = found.get(scheme)
    if point is None:
        raise StartupError(
            f"No {kind} understands {url.partition('?')[0]!r}: there are {', '.join(sorted(found))}. "
            f"Check the word before '://', or install the package that brings a {scheme!r} {kind}."
        )
    try:
        return cast("_FromUrl", point.load())
    except ImportError as error:
        raise StartupError(
            f"The {kind} for {scheme}:// needs a client library that is not installed ({error}). "
            f"Install it with: pip install 'minuet[{scheme}]'"
        ) from error


def named(adapter: str | object) -> str:
    """An adapter in a message: its scheme and place, never its credentials."""
    if not isinstance(adapter, str):
        return repr(adapter)
    parts = urlsplit(adapter)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
