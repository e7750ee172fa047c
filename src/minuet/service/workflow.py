"""A workflow: a lens on the choreography, never a controller: how an instance starts and how it may end."""

from types import UnionType

from minuet.contracts.contract import Contract
from minuet.contracts.duration import Duration, seconds
from minuet.errors import DeclarationError, Place, place_of_caller
from minuet.service.annotation import alternatives, contract_named, spelled
from minuet.service.declaration import Declared
from minuet.service.service import NAME


class Workflow:
    """How an instance starts, how it may end, and within which time.

    `starts` and `ends` are an event or a union of events, `A | B`: one of `starts` begins an instance, one
    of `ends` finishes it. `within` is how long it may take ("1h", a timedelta, seconds), None for any time.
    Raises DeclarationError.
    """

    __slots__ = ("ends", "name", "place", "starts", "within_seconds")

    name: str
    starts: tuple[Contract, ...]
    ends: tuple[Contract, ...]
    place: Place
    within_seconds: float | None

    def __init__(
        self,
        name: str,
        *,
        starts: type[object] | UnionType,
        ends: type[object] | UnionType,
        within: Duration | None = None,
    ) -> None:
        where = Declared(f"Workflow {name}", place_of_caller())
        if not NAME.fullmatch(name):
            raise Declared(f"Workflow {name!r}", where.place).refuse(
                "cannot have this name. Write lower case letters, digits, `_` and `-`, a letter first, 100 at most."
            )
        self.name = name
        self.place = where.place
        self.starts = events("starts", starts, where)
        self.ends = events("ends", ends, where)
        both = [contract.type for contract in self.starts if contract in self.ends]
        if both:
            raise where.refuse(f"both starts and ends with {' and '.join(both)}. Remove it from one.")
        self.within_seconds = None if within is None else limit(within, where)

    def __repr__(self) -> str:
        starts = " | ".join(contract.type for contract in self.starts)
        ends = " | ".join(contract.type for contract in self.ends)
        limit = "" if self.within_seconds is None else f" within {self.within_seconds:g} s"
        return f"<Workflow {self.name}: {starts} -> {ends}{limit}>"


def limit(within: Duration, where: Declared) -> float:
    """The limit in seconds."""
    try:
        return seconds(within)
    except DeclarationError as error:
        raise where.refuse(f"has within={within!r}. {error}") from None


def events(keyword: str, annotation: object, where: Declared) -> tuple[Contract, ...]:
    """The contracts of an event's class or of a union of them."""
    contracts: list[Contract] = []
    for member in alternatives(annotation):
        contract = contract_named(member)
        if contract is None:
            which = "which" if member is annotation else f"in which {spelled(member)}"
            raise where.refuse(
                f"has {keyword}={spelled(annotation)}, {which} is not an event. Write an event's "
                "class, or several as `A | B`."
            )
        contracts.append(contract)
    return tuple(contracts)
