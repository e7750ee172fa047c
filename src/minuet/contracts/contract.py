"""The contract of an event: its class, with everything that its producers and consumers agree on."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from operator import attrgetter
from typing import TypeVar, Unpack
from uuid import UUID

import msgspec

from minuet.contracts.attributes import AttributeValue
from minuet.contracts.deprecation import Deprecated
from minuet.contracts.payload import Codec, JSONObject, PayloadClass, codec_of, field_type
from minuet.contracts.terms import Guarantee, OnDeadLetter, Terms, check_terms
from minuet.contracts.upcasting import Lift, Upcasters
from minuet.errors import DeclarationError, PayloadRejected, Place, VersionRejected, place_of_caller

__all__ = ["Contract", "Deprecated", "Guarantee", "OnDeadLetter", "contract", "contract_of"]

Class = TypeVar("Class", bound=PayloadClass)


class Contract:
    """What an event's class promises, and how its events are written and read.

    `type` is the type on the wire ("OrderPlaced.v1"), `topic` the stream that all versions share, and other contracts
    if it `shares_topic`, `meaning` the class's docstring, `extensions` the attributes that every event carries because
    of the contract.

    `encode` makes an event its JSON text. `decode` makes JSON text an event, or raises PayloadRejected. `key_of`
    gives the text of an event's key, None if the contract has no key. All three are bound at declaration, or, if
    an annotation names what is defined further down, when `decode` or `key_of` is first called.
    """

    __slots__ = (
        "_upcasters",
        "consumers",
        "decode",
        "deprecated",
        "encode",
        "extensions",
        "guarantee",
        "key",
        "key_of",
        "meaning",
        "name",
        "on_dead_letter",
        "owner",
        "payload",
        "place",
        "shares_topic",
        "topic",
        "type",
        "version",
    )

    def __init__(self, payload: PayloadClass, place: Place, **terms: Unpack[Terms]) -> None:
        self.payload = payload
        self.place = place
        self.name = terms.get("name") or payload.__name__
        check_terms(self.name, terms, payload, self._refusal)
        self.topic = terms.get("topic") or self.name
        self.shares_topic = terms.get("topic") is not None
        self.version = terms.get("version", 1)
        self.type = f"{self.name}.v{self.version}"
        self.key = terms.get("key")
        self.owner = terms.get("owner")
        self.meaning = _meaning(payload)
        self.guarantee: Guarantee | None = terms.get("guarantee")
        self.consumers = tuple(terms.get("consumers", ()))
        self.on_dead_letter: OnDeadLetter = terms.get("on_dead_letter", "continue")
        self.deprecated = terms.get("deprecated")
        self.extensions: dict[str, AttributeValue] = {} if self.deprecated is None else self.deprecated.extensions()
        self._upcasters = Upcasters(self.name, self.version)
        self.encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
        self.decode: Callable[[bytes | str], object] = self._bind_and_decode
        self.key_of: Callable[[object], str | None] = self._bind_and_read_key
        with suppress(NameError):  # bound at first use instead
            self._bind()

    def __repr__(self) -> str:
        return f"<Contract {self.type} at {self.place}>"

    def read(self, version: int, data: bytes | str) -> object:
        """The event in data of any version: lifted by upcasters if it is older, tolerantly if it is newer.

        PayloadRejected if the data does not satisfy the contract. VersionRejected with reason `no_upcaster` if
        nothing lifts an older version, with reason `newer_version` if a newer one does not fit.
        """
        if version == self.version:
            return self.decode(data)
        if version < self.version:
            return self.decode(self._upcasters.lift(data, version))
        try:
            return self.decode(data)
        except PayloadRejected as error:
            raise VersionRejected(
                f"{self.name} arrived in version {version}, newer than the version {self.version} that is read here, "
                f"and does not fit it. {error}",
                "newer_version",
            ) from error

    def upcaster(self, from_version: int) -> Callable[[Lift], Lift]:
        """Decorate the pure function that lifts a payload of `from_version` to the next version."""
        return lambda lift: self._upcasters.declare(from_version, lift)

    def json_schema(self) -> JSONObject:
        """The payload's JSON Schema (2020-12)."""
        return self._codec().schema()

    def _refusal(self, message: str) -> DeclarationError:
        return DeclarationError(f"{self.payload.__name__}: {message}", self.place)

    def _codec(self) -> Codec:
        try:
            return codec_of(self.payload)
        except TypeError as error:
            said = str(error).splitlines()[-1]  # msgspec puts advice on its own hooks above
            raise self._refusal(f"a field is of a type that JSON cannot carry: {said}.") from error

    def _bind(self) -> None:
        codec = self._codec()
        self.key_of = _no_key if self.key is None else self._key_reader(self.key)
        self.encode, self.decode = codec.encode, codec.decode

    def _bind_late(self) -> None:
        try:
            self._bind()
        except NameError as error:
            raise self._refusal(
                f"an annotation names {error.name!r}, which is defined nowhere in the class's module."
            ) from error

    def _bind_and_decode(self, data: bytes | str) -> object:
        self._bind_late()
        return self.decode(data)

    def _bind_and_read_key(self, event: object) -> str | None:
        self._bind_late()
        return self.key_of(event)

    def _key_reader(self, key: str) -> Callable[[object], str | None]:
        kind = field_type(self.payload, key)
        if kind is str:
            return attrgetter(key)
        if kind is int or kind is UUID:
            value_of = attrgetter(key)
            return lambda event: str(value_of(event))
        if isinstance(kind, type) and issubclass(kind, Enum):
            value_of = attrgetter(f"{key}.value")
            return lambda event: str(value_of(event))
        raise self._refusal(
            f"the key {key!r} is {_spelled(field_type(self.payload, key))}. A key is a str, an int, a UUID or an enum."
        )


def _no_key(event: object) -> None:  # noqa: ARG001  # one of two readers
    return None


def _spelled(annotation: object) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _meaning(payload: PayloadClass) -> str:
    """The docstring of the class itself, and not the signature that a dataclass gets in its place."""
    written = vars(payload).get("__doc__") or ""
    return "" if written.startswith(f"{payload.__name__}(") else inspect.cleandoc(written)


def contract(**terms: Unpack[Terms]) -> Callable[[Class], Class]:
    """Make a dataclass, attrs class, pydantic model or msgspec Struct of your own an event; returns it unchanged."""
    place = place_of_caller()

    def declare(payload: Class) -> Class:
        setattr(payload, "__contract__", Contract(payload, place, **terms))  # noqa: B010  # the class is anybody's
        return payload

    return declare


def contract_of(cls: object) -> Contract | None:
    """The contract that a class itself declares, None for anything else; a subclass inherits none."""
    declared = vars(cls).get("__contract__") if isinstance(cls, type) else None
    return declared if isinstance(declared, Contract) else None
