"""The manifest: services, contracts, reactions and workflows as plain data, for every tool but the runtime.

It holds nothing but text, numbers and lists, goes through JSON unchanged, and can be read by a program that
has none of the services' code.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from minuet.contracts.contract import Guarantee, OnDeadLetter
from minuet.contracts.envelope import split_type
from minuet.errors import DeclarationError

FORMAT = 1

EmissionShape: TypeAlias = Literal["nothing", "one", "maybe", "all", "many", "stream"]


class DeprecationEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a contract: `since` and `sunset` in ISO 8601, `use` names what to use instead."""

    since: str | None = None
    sunset: str | None = None
    use: str | None = None


class ContractEntry(Struct, frozen=True, kw_only=True):
    """One version of an event. `owner` is who the contract names, else the service that owns it, else None.

    `expected_consumers` is what the contract promises; who in fact reacts, see `Manifest.takers`. `schema` is
    the JSON Schema (2020-12) of the payload.
    """

    type: str
    name: str
    version: int
    key: str | None
    owner: str | None
    meaning: str
    guarantee: Guarantee | None
    expected_consumers: tuple[str, ...]
    on_dead_letter: OnDeadLetter
    deprecated: DeprecationEntry | None
    place: str
    schema: dict[str, object]


class RetryEntry(Struct, frozen=True, kw_only=True):
    """A retry policy: how many retries, and the first and the longest wait between delayed ones."""

    times: int
    first_seconds: float
    most_seconds: float


class ReactionEntry(Struct, frozen=True, kw_only=True):
    """One reaction. `takes` and `emits` are event types ("OrderPlaced.v1"), `needs` and `never` are classes.

    For the shape `all`, `emits` has one type a position; otherwise they are alternatives. `when` names its
    predicate; `guarantee` and `on_dead_letter` are None where the contract decides.
    """

    id: str
    service: str
    name: str
    meaning: str
    takes: tuple[str, ...]
    shape: EmissionShape
    emits: tuple[str, ...]
    needs: tuple[str, ...]
    when: str | None
    retry: RetryEntry
    never: tuple[str, ...]
    guarantee: Guarantee | None
    on_dead_letter: OnDeadLetter | None
    concurrency: int
    place: str


class ServiceEntry(Struct, frozen=True, kw_only=True):
    """One service with its reactions, in the order of their declaration."""

    name: str
    owns: tuple[str, ...]
    reactions: tuple[ReactionEntry, ...]
    place: str


class WorkflowEntry(Struct, frozen=True, kw_only=True):
    """One lens: the types that start an instance, those that end it, and how long it may take."""

    name: str
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    within_seconds: float | None
    place: str


class Manifest(Struct, frozen=True, kw_only=True):
    """The whole graph. `minuet` is the version of this format; contracts are sorted by name and version."""

    minuet: int = FORMAT
    services: tuple[ServiceEntry, ...]
    contracts: tuple[ContractEntry, ...]
    workflows: tuple[WorkflowEntry, ...] = ()

    @property
    def reactions(self) -> tuple[ReactionEntry, ...]:
        """All reactions of all services."""
        return tuple(reaction for service in self.services for reaction in service.reactions)

    def takers(self, name: str) -> tuple[ReactionEntry, ...]:
        """The reactions to an event by its name, whichever version they read."""
        return tuple(reaction for reaction in self.reactions if name in names(reaction.takes))

    def emitters(self, name: str) -> tuple[ReactionEntry, ...]:
        """The reactions that may emit an event by its name, in any version."""
        return tuple(reaction for reaction in self.reactions if name in names(reaction.emits))

    def to_json(self) -> bytes:
        """The manifest as indented JSON, the same bytes for the same choreography."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def from_json(text: bytes | str) -> Manifest:
    """A manifest from its JSON; unknown members are ignored. Raises DeclarationError."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise DeclarationError(f"This is not a manifest as `minuet graph --json` writes it: {error}.") from None
    if manifest.minuet != FORMAT:
        raise DeclarationError(
            f"This manifest has format {manifest.minuet} and this minuet reads format {FORMAT}. "
            "Write it anew with the minuet that you read it with."
        )
    return manifest


def names(types: Iterable[str]) -> frozenset[str]:
    """The events' names without their versions."""
    return frozenset(split_type(type)[0] for type in types)
