"""A service: the owner of state and of reactions. A value, not a base class, composed by an App."""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Never, Protocol, TypeAlias, TypeVar, overload

from minuet.contracts.contract import Contract, Guarantee, OnDeadLetter, contract_of
from minuet.errors import Place, StartupError, place_of, place_of_caller
from minuet.policies.retry import Retry
from minuet.service.annotation import resolved, spelled
from minuet.service.context import Transaction
from minuet.service.declaration import Declared
from minuet.service.options import CONCURRENCY, Options
from minuet.service.provider import Provider, read_provider
from minuet.service.reaction import Reaction
from minuet.service.signature import read_reaction

NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")

Predicate: TypeAlias = Callable[[Never], bool]
"""A function of one event. With `Never` any event's will do; decoration compares it with what is taken."""

R = TypeVar("R", bound=Callable[..., object])
P = TypeVar("P", bound=Callable[[], object])
S = TypeVar("S", bound=Callable[[Transaction], Awaitable[None]])


class Emitter(Protocol):
    """What an App lends to its services, so that they may emit outside a reaction."""

    async def emit(
        self,
        service: str,
        event: object,
        *,
        tx: object | None,
        id: str | None,
        correlation_id: str | None,
        traceparent: str | None,
    ) -> str:
        """Owe the event to the broker, in `tx` if given; the event's id."""
        ...

    def emit_sync(
        self,
        service: str,
        event: object,
        *,
        tx: object,
        id: str | None,
        correlation_id: str | None,
        traceparent: str | None,
    ) -> str:
        """Owe the event to the broker in `tx`, from any thread; the event's id."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Setup:
    """A function that prepares the service's tables, in a transaction, each time the service starts."""

    function: Callable[[Transaction], Awaitable[None]]
    place: Place

    def __repr__(self) -> str:
        return f"<Setup {self.function.__name__} at {self.place}>"


