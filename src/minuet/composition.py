"""What an app is made of, checked before anything starts: every refusal names the two places that disagree."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from minuet.contracts.contract import Contract, Guarantee, OnDeadLetter
from minuet.errors import Place, PreparationFailed, StartupError
from minuet.ports.broker import Capabilities, Group
from minuet.ports.store import StoreCapabilities
from minuet.service.context import Context, Transaction, Writes
from minuet.service.reaction import Need, Reaction
from minuet.service.service import Service
from minuet.service.workflow import Workflow

STRICTEST: tuple[Guarantee, ...] = ("effectively_once", "at_least_once", "at_most_once")
BUILT_IN: tuple[object, ...] = (Transaction, Context, Writes)


def check_services(services: Sequence[Service], workflows: Sequence[Workflow]) -> None:
    """Refuse services that cannot live in one choreography, and workflows that cannot be told apart."""
    names: dict[str, Service] = {}
    try:
        iter(services)
    except TypeError:
        raise StartupError(f"An App takes a list of services, and was given {services!r}. Write App([...]).") from None
    for service in services:
        there = names.setdefault(service.name, service)
        if there is not service:
            raise StartupError(
                f"Two services are called {service.name!r}: {there.place} and {service.place}. They would share a "
                "consumer group and take each other's events. Rename one."
            )
    lenses: dict[str, Workflow] = {}
    for workflow in workflows:
        other = lenses.setdefault(workflow.name, workflow)
        if other is not workflow:
            raise StartupError(
                f"Two workflows are called {workflow.name!r}: {other.place} and {workflow.place}. Nobody could say "
                "which one an instance is of. Rename one."
            )
    known: dict[str, Contract] = {}
    for contract in contracts_of(services):
        there_contract = known.setdefault(contract.type, contract)
        if there_contract is not contract:
            raise StartupError(
                f"Two classes are the contract {contract.type}: {there_contract.place} and {contract.place}. "
                "Import one of them in both places, or give one another name= or version=."
            )
    check_topics(list(known.values()))
    check_owners(services)


def check_topics(contracts: Sequence[Contract]) -> None:
    """Refuse a topic that one event has to itself and another names."""
    alone = {contract.topic: contract for contract in contracts if not contract.shares_topic}
    for contract in contracts:
        other = alone.get(contract.topic)
        if other is not None and other is not contract and contract.name != other.name:
            raise StartupError(
                f"{contract.type} ({contract.place}) names the topic {contract.topic!r}, which {other.type} "
                f"({other.place}) has to itself. Write topic={contract.topic!r} there too, or choose another name."
            )


def contracts_of(services: Sequence[Service]) -> list[Contract]:
    """Every contract that these services own, take or emit, each once."""
    found: dict[int, Contract] = {}
    for service in services:
        for contract in service.owns:
            found[id(contract)] = contract
        for reaction in service.reactions:
            for contract in (*reaction.takes, *reaction.emits.contracts):
                found[id(contract)] = contract
    return list(found.values())


def owners_of(services: Sequence[Service]) -> dict[str, str]:
    """Which service decides about each contract, by the contract's name. A contract's `owner=` names people."""
    owners: dict[str, str] = {}
    for service in services:
        for contract in service.owns:
            owner = owners.setdefault(contract.name, service.name)
            if owner != service.name:
                raise StartupError(
                    f"{contract.name} ({contract.place}) is owned by {owner}, and {service!r} ({service.place}) says "
                    "that it owns it too. Only one service decides about an event: remove it from one of them."
                )
    return owners


def check_owners(services: Sequence[Service]) -> None:
    """Only an event's owner emits it."""
    owners = owners_of(services)
    for service in services:
        for reaction in service.reactions:
            for contract in reaction.emits.contracts:
                owner = owners.get(contract.name, service.name)
                if owner != service.name:
                    raise StartupError(
                        f"Reaction {reaction.id} ({reaction.place}) emits {contract.type} ({contract.place}), which "
                        f"{owner} owns. Only its owner says that it happened: let {owner} react and emit it, or emit "
                        f"an event of {service.name}'s own."
                    )


def guarantee_of(reaction: Reaction) -> Guarantee:
    """What the reaction keeps: its own word, else the strictest of its contracts', else effectively once."""
    if reaction.guarantee is not None:
        return reaction.guarantee
    asked = {contract.guarantee for contract in reaction.takes}
    for guarantee in STRICTEST:
        if guarantee in asked:
            return guarantee
    return STRICTEST[0]


def on_dead_letter_of(reaction: Reaction) -> OnDeadLetter:
    """What later events of a key do once one is dead: the reaction's own word, else hold if a contract says so."""
    if reaction.on_dead_letter is not None:
        return reaction.on_dead_letter
    return "hold" if any(contract.on_dead_letter == "hold" for contract in reaction.takes) else "continue"


