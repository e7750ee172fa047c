"""Several observers as one, that costs nothing at points nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence

from minuet.ports.observer import Observer, Point, Turn


class Observers:
    """Tells every observer what it asked for."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)
        self._at = {point: tuple(o for o in observers if point in o.points) for point in Point}
        self.points = frozenset(point for point, wanting in self._at.items() if wanting)

    def __repr__(self) -> str:
        return f"<Observers of {', '.join(sorted(self.points)) or 'nothing'}>"

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        for observer in self._at[point]:
            observer.at(point, turns)

    def trouble(self, where: str, error: BaseException) -> None:
        for observer in self._all:
            observer.trouble(where, error)
