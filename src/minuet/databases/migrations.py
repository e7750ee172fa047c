"""A schema is the sum of its migrations: which are due, and which schemas minuet refuses. See decision 18."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minuet.databases.statements import split
from minuet.errors import StoreUnavailable

Step = list[str]
"""The statements that bring a part of the schema from one version to the next."""


def steps_of(sql: Mapping[str, str]) -> list[Step]:
    """The migrations of a .sql file, in order: `schema` is the first, `schema_2` and so on follow."""
    names = ["schema"]
    while (following := f"schema_{len(names) + 1}") in sql:
        names.append(following)
    return [split(sql[name]) for name in names]


def due(part: str, shown: str, found: int, steps: Sequence[Step], *, create: bool) -> Sequence[tuple[int, Step]]:
    """The migrations that are missing where version `found` (0: none) is, each with the version it leads to.

    One version newer than ours is a schema that still serves us. Raises StoreUnavailable for what is newer yet, and
    without `create` for what is older, which whoever only looks must not change.
    """
    known = len(steps)
    if found > known + 1:
        raise StoreUnavailable(
            f"The {part}'s tables in {shown} are of version {found}, and this minuet knows version {known} and can "
            f"work with {known + 1}. Install the minuet that the other processes run, or a newer one."
        )
    if found < known and not create:
        raise StoreUnavailable(
            f"The {part}'s tables in {shown} are of version {found}, and this minuet reads version {known}. Start a "
            "service with this minuet once, which brings them up to date, or look with the minuet that wrote them."
        )
    return list(enumerate(steps, 1))[found:]
