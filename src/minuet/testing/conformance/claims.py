"""Which clause a test is about, what it requires of an adapter, and what an adapter claims.

A test's name begins with its clause: `test_b02_...` is about B02 of `minuet.ports.broker`. A test that makes sense
only for adapters with a capability says so with `requires`; one without it holds for every adapter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

F = TypeVar("F", bound=Callable[..., object])
Value = bool | int | str | tuple[str, ...]

_LISTED = re.compile(r"^- (?P<id>[A-Z]\d\d) (?P<sentence>.+(?:\n  .+)*)", re.MULTILINE)
_NAMED = re.compile(r"^test_(?P<id>[a-z]\d\d)_")
_ATTRIBUTE = "__minuet_requires__"


class Requirement(msgspec.Struct, frozen=True, order=True):
    """A capability, and the value of it that a test is about; without one, any value that claims something."""

    capability: str
    value: str | None = None

    def __str__(self) -> str:
        return self.capability if self.value is None else f"{self.capability}={self.value}"

    def met_by(self, claims: frozenset[Requirement]) -> bool:
        """Whether an adapter with these claims has it."""
        return any(claim.capability == self.capability and self.value in (None, claim.value) for claim in claims)


def requires(capability: str, value: str | None = None) -> Callable[[F], F]:
    """The test is about a capability: it runs for adapters that claim it, and is the proof of their claim."""

    def marked(function: F) -> F:
        setattr(function, _ATTRIBUTE, (*requirements_of(function), Requirement(capability, value)))
        return function

    return marked


def requirements_of(function: object) -> tuple[Requirement, ...]:
    """What a test requires of an adapter; nothing for most."""
    found: tuple[Requirement, ...] = getattr(function, _ATTRIBUTE, ())
    return found


def claims_of(capabilities: object) -> frozenset[Requirement]:
    """What a declaration claims: every capability but those that say no, none or nothing."""
    declared: dict[str, Value] = msgspec.structs.asdict(capabilities)  # type: ignore[arg-type]
    return frozenset(_claims(declared))


def _claims(declared: dict[str, Value]) -> Iterator[Requirement]:
    for name, value in declared.items():
        match value:
            case False | "none" | () | 0:
                pass
            case str():
                yield Requirement(name, value)
            case _:
                yield Requirement(name)


def clauses_in(docstring: str | None) -> dict[str, str]:
    """The clauses that a port's docstring lists, each id with its sentence on one line."""
    return {clause["id"]: " ".join(clause["sentence"].split()) for clause in _LISTED.finditer(docstring or "")}


def clause_of(test: str) -> str | None:
    """The id of the clause that a test is about, `B02` for `test_b02_...`; None if its name begins with none."""
    named = _NAMED.match(test)
    return named["id"].upper() if named else None


def names_of_tests(suite: type) -> list[str]:
    """The names of a suite's tests, in the order of their clauses."""
    return sorted(name for name in dir(suite) if name.startswith("test_"))
