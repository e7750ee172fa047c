"""`Event`: what users' events derive from. An immutable fact, named in the past tense."""

from collections.abc import Callable
from typing import Any, ClassVar, Unpack, dataclass_transform

import msgspec

from minuet.contracts.contract import Contract
from minuet.contracts.terms import Terms
from minuet.contracts.upcasting import Lift
from minuet.errors import DeclarationError, place_of_caller


class EventMeta(msgspec.StructMeta):
    """Makes every subclass of Event a frozen, keyword-only msgspec Struct with a contract of its own."""

    __contract__: Contract

    def __new__(  # noqa: PYI034  # Self is not for metaclasses
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        frozen: bool = True,
        kw_only: bool = True,
        **terms: Unpack[Terms],
    ) -> "EventMeta":
        if not (frozen and kw_only):
            raise DeclarationError(
                f"{name}: events are always frozen and keyword-only; leave frozen= and kw_only= out.", place_of_caller()
            )
        cls = super().__new__(mcls, name, bases, namespace, frozen=True, kw_only=True)
        if any(isinstance(base, EventMeta) for base in bases):  # not for Event itself
            cls.__contract__ = Contract(cls, place_of_caller(), **terms)
        return cls


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, metaclass=EventMeta, frozen=True, kw_only=True):
    """An immutable fact that happened. The fields are its payload, the docstring is its meaning.

    The class statement takes the contract's terms: `version`, `key` (the field that orders and routes), `name`,
    `topic`, `owner`, `guarantee`, `consumers`, `on_dead_letter`, `deprecated`. DeclarationError says what is wrong
    with them.
    """

    __contract__: ClassVar[Contract]

    @classmethod
    def upcaster(cls, from_version: int) -> Callable[[Lift], Lift]:
        """Decorate the pure function that lifts a payload of `from_version`, a dict, to the next version."""
        return cls.__contract__.upcaster(from_version)
