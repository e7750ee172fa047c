"""What a contract is declared with: the keywords of an event class, and which values they take."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypedDict, get_args

from minuet.contracts.deprecation import Deprecated
from minuet.contracts.payload import PayloadClass, field_names, is_payload
from minuet.errors import DeclarationError

Guarantee = Literal["effectively_once", "at_least_once", "at_most_once"]
"""What a contract asks of every service that reacts to its events."""

OnDeadLetter = Literal["continue", "hold"]
"""What later events of a key do once one of them is a dead letter."""


class Terms(TypedDict, total=False):
    """The keywords of `class X(Event, ...)` and of `@contract(...)`."""

    version: int
    """Counts from 1; a change that old readers cannot read makes a new one."""
    key: str | None
    """The payload field that orders events and routes them to partitions; None for no order."""
    name: str | None
    """Instead of the class's name."""
    topic: str | None
    """The topic that it shares with every event that names the same; else it has one of its name to itself. Order by
    key holds within a topic."""
    owner: str | None
    """Who answers for the contract: a team, a person."""
    guarantee: Guarantee | None
    """What every reacting service must keep; None leaves it to the service."""
    consumers: Sequence[str]
    """The services that are expected to react."""
    on_dead_letter: OnDeadLetter
    """What later events of the same key do once one is dead; they continue unless told to hold."""
    deprecated: Deprecated | None
    """Since when the contract is on its way out."""


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9_]+)*").fullmatch
_ENDS_IN_VERSION = re.compile(r".*\.v[0-9]+").fullmatch


_LONGEST_NAME = 200
"""How many characters a topic may have: in Kafka 249 with what stands before it, in an index of PostgreSQL more."""


def check_terms(name: str, terms: Terms, payload: PayloadClass, refuse: Callable[[str], DeclarationError]) -> None:
    """Raise what `refuse` makes of the first mistake. Users' code need not be type-checked, so types count too."""
    if unknown := sorted(terms.keys() - Terms.__annotations__.keys()):
        raise refuse(f"the keyword {unknown[0]!r} is unknown. There are {_listed(Terms.__annotations__)}.")
    if not _NAME(name) or _ENDS_IN_VERSION(name):
        raise refuse(
            f"{name!r} cannot be a contract's name. A name is made of letters, digits, '_', '.' and '-', "
            "and leaves its version to version=."
        )
    if len(name) > _LONGEST_NAME:
        raise refuse(f"its name has {len(name)} characters, and a contract's name has {_LONGEST_NAME} at most.")
    topic = terms.get("topic")
    if topic is not None and not (_is_name(topic) and _NAME(topic)):
        raise refuse(f"topic={topic!r} cannot be a topic's name: it is made of letters, digits, '_', '.' and '-'.")
    if topic is not None and len(topic) > _LONGEST_NAME:
        raise refuse(f"topic= has {len(topic)} characters, and a topic's name has {_LONGEST_NAME} at most.")
    version = terms.get("version", 1)
    if type(version) is not int or version < 1:
        raise refuse(f"version={version!r}, but versions are whole numbers from 1 on.")
    if not is_payload(payload):
        raise refuse(
            "the class is no msgspec Struct, dataclass, attrs class or pydantic model that makes a JSON object. "
            "@contract stands above the decorator that makes it one."
        )
    fields, key = field_names(payload), terms.get("key")
    if key is not None and key not in fields:
        raise refuse(f"key={key!r} names no field. The fields are {_listed(fields) or 'none'}.")
    for keyword, words in (("guarantee", get_args(Guarantee)), ("on_dead_letter", get_args(OnDeadLetter))):
        word = terms.get(keyword)
        if keyword in terms and word not in words and not (word is None and keyword == "guarantee"):
            raise refuse(f"{keyword}={word!r} is unknown. Choose one of {_listed(words)}.")
    _check_people(terms, refuse)


def _check_people(terms: Terms, refuse: Callable[[str], DeclarationError]) -> None:
    owner = terms.get("owner")
    if owner is not None and not _is_name(owner):
        raise refuse(f"owner={owner!r}, but an owner is a name.")
    consumers = terms.get("consumers", ())
    if isinstance(consumers, str) or not all(_is_name(name) for name in consumers):
        raise refuse(f"consumers={consumers!r}, but consumers are a list of services' names.")
    deprecated = terms.get("deprecated")
    if deprecated is not None and type(deprecated) is not Deprecated:
        raise refuse(f'deprecated={deprecated!r}. Write deprecated=Deprecated(since="2027-01-31", use=...).')


def _is_name(given: object) -> bool:
    return isinstance(given, str) and given != ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
