"""What minuet's own tables keep as JSON text, written and read alike whichever database they lie in."""

from __future__ import annotations

import msgspec

from minuet.ports.broker import Attributes, Headers

_headers = msgspec.json.Decoder(dict[str, str])
_text = msgspec.json.Encoder()


def text_of(value: object) -> str:
    """A value as JSON text."""
    return _text.encode(value).decode()


def headers_text(headers: Headers) -> str | None:
    """Headers as they are written; attributes are not among them, whoever has some keeps them elsewhere."""
    assert not isinstance(headers, Attributes)
    return None if headers is None else text_of(dict(headers))


def headers_of(text: str | None) -> dict[str, str] | None:
    """Headers as they were written."""
    return None if text is None else _headers.decode(text)
