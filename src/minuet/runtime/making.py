"""The lanes of a process, made for its reactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from minuet.ports.broker import Broker, Group, JoinedBroker
from minuet.runtime.concurrent import ConcurrentLane
from minuet.runtime.feed import Feed
from minuet.runtime.inlets import InboxInlet, Inlet, JoinedInlet
from minuet.runtime.lanes import Lane
from minuet.runtime.once import AtMostOnceLane
from minuet.runtime.reactor import Reactor
from minuet.runtime.surroundings import Surroundings
from minuet.runtime.transactional import TransactionalLane


class Lanes:
    """Joined with the store's database, or fed from a broker elsewhere."""

    def __init__(self, broker: Broker, joined: JoinedBroker | None, surroundings: Surroundings) -> None:
        self._broker = broker
        self._joined = joined
        self._surroundings = surroundings
        self.built: list[Lane] = []
        """Every lane, in the order of its service and reaction."""
        self.feeds: list[Feed] = []
        """What fills the lanes from a broker elsewhere; none where broker and store are joined."""

    def add(self, reactors: Sequence[Reactor], groups: Sequence[Group]) -> None:
        """Make the lanes of one service, whose groups these are: one for each reaction, or one for all."""
        if self._joined is not None:
            self._add_joined(self._joined, reactors, groups)
            return
        for group in groups:
            self._add_fed([reactor for reactor in reactors if group.name in (reactor.service, reactor.id)], group)

    def _add_joined(self, joined: JoinedBroker, reactors: Sequence[Reactor], groups: Sequence[Group]) -> None:
        """A lane takes from the log itself: one group a reaction."""
        around = self._surroundings
        for reactor, group in zip(reactors, groups, strict=True):
            changed = asyncio.Event()
            subscription = joined.subscribe(group, changed.set)
            self._add(reactor, JoinedInlet(subscription, reactor, around.clock, around.observers), changed)

    def _add_fed(self, reactors: Sequence[Reactor], group: Group) -> None:
        """One subscription feeds the lanes of all reactions of its group."""
        around, inlets = self._surroundings, list[InboxInlet]()
        for reactor in reactors:
            changed = asyncio.Event()
            inlet = InboxInlet(reactor, around.clock, around.observers, changed.set)
            inlets.append(inlet)
            self._add(reactor, inlet, changed)
        subscribe = partial(self._broker.subscribe, group)
        self.feeds.append(Feed(group.name, subscribe, inlets, around.chance, around.observers))

    def _add(self, reactor: Reactor, inlet: Inlet, changed: asyncio.Event) -> None:
        self.built.append(_kind(reactor)(reactor, inlet, self._surroundings, changed))


def _kind(reactor: Reactor) -> type[Lane]:
    if not reactor.transactional:
        return ConcurrentLane
    return AtMostOnceLane if reactor.guarantee == "at_most_once" else TransactionalLane
