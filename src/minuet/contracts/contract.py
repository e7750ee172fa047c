"""The contract of an event: its class with everything that producers and consumers agree on."""

import re
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from typing import Literal, TypeVar, get_args
from uuid import UUID

import msgspec

from minuet.contracts.attributes import AttributeValue
from minuet.contracts.deprecation import Deprecated
from minuet.contracts.payload import Codec, JSONObject, codec_of, field_names, field_type, is_payload
from minuet.errors import DeclarationError, PayloadRejected, Place, VersionRejected, place_of, place_of_caller

Guarantee = Literal["effectively_once", "at_least_once", "at_most_once"]
"""What a contract asks of every service that reacts to it."""

OnDeadLetter = Literal["continue", "hold"]
"""What later events of the same key do once one of them is a dead letter."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9_]+)*").fullmatch
_VERSIONED = re.compile(r".*\.v[0-9]+").fullmatch
_decode_object = msgspec.json.Decoder(JSONObject).decode
_encode_object = msgspec.json.Encoder().encode

Lift = TypeVar("Lift", bound=Callable[[JSONObject], JSONObject])
Class = TypeVar("Class", bound=type)


class Contract:
    """What an event class promises: name, version, key, owner, meaning, guarantee, consumers, and how it is read.

    `type` is the CloudEvents type ("OrderPlaced.v1"), `topic` the stream that all its versions share. `encode`,
    `decode` and `key_of` are plain functions bound at declaration: an event to its JSON text, JSON text to an event
    (or PayloadRejected), an event to the text of its key (None without a key).
    """

    __slots__ = (
        "_upcasters", "consumers", "decode", "deprecated", "encode", "extensions", "guarantee", "key", "key_of",
        "meaning", "name", "on_dead_letter", "owner", "payload", "place", "topic", "type", "version",
    )  # fmt: skip

    def __init__(
        self,
        payload: type,
        place: Place,
        *,
        version: int = 1,
        key: str | None = None,
        name: str | None = None,
        owner: str | None = None,
        guarantee: Guarantee | None = None,
        consumers: tuple[str, ...] | list[str] = (),
        on_dead_letter: OnDeadLetter = "continue",
        deprecated: Deprecated | None = None,
    ) -> None:
        self.payload = payload
        self.place = place
        self.name = name or payload.__name__
        self.version = version
        self.type = f"{self.name}.v{version}"
        self.topic = self.name
        self.key = key
        self.owner = owner
        self.meaning = (payload.__doc__ or "").strip() if "__doc__" in payload.__dict__ else ""
        self.guarantee = guarantee
        self.consumers = tuple(consumers)
        self.on_dead_letter = on_dead_letter
        self.deprecated = deprecated
        self.extensions: dict[str, AttributeValue] = deprecated.extensions() if deprecated else {}
        self._upcasters: dict[int, Callable[[JSONObject], JSONObject]] = {}
        self.encode: Callable[[object], bytes] = _encode_object
        self.decode: Callable[[bytes | str], object] = self._bind_and_decode
        self.key_of: Callable[[object], str | None] = _key_reader(key, None)
        self._check()
        try:
            self._bind()
        except NameError:
            pass  # an annotation names what is defined further down; bound when first used

    def __repr__(self) -> str:
        return f"<Contract {self.type} at {self.place}>"

    def read(self, version: int, data: bytes | str) -> object:
        """The event from the data of any version: as it is, lifted by upcasters, or tolerantly if it is newer.

        PayloadRejected where the data does not fit; VersionRejected with reason `newer_version` or `no_upcaster`.
        """
        if version == self.version:
            return self.decode(data)
        if version > self.version:
            try:
                return self.decode(data)
            except PayloadRejected as error:
                raise VersionRejected(
                    f"{self.name} arrived in version {version} and is read here as version {self.version}, "
                    f"which it does not fit: {error}",
                    "newer_version",
                ) from error
        return self.decode(_encode_object(self._lifted(version, data)))

    def _lifted(self, version: int, data: bytes | str) -> JSONObject:
        try:
            payload = _decode_object(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise PayloadRejected(f"The data of {self.name} version {version} is no JSON object: {error}.") from error
        for step in range(version, self.version):
            lift = self._upcasters.get(step)
            if lift is None:
                raise VersionRejected(
                    f"{self.name} arrived in version {version}, and {self.type} ({self.place}) has no upcaster from "
                    f"version {step}. Declare one with @{self.payload.__name__}.upcaster({step}).",
                    "no_upcaster",
                )
            payload = self._lift(lift, step, payload)
        return payload

    def _lift(self, lift: Callable[[JSONObject], JSONObject], step: int, payload: JSONObject) -> JSONObject:
        try:
            return lift(payload)
        except Exception as error:
            raise PayloadRejected(
                f"The upcaster of {self.name} from version {step} ({place_of(lift)}) failed: {error!r}."
            ) from error

    def upcaster(self, from_version: int) -> Callable[[Lift], Lift]:
        """Declare the pure function that lifts a payload of `from_version` to the next version; returns it unchanged."""

        def declare(lift: Lift) -> Lift:
            if from_version < 1 or from_version >= self.version:
                raise DeclarationError(
                    f"{self.name} is at version {self.version}, so an upcaster from version {from_version} lifts nothing.",
                    place_of(lift),
                )
            if from_version in self._upcasters:
                raise DeclarationError(
                    f"{self.name} has an upcaster from version {from_version} already, "
                    f"at {place_of(self._upcasters[from_version])}.",
                    place_of(lift),
                )
            self._upcasters[from_version] = lift
            return lift

        return declare

    def json_schema(self) -> JSONObject:
        """The JSON Schema (2020-12) of the payload."""
        return self._codec().schema()

    def _refuse(self, message: str) -> DeclarationError:
        return DeclarationError(f"{self.name}: {message}", self.place)

    def _check(self) -> None:
        if not _NAME(self.name) or _VERSIONED(self.name):
            raise self._refuse("the name must be letters, digits, '_', '.' or '-', and not end in a version like '.v2'.")
        if type(self.version) is not int or self.version < 1:
            raise self._refuse(f"version={self.version!r}, and versions are whole numbers from 1 on.")
        if not is_payload(self.payload):
            raise self._refuse(
                "the class is no msgspec Struct, dataclass, attrs class or pydantic model. "
                "@contract stands above the decorator that makes it one."
            )
        if self.key is not None and self.key not in field_names(self.payload):
            fields = ", ".join(field_names(self.payload)) or "none"
            raise self._refuse(f"key={self.key!r} names no field. Its fields are: {fields}.")
        if self.guarantee is not None and self.guarantee not in get_args(Guarantee):
            raise self._refuse(f"guarantee={self.guarantee!r} is unknown. Choose from {', '.join(get_args(Guarantee))}.")
        if self.on_dead_letter not in get_args(OnDeadLetter):
            raise self._refuse(
                f"on_dead_letter={self.on_dead_letter!r} is unknown. Choose from {', '.join(get_args(OnDeadLetter))}."
            )

    def _codec(self) -> Codec:
        try:
            return codec_of(self.payload)
        except TypeError as error:
            raise self._refuse(f"a field cannot travel as JSON. {error}") from error

    def _bind(self) -> None:
        codec = self._codec()
        if self.key is not None:
            type = field_type(self.payload, self.key)
            if type not in (str, int, UUID) and not (isinstance(type, Enum.__class__) and issubclass(type, Enum)):
                raise self._refuse(f"the key {self.key!r} is {type}. A key is a str, an int, a UUID or an enum, never None.")
            self.key_of = _key_reader(self.key, type)
        self.encode = codec.encode
        self.decode = codec.decode

    def _bind_and_decode(self, data: bytes | str) -> object:
        try:
            self._bind()
        except NameError as error:
            raise self._refuse(f"an annotation cannot be understood: {error}.") from error
        return self.decode(data)


def _key_reader(key: str | None, type: object) -> Callable[[object], str | None]:
    if key is None:
        return lambda event: None
    value_of: Callable[[object], object] = attrgetter(key)
    if type is str:
        return value_of  # type: ignore[return-value]

    def text_of(event: object) -> str:
        value = value_of(event)
        return str(value.value if isinstance(value, Enum) else value)

    return text_of


def contract(
    *,
    version: int = 1,
    key: str | None = None,
    name: str | None = None,
    owner: str | None = None,
    guarantee: Guarantee | None = None,
    consumers: tuple[str, ...] | list[str] = (),
    on_dead_letter: OnDeadLetter = "continue",
    deprecated: Deprecated | None = None,
) -> Callable[[Class], Class]:
    """Make a dataclass, attrs class, pydantic model or msgspec Struct of your own an event, unchanged in type."""
    place = place_of_caller()

    def declare(payload: Class) -> Class:
        declared = Contract(
            payload, place, version=version, key=key, name=name, owner=owner, guarantee=guarantee,
            consumers=consumers, on_dead_letter=on_dead_letter, deprecated=deprecated,
        )  # fmt: skip
        setattr(payload, "__contract__", declared)
        return payload

    return declare


def contract_of(cls: object) -> Contract | None:
    """The contract that a class declares itself, or None; a subclass does not inherit one."""
    declared = cls.__dict__.get("__contract__") if isinstance(cls, type) else None
    return declared if isinstance(declared, Contract) else None
