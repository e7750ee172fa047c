"""From a URL to an adapter: the scheme names an entry point, the adapter's own config reads the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast
from urllib.parse import quote

from minuet.errors import StartupError
from minuet.ports.address import ENCODE, is_cut_short, without_secrets
from minuet.ports.broker import Broker
from minuet.ports.store import Store

_VARIABLE = re.compile(r"\$\{(?P<name>[^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _FromUrl(Protocol):
    def from_url(self, url: str) -> object: ...


def open_broker(url: str) -> Broker:
    """The broker adapter that a URL names, not opened yet. Raises StartupError."""
    return cast("Broker", _from_url("minuet.brokers", "broker", url))


def open_store(url: str) -> Store:
    """The store adapter that a URL names, not opened yet. Raises StartupError."""
    return cast("Store", _from_url("minuet.stores", "store", url))


def expanded(url: str, variables: Mapping[str, str]) -> str:
    """A URL with each `${NAME}` replaced by the value of that variable, whatever characters it has.

    A value is percent-encoded as its place demands: one in the host may have a port, one in the path may have slashes.
    With the variable that a URL begins with, the URL itself begins. Raises StartupError for one that is missing.
    """

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if not _NAME.fullmatch(name):
            raise StartupError(f"In {named(url)} a ${{ is not followed by a name and a }}. Write ${{NAME}}, or %24%7B.")
        if name not in variables:
            raise StartupError(
                f"{named(url)} takes ${{{name}}} from the environment, which has no {name}. Set it, or write the value."
            )
        return variables[name]

    def filled(part: str, safe: str) -> str:
        return _VARIABLE.sub(lambda found: quote(value(found), safe=safe), part)

    if begins := _VARIABLE.match(url):
        return value(begins) + filled(url[begins.end() :], "/")
    scheme, separator, rest = url.partition("://")
    head, question, options = rest.partition("?")
    user, at, place = ("", "", head) if head.startswith("/") else head.rpartition("@")
    host, slash, path = place.partition("/")
    return (
        f"{scheme}{separator}{filled(user, '')}{at}{filled(host, ':,[]')}{slash}{filled(path, '/')}"
        f"{question}{filled(options, '')}"
    )


def _from_url(group: str, kind: str, url: str) -> object:
    address = expanded(url, os.environ)
    adapter = _adapter(group, kind, address)
    if is_cut_short(address):
        raise StartupError(f"{named(url)} is no URL that can be read. {ENCODE}")
    try:
        return adapter.from_url(address)
    except ValueError:  # its text may hold the password
        raise StartupError(f"{named(url)} is no URL that can be read. {ENCODE}") from None


def _adapter(group: str, kind: str, url: str) -> _FromUrl:
    scheme = url.partition("://")[0]
    found: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=group)}
    point = found.get(scheme)
    if point is None:
        raise StartupError(
            f"No {kind} understands {named(url)!r}: there are {', '.join(sorted(found))}. "
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
    return without_secrets(adapter)