def check_promises(
    services: Sequence[Service],
    consuming: Sequence[Service],
    broker: Capabilities,
    store: StoreCapabilities,
    where: str,
) -> None:
    """Refuse what broker and store, which `where` names, cannot keep: of what `services` emit, and of what those that
    are `consuming` take.
    """
    for service in consuming:
        for reaction in service.reactions:
            for contract in reaction.takes:
                _check_promise(reaction, contract, broker, store, where)
    if broker.persistent and not store.persistent:
        _check_forgetful(services, consuming, where)


def _check_promise(
    reaction: Reaction, contract: Contract, broker: Capabilities, store: StoreCapabilities, where: str
) -> None:
    asked = reaction.guarantee or contract.guarantee
    if asked in ("effectively_once", "at_least_once") and broker.persistent != store.persistent:
        loses = "broker" if store.persistent else "store"
        raise StartupError(
            f"{contract.type} ({contract.place}) asks for {asked} where {reaction.id} ({reaction.place}) takes it, and "
            f"the {loses} of {where} forgets everything when its process ends. Use a persistent {loses}, or ask for "
            "at_most_once."
        )
    if contract.key is not None and broker.order != "key":
        raise StartupError(
            f"{contract.type} ({contract.place}) is ordered by {contract.key!r}, and the broker of {where} keeps no "
            f"order, so {reaction.id} ({reaction.place}) could take its events in any. Use a broker that orders by "
            "key, or drop key=."
        )


def _check_forgetful(services: Sequence[Service], consuming: Sequence[Service], where: str) -> None:
    """Beside a broker that forgets nothing, what is emitted is owed to it in a store that does, and what was taken is
    remembered there.
    """
    says = (
        f"the store of {where} forgets everything when its process ends. Give App(store=...) a persistent one: without "
        "store= it is where a broker's URL says, and beside an adapter in memory. Or ask for at_most_once."
    )
    for service in services:
        emitted = (contract for reaction in service.reactions for contract in reaction.emits.contracts)
        for contract in (*service.owns, *emitted):
            if contract.guarantee != "at_most_once":
                raise StartupError(
                    f"{contract.type} ({contract.place}) waits in the store of {service.name} ({service.place}) until "
                    f"the broker has it, and {says}"
                )
    for reaction in (reaction for service in consuming for reaction in service.reactions):
        if guarantee_of(reaction) != "at_most_once":
            raise StartupError(f"{reaction.id} ({reaction.place}) remembers in its store what it has had, and {says}")


def native_types(reactions: Sequence[Reaction], store: StoreCapabilities) -> frozenset[object]:
    """The types among the reactions' needs that are the store's own connections."""
    return frozenset(
        need.type for reaction in reactions for need in reaction.needs if qualified(need.type) in store.native
    )


def qualified(kind: object) -> str:
    """A type's module and name."""
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"


def missing_needs(
    service: Service, replaced: Mapping[object, object], store: StoreCapabilities
) -> list[tuple[Reaction, Need]]:
    """What the service's reactions need and nobody provides."""
    provided = {provider.type for provider in service.providers} | set(replaced)
    return [
        (reaction, need)
        for reaction in service.reactions
        for need in reaction.needs
        if need.type not in BUILT_IN
        and qualified(need.type) not in store.native
        and need.type not in provided
        and not need.optional
    ]


def check_needs(service: Service, replaced: Mapping[object, object], store: StoreCapabilities) -> None:
    """Refuse a parameter that nobody can provide."""
    for reaction, need in missing_needs(service, replaced, store):
        name = getattr(need.type, "__name__", str(need.type))
        raise StartupError(
            f"Reaction {reaction.id} ({reaction.place}) has the parameter {need.parameter!r} of type {name}, and "
            f"nobody provides one. Write @{service.name}.provides on a function that returns {name}, or give it as "
            f"App(provide={{{name}: ...}}). Given without asking: Transaction, Context, Writes"
            + (f" and {', '.join(store.native)}." if store.native else ".")
        )


@contextmanager
def preparing(kind: str, service: Service, function: object, place: Place) -> Generator[None]:
    """Say of an error in this block which setup or provider it is of."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__qualname__}: {error}".rstrip(": .")
        name = f"{service.name}.{getattr(function, '__name__', function)}"
        raise PreparationFailed(f"{kind} {name} ({place}) failed: {said}. The app did not start.") from error


def groups_of(services: Sequence[Service], capabilities: Capabilities) -> list[Group]:
    """The consumer groups: one a reaction where the broker can, else one a service."""
    if capabilities.groups == "reaction":
        return [
            Group(reaction.id, service.name, tuple({contract.topic: None for contract in reaction.takes}))
            for service in services
            for reaction in service.reactions
        ]
    return [
        Group(service.name, service.name, topics)
        for service in services
        if (topics := tuple({c.topic: None for r in service.reactions for c in r.takes}))
    ]
