"""Payload classes, one adapter each: msgspec Structs, dataclasses and attrs classes, pydantic models.

Pydantic is never imported unless a class is its.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, TypeGuard, get_type_hints

import msgspec

from minuet.errors import PayloadRejected

PayloadClass = type[Any]
"""The class of an event's payload."""

JSONObject = dict[str, object]
"""A JSON object, decoded."""


class Codec(NamedTuple):
    """How the events of one payload class become JSON text and come back.

    `decode` validates, and raises PayloadRejected. `schema` gives the JSON Schema (2020-12).
    """

    encode: Callable[[object], bytes]
    decode: Callable[[bytes | str], object]
    schema: Callable[[], JSONObject]


def is_payload(cls: PayloadClass) -> bool:
    """Whether events may be instances of this class, and each a JSON object."""
    if issubclass(cls, msgspec.Struct):
        return not cls.__struct_config__.array_like
    return dataclasses.is_dataclass(cls) or _is_attrs(cls) or is_pydantic(cls)


def field_names(cls: PayloadClass) -> tuple[str, ...]:
    """The names of a payload class's fields; their types are not looked at."""
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if _is_attrs(cls):
        return tuple(attribute.name for attribute in cls.__attrs_attrs__)
    return tuple(cls.model_fields) if is_pydantic(cls) else ()


def field_type(cls: PayloadClass, name: str) -> object:
    """The type of one field, without Annotated; NameError if an annotation names what is not defined yet."""
    return get_type_hints(cls)[name]


def codec_of(cls: PayloadClass) -> Codec:
    """The codec of a payload class.

    NameError if an annotation names what is not defined yet, TypeError if JSON cannot carry a field.
    """
    return _pydantic_codec(cls) if is_pydantic(cls) else _msgspec_codec(cls)


def _msgspec_codec(cls: PayloadClass) -> Codec:
    msgspec.json.schema(cls)  # raises for what the decoder would only notice in the first event
    decode: Callable[[bytes | str], object] = msgspec.json.Decoder(cls).decode

    def read(data: bytes | str) -> object:
        try:
            return decode(data)
        except Exception as error:  # a __post_init__ may raise anything, and the data is at fault
            raise _rejected(cls, error) from error

    return Codec(msgspec.json.Encoder().encode, read, lambda: msgspec.json.schema(cls))


class _Pydantic(Protocol):
    """What a pydantic model has."""

    model_fields: ClassVar[dict[str, object]]
    __pydantic_serializer__: ClassVar["_Serializer"]
    __pydantic_validator__: ClassVar["_Validator"]

    @classmethod
    def model_json_schema(cls) -> JSONObject: ...


class _Serializer(Protocol):
    def to_json(self, value: object, *, by_alias: bool) -> bytes: ...


class _Validator(Protocol):
    def validate_json(self, data: bytes | str) -> object: ...


def _pydantic_codec(cls: type[_Pydantic]) -> Codec:
    # Both are looked up each time: pydantic replaces them once forward references can be resolved.
    def write(event: object) -> bytes:
        return cls.__pydantic_serializer__.to_json(event, by_alias=True)

    def read(data: bytes | str) -> object:
        try:
            return cls.__pydantic_validator__.validate_json(data)
        except Exception as error:  # a validator may raise anything, and the data is at fault
            raise _rejected(cls, error) from error

    return Codec(write, read, cls.model_json_schema)


def is_pydantic(cls: PayloadClass) -> TypeGuard[type[_Pydantic]]:
    """Whether the class is a pydantic model."""
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields")


class _Attrs(Protocol):
    """What an attrs class has."""

    __attrs_attrs__: ClassVar[tuple["_Attribute", ...]]


class _Attribute(Protocol):
    name: str


def _is_attrs(cls: PayloadClass) -> TypeGuard[type[_Attrs]]:
    return hasattr(cls, "__attrs_attrs__")


def _rejected(cls: PayloadClass, error: Exception) -> PayloadRejected:
    return PayloadRejected(f"The data is no {cls.__name__}: {error}.")