class Service:
    """A bounded context: it owns events and state, reacts to events, and nobody calls it.

    `name` is its consumer group, its tables' prefix and, as `/name`, the source of what it emits: lower case
    letters, digits, `_` and `-`, a letter first, 100 at most. `owns` are the events that it alone decides about. Raises
    DeclarationError here and in its decorators, all of which return the function as it was.
    """

    __slots__ = ("_emitter", "_providers", "_reactions", "_setups", "name", "owns", "place")

    name: str
    owns: tuple[Contract, ...]
    place: Place

    def __init__(self, name: str, owns: Sequence[type[object]] = ()) -> None:
        where = Declared(f"Service {name}", place_of_caller())
        if not NAME.fullmatch(name):
            raise Declared(f"Service {name!r}", where.place).refuse(
                "cannot have this name, which names a consumer group and tables too. Write lower case "
                "letters, digits, `_` and `-`, a letter first, 100 at most, such as `payments`."
            )
        self.name = name
        self.place = where.place
        self.owns = owned(owns, where)
        self._reactions: dict[str, Reaction] = {}
        self._providers: list[Provider] = []
        self._setups: list[Setup] = []
        self._emitter: Emitter | None = None

    @property
    def reactions(self) -> tuple[Reaction, ...]:
        """The reactions in the order of their declaration."""
        return tuple(self._reactions.values())

    @property
    def providers(self) -> tuple[Provider, ...]:
        """What the service provides to its reactions."""
        return tuple(self._providers)

    @property
    def setups(self) -> tuple[Setup, ...]:
        """What prepares its tables, in the order of declaration."""
        return tuple(self._setups)

    @overload
    def reaction(self, function: R, /) -> R: ...

    @overload
    def reaction(
        self,
        /,
        *,
        retry: Retry | None = None,
        never: type[Exception] | tuple[type[Exception], ...] = (),
        guarantee: Guarantee | None = None,
        when: Predicate | None = None,
        concurrency: int = CONCURRENCY,
        on_dead_letter: OnDeadLetter | None = None,
    ) -> Callable[[R], R]: ...

    def reaction(
        self,
        function: R | None = None,
        /,
        *,
        retry: Retry | None = None,
        never: type[Exception] | tuple[type[Exception], ...] = (),
        guarantee: Guarantee | None = None,
        when: Predicate | None = None,
        concurrency: int = CONCURRENCY,
        on_dead_letter: OnDeadLetter | None = None,
    ) -> R | Callable[[R], R]:
        """Declare that this service reacts to the event in the function's parameters.

        `retry`: How often and how late a failing attempt is repeated; by default `retry()`.
        `never`: Errors that no retry can heal; they go straight to the dead letters.
        `guarantee`: Of delivery; by default the contract's, else `effectively_once`.
        `when`: A pure predicate of the event; events for which it is false are not reacted to.
        `concurrency`: How many may run at once in a process, outside a transaction.
        `on_dead_letter`: What later events of the key do once one is dead; by default the contract's.
        """
        asked = Options(
            retry=retry,
            never=never,
            guarantee=guarantee,
            when=when,
            concurrency=concurrency,
            on_dead_letter=on_dead_letter,
        )

        def declare(declared: R) -> R:
            self._add(read_reaction(self.name, declared, asked))
            return declared

        return declare if function is None else declare(function)

    def _add(self, reaction: Reaction) -> None:
        there = self._reactions.get(reaction.name)
        if there is not None:
            raise Declared(f"Reaction {reaction.id}", reaction.place).refuse(
                f"has the name of the one declared at {there.place}. What it handled is remembered "
                "under that name: rename one of them."
            )
        self._reactions[reaction.name] = reaction

    def provides(self, function: P) -> P:
        """Declare what parameters of the function's return type are filled with in this service's reactions.

        A sync or async function, or a generator of either kind, which yields once and is closed at stop.
        """
        provider = read_provider(self.name, function)
        for there in self._providers:
            if there.type == provider.type:
                raise Declared(f"Provider {self.name}.{function.__name__}", provider.place).refuse(
                    f"provides {spelled(provider.type)}, as the one declared at {there.place} does."
                )
        self._providers.append(provider)
        return function

    def setup(self, function: S) -> S:
        """Declare an `async` function of a Transaction that prepares the service's tables at each start; of processes
        that start at once, one does so at a time.
        """
        where = Declared(f"Setup {self.name}.{function.__name__}", place_of(function))
        takes = [annotation for name, annotation in resolved(function, where).items() if name != "return"]
        is_async = inspect.iscoroutinefunction(function)
        if not is_async or takes != [Transaction]:
            raise where.refuse(f"is not `async def {function.__name__}(tx: Transaction) -> None`. Write it so.")
        self._setups.append(Setup(function, where.place))
        return function

    def bind(self, emitter: Emitter) -> None:
        """Lend the service an App's emitter until `unbind`. Raises StartupError if another lent one."""
        if self._emitter is not None and self._emitter is not emitter:
            raise StartupError(
                f"Service {self.name} is connected by another App already. A process connects a service "
                "once: leave the other App's `connected()` or `running()` first."
            )
        self._emitter = emitter

    def unbind(self) -> None:
        """Take the emitter back; `emit` is refused from here on."""
        self._emitter = None

    async def emit(
        self,
        event: object,
        *,
        tx: object | None = None,
        id: str | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Emit an event from outside a reaction (a web request, a script); the event's id.

        With `tx`, a connection or session of the service's store, it becomes part of the caller's transaction
        and is published once that commits. An `id` of the caller's own makes a repeated call harmless.
        Without `correlation_id` the event begins a workflow instance of its own. `traceparent` is W3C's.
        Raises StartupError outside `app.connected()` and `app.running()`, EnvelopeRejected for an id, a key or a
        correlation id that is empty or has more than 1,024 bytes.
        """
        if self._emitter is None:
            raise StartupError(
                f"Service {self.name} is not connected, so {type(event).__name__} cannot be emitted. "
                "Do it inside `async with app.connected():` or `async with app.running():`."
            )
        return await self._emitter.emit(
            self.name, event, tx=tx, id=id, correlation_id=correlation_id, traceparent=traceparent
        )

    def emit_sync(
        self,
        event: object,
        *,
        tx: object,
        id: str | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Emit an event in the caller's own transaction where nothing is awaited, from any thread; the event's id.

        `tx` is a connection or session that is not awaited; the rest is as for `emit`. Raises StartupError outside
        `app.emitting()`, `app.connected()` and `app.running()`.
        """
        if self._emitter is None:
            raise StartupError(
                f"Service {self.name} is not connected, so {type(event).__name__} cannot be emitted. "
                "Do it inside `with app.emitting():`."
            )
        return self._emitter.emit_sync(
            self.name, event, tx=tx, id=id, correlation_id=correlation_id, traceparent=traceparent
        )

    def __repr__(self) -> str:
        owns = ", ".join(contract.type for contract in self.owns)
        return f"<Service {self.name} owns [{owns}] reacts in [{', '.join(self._reactions)}]>"


def owned(payloads: Sequence[type[object]], where: Declared) -> tuple[Contract, ...]:
    """The contracts of the classes that a service owns, each named once."""
    contracts: list[Contract] = []
    try:
        listed = tuple(payloads)
    except TypeError:
        raise where.refuse(
            f"has owns={spelled(payloads)}, and owns is a list of events. Write owns=[{spelled(payloads)}]."
        ) from None
    for payload in listed:
        contract = contract_of(payload)
        if contract is None:
            raise where.refuse(
                f"owns {spelled(payload)}, which is not an event. Derive it from minuet.Event or "
                "decorate it with @contract."
            )
        if contract in contracts:
            raise where.refuse(f"owns {contract.type} twice. Name it once.")
        contracts.append(contract)
    return tuple(contracts)
