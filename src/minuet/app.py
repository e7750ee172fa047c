"""The app: the one place where services, broker and store come together."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import msgspec

from minuet.choreography.extract import extract
from minuet.choreography.manifest import Manifest
from minuet.composition import (
    check_needs,
    check_promises,
    check_services,
    groups_of,
    guarantee_of,
    native_types,
    on_dead_letter_of,
    owners_of,
    preparing,
)
from minuet.config import named, open_broker, open_store
from minuet.contracts.duration import Duration, seconds
from minuet.errors import StartupError
from minuet.ports.broker import Broker
from minuet.ports.clock import Chance, Clock, Ids
from minuet.ports.observer import Observer
from minuet.ports.store import Store
from minuet.runtime.emitting import AppEmitter
from minuet.runtime.hearing import Hearing
from minuet.runtime.housekeeping import Housekeeping
from minuet.runtime.making import Lanes
from minuet.runtime.observing import Observers
from minuet.runtime.outlets import JoinedOutlet, OutboxOutlet, Outlet
from minuet.runtime.presence import Presence
from minuet.runtime.reactor import Reactor
from minuet.runtime.relay import Relay
from minuet.runtime.settling import Settling
from minuet.runtime.starting import ObservedStart, Patience, Starting, provision
from minuet.runtime.stopping import Stop
from minuet.runtime.surroundings import Surroundings
from minuet.runtime.system import SystemChance, SystemClock, SystemIds
from minuet.runtime.unawaited import unawaited
from minuet.runtime.worker import Worker
from minuet.runtime.writing import MessageWriter
from minuet.service.provider import Provider
from minuet.service.service import Service
from minuet.service.workflow import Workflow
from minuet.telemetry.logging import LogObserver


class App:
    """Services composed with a broker and a store.

    `services`: The services that live in this app. A process may run some of them.
    `workflows`: Lenses on the choreography: how instances start and end, and within which time.
    `broker`: A URL, or an adapter.
    `store`: A URL, or an adapter. Without one, it is where the broker's URL says; beside an adapter, in memory.
    `observers`: Who is told of each turn. Without any, one that logs retries, dead letters and trouble.
    `provide`: What takes the place of what services provide, by type; for tests and for composition.
    `retention`: How long events stay that every reaction has had, and deliveries that are settled.
    `stop_within`: How long a graceful stop may take.
    `provision`: Whether a broker whose topology is somebody's decision is changed to what the services need. By default
        it is from Python, and by `minuet run` only with `--provision`.
    `wait_seconds`: How long a start waits for servers that do not let it in. By default it fails at once.
    `clock`: Where instants come from. The machine's, unless a test or a simulator says otherwise.
    `ids`: Where ids of events come from that nothing caused.
    `chance`: Where jitter comes from.

    Raises StartupError for services that cannot live together.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        workflows: Sequence[Workflow] = (),
        broker: str | Broker = "memory://",
        store: str | Store | None = None,
        observers: Sequence[Observer] | None = None,
        provide: Mapping[type, object] | None = None,
        retention: Duration = "7d",
        stop_within: Duration = "10s",
        provision: bool | None = None,
        wait_seconds: float = 0.0,
        clock: Clock | None = None,
        ids: Ids | None = None,
        chance: Chance | None = None,
    ) -> None:
        check_services(services, workflows)
        self.services = tuple(services)
        self.workflows = tuple(workflows)
        self.broker = broker
        self.store = store if store is not None else broker if isinstance(broker, str) else "memory://"
        self.observers = tuple(observers) if observers is not None else (LogObserver(),)
        self.provide: Mapping[object, object] = {kind: value for kind, value in (provide or {}).items()}  # noqa: C416  # wider keys
        self.retention_seconds = seconds(retention)
        self.stop_seconds = seconds(stop_within)
        self.provision = provision
        self.wait_seconds = wait_seconds
        self.clock = clock or SystemClock()
        self.ids = ids or SystemIds()
        self.chance = chance or SystemChance()
        self._settling: Settling | None = None
        self._worker: Worker | None = None

    def __repr__(self) -> str:
        names = ", ".join(service.name for service in self.services)
        return f"<App of {names} on {named(self.broker)} and {named(self.store)}>"

    @property
    def manifest(self) -> Manifest:
        """The choreography as data: contracts, services, reactions and workflows."""
        return extract(self.services, self.workflows)

    @property
    def left_behind(self) -> tuple[str, ...]:
        """After a stop: sync reactions, each with its place, that took longer than that and run on in their threads."""
        return self._worker.left_behind if self._worker is not None else ()

    def check(self, services: Collection[str] | None = None) -> None:
        """Raise StartupError if these services must not start on this broker and store. Touches neither."""
        broker, store = self._adapters()
        where = f"{named(self.broker)} and {named(self.store)}"
        chosen = self._chosen(services)
        check_promises(self.services, chosen, broker.capabilities, store.capabilities, where)
        for service in chosen:
            check_needs(service, self.provide, store.capabilities)

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[App]:
        """Services may emit; nothing is consumed. For a web process or a script."""
        self.check(())
        async with self._opened((), None):
            yield self

    @asynccontextmanager
    async def running(
        self, services: Collection[str] | None = None, *, starting: Starting | None = None
    ) -> AsyncGenerator[App]:
        """Services emit and react: all of them, or those named. Leaving stops gracefully.

        `starting` is told of servers that are waited for, and of what is about to be provisioned; without it, the
        observers are told of the former.
        """
        chosen = self._chosen(services)
        self.check(services)
        async with self._opened(chosen, starting):
            yield self

    @contextmanager
    def emitting(self) -> Generator[App]:
        """Services may emit by `emit_sync`, in transactions of their callers. For a program that awaits nothing."""
        services = {service: extract((service,), self.workflows) for service in self.services}
        owners = owners_of(self.services)
        with unawaited(services, *self._adapters(), owners=owners, clock=self.clock, ids=self.ids):
            yield self

    async def settled(self) -> None:
        """Wait, inside `running()`, until nothing is left to do: what has come is handled, or is a dead letter.

        What waits for a retry is left to do, so this may take as long as a retry policy grants; what waits behind a
        dead letter is not. Only services that run here count. Inside `connected()`, it waits for the outbox alone.

        A broker that pushes does not show what it gave to other processes: that is theirs to finish. Raises
        BrokerUnavailable or StoreUnavailable when it cannot look.
        """
        if self._settling is None:
            raise StartupError(
                "Nothing settles in an app that is not open. Await it inside `async with app.running():`."
            )
        await self._settling.wait()

    async def serve(self, services: Collection[str] | None = None, started: Callable[[], None] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then stop gracefully; a second after the limit, end in any case.

        `started` is called once consuming has begun.
        """
        stop = Stop()

        def again(number: int) -> None:
            """It is stopping."""

        with Hearing(stop.ask, again, end_seconds=self.stop_seconds + 1):
            async with stop, self.running(services):
                stop.has_begun()
                if started is not None:
                    started()
                await stop.asked.wait()

    def run(self, services: Collection[str] | None = None) -> None:
        """As `serve`, from a program without an event loop."""
        run_loop(self.serve(services))

    # -- composition

    def _chosen(self, names: Collection[str] | None) -> tuple[Service, ...]:
        if names is None:
            return self.services
        unknown = set(names) - {service.name for service in self.services}
        if unknown:
            known = ", ".join(service.name for service in self.services)
            raise StartupError(f"The app has no service {', '.join(sorted(unknown))}. It has {known}.")
        return tuple(service for service in self.services if service.name in names)

    def _adapters(self) -> tuple[Broker, Store]:
        return (
            open_broker(self.broker) if isinstance(self.broker, str) else self.broker,
            open_store(self.store) if isinstance(self.store, str) else self.store,
        )

    @asynccontextmanager
    async def _opened(self, consuming: Sequence[Service], starting: Starting | None) -> AsyncGenerator[None]:
        """The one composition: in the order in which things depend on each other, and closed in the opposite one."""
        broker, store = self._adapters()
        joined = broker.joined(store)
        observers = Observers(self.observers)
        starting = starting or ObservedStart(observers)
        patience = Patience(self.wait_seconds, self.chance, starting)
        async with AsyncExitStack() as stack:
            await patience.until(store.open)
            stack.push_async_callback(store.close)
            await patience.until(broker.open)
            stack.push_async_callback(broker.close)
            relay: Relay | None = None
            outlet: Outlet
            if joined is not None:
                outlet = JoinedOutlet(joined)
            else:
                relay = Relay(store, broker, self.chance, observers)
                outlet = OutboxOutlet(self.clock, relay)
            writers = {
                s.name: MessageWriter(s.name, broker.capabilities, joined=joined is not None) for s in self.services
            }
            await self._prepare(consuming, store, broker, starting)
            surroundings = Surroundings(store, outlet, self.clock, self.chance, observers)
            lanes = Lanes(broker, joined, surroundings)
            for service in consuming:
                reactors = await self._reactors(service, store, writers[service.name], stack)
                lanes.add(reactors, groups_of([service], broker.capabilities))
            housekeeping = Housekeeping(store, broker, self.clock, observers, self.retention_seconds)
            worker = Worker(lanes.built, lanes.feeds, relay, housekeeping, self.stop_seconds)
            stack.callback(store.listen(worker.wake))
            emitter = AppEmitter(store, outlet, writers, owners_of(self.services), self.clock, self.ids)
            for service in self.services:
                service.bind(emitter)
                stack.callback(service.unbind)
            groups = {group.name for group in groups_of(consuming, broker.capabilities)}
            self._settling = Settling(lanes.built, groups, store, broker)
            stack.callback(setattr, self, "_settling", None)
            presence = Presence(surroundings, lanes.built)
            stack.push_async_callback(presence.end)
            await presence.begin()
            self._worker = worker
            worker.start()
            stack.push_async_callback(worker.stop)
            yield

    async def _prepare(self, consuming: Sequence[Service], store: Store, broker: Broker, starting: Starting) -> None:
        """What must be there before anything is consumed: groups, the services' own tables, their manifests."""
        groups = groups_of(consuming, broker.capabilities)
        if groups:
            allowed = self.provision is not False
            await provision(broker, groups, named(self.broker), starting, allowed=allowed)
        for service in consuming:
            if service.setups:
                async with store.transaction() as unit:
                    await unit.one_at_a_time()  # or several that start at once would make the same tables
                    for setup in service.setups:
                        with preparing("Setup", service, setup.function, setup.place):
                            await setup.function(unit.transaction)
        kept = await store.manifests()
        for service in self.services:
            # Whoever emits first leaves word of who will react; whoever reacts knows better.
            if service in consuming or service.name not in kept:
                own = extract((service,), self.workflows)
                await store.keep_manifest(service.name, msgspec.json.encode(own).decode())

    async def _reactors(
        self, service: Service, store: Store, writer: MessageWriter, stack: AsyncExitStack
    ) -> list[Reactor]:
        """The reactions of one service, made ready to run with what is provided; `stack` closes both."""
        values: dict[object, object] = dict(self.provide)
        for provider in service.providers:
            if provider.type not in values:
                with preparing("Provider", service, provider.function, provider.place):
                    values[provider.type] = await _provide(provider, stack)
        native = native_types(service.reactions, store.capabilities)
        reactors = [
            Reactor(
                reaction,
                provided={need.parameter: values[need.type] for need in reaction.needs if need.type in values},
                native=native,
                guarantee=guarantee_of(reaction),
                on_dead_letter=on_dead_letter_of(reaction),
                writer=writer,
            )
            for reaction in service.reactions
        ]
        for reactor in reactors:
            stack.callback(reactor.close)
        return reactors


async def _provide(provider: Provider, stack: AsyncExitStack) -> object:
    """Call a provider; what a generator says after its `yield` is done when the app stops."""
    made = provider.function()
    if inspect.isasyncgen(made):
        stack.push_async_callback(made.aclose)
        stack.push_async_callback(anext, made, None)
        return await anext(made)
    if inspect.isgenerator(made):
        stack.callback(made.close)
        stack.callback(next, made, None)
        return next(made)
    return await made if inspect.isawaitable(made) else made


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a program's main coroutine, on uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
