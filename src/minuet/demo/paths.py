"""What became of each instance: the events that it consists of, as the log has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from minuet.databases.statements import load
from minuet.demo.settling import Settling

SQL = load("minuet.demo", "paths.sql")


class Event(NamedTuple):
    """One event of the log by its ids."""

    id: str
    topic: str
    correlation_id: str
    causation_id: str | None


async def logged(settling: Settling) -> list[Event]:
    """The whole log, in its order, where broker and store are one database."""
    return [Event(*row) for row in await settling.read(SQL["events"])]


def instances(events: Iterable[Event]) -> dict[str, tuple[str, ...]]:
    """The events of each instance by their names: causes before effects, and equally far ones by name."""
    depth: dict[str, int] = {}
    found: dict[str, list[tuple[int, str]]] = {}
    for event in events:
        depth[event.id] = depth.get(event.causation_id or "", -1) + 1
        found.setdefault(event.correlation_id, []).append((depth[event.id], event.topic))
    return {instance: tuple(name for _, name in sorted(steps)) for instance, steps in found.items()}


def paths(of: Mapping[str, tuple[str, ...]]) -> list[tuple[str, int]]:
    """Each path that instances took, with their number; the most taken first."""
    return Counter(map(path, of.values())).most_common()


def path(names: Iterable[str]) -> str:
    """One path as text: `Placed > Captured > 3 x Packed > Shipped`."""
    counts = Counter(names)
    return " > ".join(name if number == 1 else f"{number} x {name}" for name, number in counts.items())
