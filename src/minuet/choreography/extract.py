"""Reads the manifest off the declarations, and refuses what contradicts itself between services."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from minuet.choreography.manifest import (
    ContractEntry,
    DeprecationEntry,
    EmissionShape,
    Manifest,
    ReactionEntry,
    RetryEntry,
    ServiceEntry,
    WorkflowEntry,
)
from minuet.contracts.contract import Contract
from minuet.contracts.deprecation import Deprecated
from minuet.errors import DeclarationError
from minuet.service.annotation import spelled
from minuet.service.reaction import Reaction
from minuet.service.service import Service
from minuet.service.workflow import Workflow


def extract(services: Sequence[Service], workflows: Sequence[Workflow] = ()) -> Manifest:
    """The manifest of these services and lenses.

    Raises DeclarationError where two services or two workflows share a name, where two services own one
    event, or where two classes claim one event type.
    """
    for kind, declared in (("Service", services), ("Workflow", workflows)):
        refuse_shared_names(kind, declared)
    contracts = contracts_of(services, workflows)
    owners = owners_of(services)
    return Manifest(
        services=tuple(service_entry(service) for service in services),
        contracts=tuple(contract_entry(contract, owners.get(contract)) for contract in contracts),
        workflows=tuple(workflow_entry(workflow) for workflow in workflows),
    )


def refuse_shared_names(kind: str, declared: Sequence[Service] | Sequence[Workflow]) -> None:
    """Names are what the stores and the broker remember: each belongs to one."""
    by_name: dict[str, Service | Workflow] = {}
    for one in declared:
        other = by_name.setdefault(one.name, one)
        if other is not one:
            raise DeclarationError(
                f"{kind} {one.name} has the name of the one declared at {other.place}. Rename one of them.",
                one.place,
            )


def contracts_of(services: Sequence[Service], workflows: Sequence[Workflow]) -> tuple[Contract, ...]:
    """Every contract that is owned, taken, emitted, or bounds a workflow; sorted by name and version."""
    by_type: dict[str, Contract] = {}
    for contract in mentioned(services, workflows):
        other = by_type.setdefault(contract.type, contract)
        if other is not contract:
            raise DeclarationError(
                f"Event type {contract.type} is declared twice, here and at {other.place}. On the wire they "
                "could not be told apart: share one class, raise the version, or give one another name=.",
                contract.place,
            )
    return tuple(sorted(by_type.values(), key=lambda contract: (contract.name, contract.version)))


def mentioned(services: Sequence[Service], workflows: Sequence[Workflow]) -> Iterable[Contract]:
    """All contracts as they are met, with repetitions."""
    for service in services:
        yield from service.owns
        for reaction in service.reactions:
            yield from reaction.takes
            yield from reaction.emits.contracts
    for workflow in workflows:
        yield from workflow.starts
        yield from workflow.ends


def owners_of(services: Sequence[Service]) -> dict[Contract, str]:
    """Which service owns which event; an event that two services decide about is refused."""
    owners: dict[Contract, str] = {}
    for service in services:
        for contract in service.owns:
            other = owners.setdefault(contract, service.name)
            if other != service.name:
                raise DeclarationError(
                    f"Service {service.name} owns {contract.type}, and so does service {other}. One service "
                    "decides about an event: remove it from the other's owns=.",
                    service.place,
                )
    return owners


def service_entry(service: Service) -> ServiceEntry:
    """A service with its reactions."""
    return ServiceEntry(
        name=service.name,
        owns=types(service.owns),
        reactions=tuple(reaction_entry(reaction) for reaction in service.reactions),
        place=str(service.place),
    )


def reaction_entry(reaction: Reaction) -> ReactionEntry:
    """A reaction with its policies."""
    return ReactionEntry(
        id=reaction.id,
        service=reaction.service,
        name=reaction.name,
        meaning=reaction.meaning,
        takes=types(reaction.takes),
        shape=cast("EmissionShape", reaction.emits.shape.name.lower()),
        emits=types(reaction.emits.contracts),
        needs=tuple(spelled(need.type) for need in reaction.needs),
        when=None if reaction.when is None else getattr(reaction.when, "__name__", repr(reaction.when)),
        retry=RetryEntry(
            times=reaction.retry.times,
            first_seconds=reaction.retry.first_seconds,
            most_seconds=reaction.retry.most_seconds,
        ),
        never=tuple(spelled(kind) for kind in reaction.never),
        guarantee=reaction.guarantee,
        on_dead_letter=reaction.on_dead_letter,
        concurrency=reaction.concurrency,
        place=str(reaction.place),
    )


def contract_entry(contract: Contract, owning_service: str | None) -> ContractEntry:
    """A contract with its schema."""
    return ContractEntry(
        type=contract.type,
        name=contract.name,
        version=contract.version,
        key=contract.key,
        owner=contract.owner or owning_service,
        meaning=contract.meaning,
        guarantee=contract.guarantee,
        expected_consumers=contract.consumers,
        on_dead_letter=contract.on_dead_letter,
        deprecated=None if contract.deprecated is None else deprecation_entry(contract.deprecated),
        place=str(contract.place),
        schema=contract.json_schema(),
    )


def deprecation_entry(deprecated: Deprecated) -> DeprecationEntry:
    """The end of a contract, its dates as text."""

    def written(moment: str | date | None) -> str | None:
        return moment.isoformat() if isinstance(moment, date) else moment

    return DeprecationEntry(since=written(deprecated.since), sunset=written(deprecated.sunset), use=deprecated.use)


def workflow_entry(workflow: Workflow) -> WorkflowEntry:
    """A lens."""
    return WorkflowEntry(
        name=workflow.name,
        starts=types(workflow.starts),
        ends=types(workflow.ends),
        within_seconds=workflow.within_seconds,
        place=str(workflow.place),
    )


def types(contracts: Iterable[Contract]) -> tuple[str, ...]:
    """The wire types of contracts, in their order."""
    return tuple(contract.type for contract in contracts)
