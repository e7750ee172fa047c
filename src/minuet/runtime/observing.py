"""Several observers as one, that costs nothing at points nobody asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from minuet.errors import NotRepeated
from minuet.ports.observer import Observer, Point, Turn


class Observers:
    """Tells every observer what it asked for. One that raises harms neither the turn nor the others."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)
        self._at = {point: tuple(o for o in observers if point in o.points) for point in Point}
        self.points = frozenset(point for point, wanting in self._at.items() if wanting)

    def __repr__(self) -> str:
        return f"<Observers of {', '.join(sorted(self.points)) or 'nothing'}>"

    def at(self, point: Point, turns: Sequence[Turn]) -> None:
        for observer in self._at[point]:
            try:
                observer.at(point, turns)
            except Exception as error:  # a user's observer may raise anything
                where = f"telling {observer!r} of turns that are {point}"
                self.left(where, error, "It is not told of these again, and the turns go on")

    def left(self, where: str, error: BaseException, then: str) -> None:
        """An error after which nothing is tried again; `then` is what follows, a sentence without its full stop."""
        said = type(error).__qualname__
        with contextlib.suppress(Exception):  # an error that fails to say what it is
            said = f"{said}: {error}".rstrip(": .")
        told = NotRepeated(f"{said}. {then}.")
        told.__cause__ = error
        self.trouble(where, told)

    def trouble(self, where: str, error: BaseException) -> None:
        for observer in self._all:
            with contextlib.suppress(Exception):  # there is nobody left to tell
                observer.trouble(where, error)
