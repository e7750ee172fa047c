"""`Event`: the class that users' events derive from. An immutable fact, named in the past tense."""

from collections.abc import Callable
from typing import Any, ClassVar, dataclass_transform

import msgspec

from minuet.contracts.contract import Contract, Guarantee, Lift, OnDeadLetter
from minuet.contracts.deprecation import Deprecated
from minuet.errors import place_of_caller


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class EventMeta(msgspec.StructMeta):
    """Makes every subclass of Event a frozen, keyword-only msgspec Struct with a contract of its own."""

    __contract__: Contract

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        version: int = 1,
        key: str | None = None,
        name: str | None = None,
        owner: str | None = None,
        guarantee: Guarantee | None = None,
        consumers: tuple[str, ...] | list[str] = (),
        on_dead_letter: OnDeadLetter = "continue",
        deprecated: Deprecated | None = None,
    ) -> "EventMeta":
        cls = super().__new__(mcls, class_name, bases, namespace, frozen=True, kw_only=True)
        if any(isinstance(base, EventMeta) for base in bases):
            cls.__contract__ = Contract(
                cls, place_of_caller(), version=version, key=key, name=name, owner=owner,
                guarantee=guarantee, consumers=consumers, on_dead_letter=on_dead_letter, deprecated=deprecated,
            )  # fmt: skip
        return cls


class Event(msgspec.Struct, metaclass=EventMeta):
    """An immutable fact that happened, and its contract.

    Keywords of the class statement: `version`, `key` (the field that orders and routes), `name`, `owner`,
    `guarantee`, `consumers`, `on_dead_letter`, `deprecated`. The docstring is the meaning.
    """

    __contract__: ClassVar[Contract]

    @classmethod
    def upcaster(cls, from_version: int) -> Callable[[Lift], Lift]:
        """Decorate the pure function that lifts a payload of `from_version` to the next version."""
        return cls.__contract__.upcaster(from_version)
