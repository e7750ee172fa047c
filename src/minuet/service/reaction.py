"""A reaction as a value: everything that its declaration says, read once and never looked up again."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from minuet.contracts.contract import Contract, Guarantee, OnDeadLetter
from minuet.errors import Place
from minuet.policies.retry import Retry


class Shape(Enum):
    """How a return annotation says what may be emitted; the value is how it is written."""

    NOTHING = "None"
    ONE = "A | B"
    MAYBE = "A | None"
    ALL = "tuple[A, B]"
    MANY = "list[A | B]"
    STREAM = "AsyncIterator[A | B]"


@dataclass(frozen=True, repr=False)
class Emission:
    """Every event that a reaction may emit: for ALL one contract a position, else the alternatives."""

    shape: Shape
    contracts: tuple[Contract, ...]

    def __str__(self) -> str:
        types = [contract.type for contract in self.contracts]
        either = " | ".join(types)
        match self.shape:
            case Shape.NOTHING:
                return "None"
            case Shape.ONE:
                return either
            case Shape.MAYBE:
                return f"{either} | None"
            case Shape.ALL:
                return f"tuple[{', '.join(types)}]"
            case Shape.MANY:
                return f"list[{either}]"
            case Shape.STREAM:
                return f"AsyncIterator[{either}]"

    def __repr__(self) -> str:
        return f"<Emission {self}>"


@dataclass(frozen=True)
class Need:
    """A parameter to be injected by type. With `optional` it has a default, and may be left to it."""

    parameter: str
    type: object
    optional: bool = False


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Reaction:
    """One handler of a service for an event. Two reactions are equal only if they are the same one.

    `takes` are the alternatives of the one event parameter `event_parameter`; `needs` are all other
    parameters, in their order. Parameters are passed by name. `guarantee` and `on_dead_letter` are None
    where the reaction leaves them to the contract. `when` is asked with the event and True means react.
    `concurrency` bounds how many run at once outside a transaction.
    """

    service: str
    name: str
    function: Callable[..., object]
    takes: tuple[Contract, ...]
    event_parameter: str
    emits: Emission
    needs: tuple[Need, ...]
    is_async: bool
    retry: Retry
    never: tuple[type[BaseException], ...]
    guarantee: Guarantee | None
    when: Callable[..., bool] | None
    concurrency: int
    on_dead_letter: OnDeadLetter | None
    place: Place
    meaning: str

    @property
    def id(self) -> str:
        """The reaction's name among all services: `payments.charge`."""
        return f"{self.service}.{self.name}"

    def __repr__(self) -> str:
        takes = " | ".join(contract.type for contract in self.takes)
        return f"<Reaction {self.id}({takes}) -> {self.emits} at {self.place}>"
