"""How each kind of payload class is written and read: msgspec Structs, dataclasses, attrs classes, pydantic models."""

import dataclasses
import sys
from collections.abc import Callable
from typing import NamedTuple, get_type_hints

import msgspec

from minuet.errors import PayloadRejected

JSONObject = dict[str, object]
"""A JSON object as Python holds it."""


class Codec(NamedTuple):
    """How the instances of one payload class become JSON text and come back, checked.

    `decode` raises PayloadRejected; `schema` gives the class's JSON Schema (2020-12).
    """

    encode: Callable[[object], bytes]
    decode: Callable[[bytes | str], object]
    schema: Callable[[], JSONObject]


def is_payload(cls: type) -> bool:
    """Whether events can be instances of this class."""
    return (
        issubclass(cls, msgspec.Struct)
        or dataclasses.is_dataclass(cls)
        or hasattr(cls, "__attrs_attrs__")
        or is_pydantic(cls)
    )


def field_names(cls: type) -> tuple[str, ...]:
    """The names of the fields, without looking at their types."""
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if is_pydantic(cls):
        return tuple(cls.model_fields)
    return tuple(attribute.name for attribute in cls.__attrs_attrs__)


def field_type(cls: type, name: str) -> object:
    """The type of one field; NameError while its annotation names something not defined yet."""
    return get_type_hints(cls)[name]


def codec_of(cls: type) -> Codec:
    """The codec of a payload class; NameError while an annotation names something not defined yet,
    TypeError for a field that JSON cannot carry."""
    return _pydantic_codec(cls) if is_pydantic(cls) else _msgspec_codec(cls)


def _msgspec_codec(cls: type) -> Codec:
    decode = msgspec.json.Decoder(cls).decode
    msgspec.json.schema(cls)

    def read(data: bytes | str) -> object:
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _rejected(cls, error) from error

    return Codec(msgspec.json.Encoder().encode, read, lambda: msgspec.json.schema(cls))


def _pydantic_codec(cls: type) -> Codec:
    to_json = cls.__pydantic_serializer__.to_json
    validate = cls.__pydantic_validator__.validate_json

    def read(data: bytes | str) -> object:
        try:
            return validate(data)
        except ValueError as error:
            raise _rejected(cls, error) from error

    return Codec(to_json, read, cls.model_json_schema)


def is_pydantic(cls: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


def _rejected(cls: type, error: Exception) -> PayloadRejected:
    return PayloadRejected(f"The data is no {cls.__name__}: {error}.")
