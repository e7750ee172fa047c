"""Messages as nobody should send them, made from a seed: valid ones, valid ones gone wrong, and noise.

Each comes with what is certain about it: it must be `HANDLED`, it must be `DEAD`, it is a `DUPLICATE` of an earlier
one, or `ANY` of these may become of it.
"""

import json
import random
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

from minuet.ports.broker import Message


class Fate(Enum):
    HANDLED = auto()
    DEAD = auto()
    DUPLICATE = auto()
    ANY = auto()


class Fuzzed(NamedTuple):
    """A message and what is certain to become of it."""

    message: Message
    fate: Fate


TOPIC = "Weighed"
SOURCES = ("/scales", "https://weights.example/7", "urn:scale:eight")
ODD_TEXT = ("", " ", "\x00", "a\x00b", "é", "￿", "\U0001f4a1", "'; DROP TABLE weighings; --", "%", "x" * 5000)
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 1.5, 2**63, 2**64, 10**40, 1e308, -0.0, "", "5", "x" * 3000, [], {}, [[]], {"a": {"b": [1]}},
)  # fmt: skip
ODD_BODIES = (
    b"", b" ", b"null", b"0", b'""', b"[]", b"{}", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00" * 64, b"[" * 50_000,
    b'{"a":' * 20_000, b'{"specversion":"1.0"}', b'{"specversion":"1.0","specversion":"1.0"}', b"1e999999", b"-",
    b"tru", b'"\\ud800"', "é".encode("utf-16"), b'{"data":' + b"9" * 5_000 + b"}",
)  # fmt: skip


class Fuzzer:
    """Makes the same messages for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._number = 0
        self._valid: list[Message] = []
        self._kinds: list[tuple[int, Callable[[], Fuzzed]]] = [
            (30, self.valid), (10, self.valid_in_headers), (6, self.duplicate), (4, self.same_id_elsewhere),
            (20, self.mutated), (8, self.noise), (4, self.odd_body), (8, self.odd_payload), (6, self.odd_attribute),
            (4, self.odd_headers),
        ]  # fmt: skip

    def make(self, count: int) -> Iterator[Fuzzed]:
        """So many messages."""
        weights, kinds = zip(*self._kinds, strict=True)
        for kind in self.chance.choices(kinds, weights, k=count):
            yield kind()

    def valid(self) -> Fuzzed:
        """Structured, as minuet writes it."""
        return Fuzzed(self._keep(self._structured(self._attributes())), Fate.HANDLED)

    def valid_in_headers(self) -> Fuzzed:
        """Binary, as other clients write it: their own headers beside, names in any case."""
        attributes = self._attributes()
        data = json.dumps(attributes.pop("data")).encode()
        headers = {f"CE-{name.title()}": str(value) for name, value in attributes.items()}
        headers |= {"content-type": "application/json", "X-Amzn-Trace-Id": "é\x00", "ce_id": "of another binding"}
        return Fuzzed(self._keep(self._message(attributes, headers, data)), Fate.HANDLED)

    def duplicate(self) -> Fuzzed:
        """Something that came before, byte for byte."""
        if not self._valid:
            return self.valid()
        return Fuzzed(self.chance.choice(self._valid), Fate.DUPLICATE)

    def same_id_elsewhere(self) -> Fuzzed:
        """A known id from a source of its own: another event."""
        if not self._valid:
            return self.valid()
        self._number += 1
        attributes = self._attributes() | {"id": self.chance.choice(self._valid).id, "source": f"/other/{self._number}"}
        return Fuzzed(self._structured(attributes), Fate.HANDLED)

    def mutated(self) -> Fuzzed:
        """A valid one with some bytes changed, removed, doubled or cut off; what the broker knows of it stays."""
        message = self._structured(self._attributes())
        body = bytearray(message.body)
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(body) + 1)
            match self.chance.randrange(5):
                case 0:
                    body[at : at + 1] = bytes([self.chance.randrange(256)])
                case 1:
                    del body[at : at + self.chance.randint(1, 9)]
                case 2:
                    body[at:at] = body[at : at + 20]
                case 3:
                    body[at:at] = self.chance.choice((b"\\u0000", b'"', b"}", b"\xc3", b"1e999", b",", b"\\ud83d"))
                case _:
                    del body[at:]
        return Fuzzed(self._message({}, None, bytes(body)), Fate.ANY)

    def noise(self) -> Fuzzed:
        """Bytes without any meaning, or text without any."""
        body = self.chance.randbytes(self.chance.randint(1, 400))
        if self.chance.random() < 0.2:
            return Fuzzed(self._message({}, None, "#" + body.decode("latin-1")), Fate.DEAD)
        return Fuzzed(self._message({}, None, b"#" + body), Fate.DEAD)

    def odd_body(self) -> Fuzzed:
        """What trips parsers: nothing, almost nothing, nesting, other encodings."""
        return Fuzzed(self._message({}, None, self.chance.choice(ODD_BODIES)), Fate.DEAD)

    def odd_payload(self) -> Fuzzed:
        """A valid envelope round data that is not what the contract says: a required field missing or of no type."""
        attributes = self._attributes()
        field = self.chance.choice(("scale", "grams", "parts"))
        if self.chance.random() < 0.3:
            del attributes["data"][field]
        else:
            attributes["data"][field] = self.chance.choice([v for v in ODD_VALUES if not _fits(field, v)])
        return Fuzzed(self._structured(attributes), Fate.DEAD)

    def odd_attribute(self) -> Fuzzed:
        """An envelope with an attribute missing, of a wrong type or of a wrong form."""
        attributes = self._attributes()
        name, value = self.chance.choice(
            (
                ("id", None), ("id", ""), ("id", 7), ("id", "a\x00b"), ("source", None), ("source", "no uri"),
                ("source", ["/a"]), ("type", None), ("type", ""), ("type", "Paid.v1"), ("type", {"a": 1}),
                ("specversion", "0.3"), ("specversion", None), ("specversion", 1.0), ("time", "yesterday"),
                ("time", 1700000000), ("time", "2011-13-45T99:99:99Z"), ("Upper", "x"), ("with-dash", "x"),
                ("fraction", 1.5), ("large", 2**31), ("subject", ""), ("partitionkey", "\x7f"), ("data_base64", "eA=="),
            )
        )  # fmt: skip
        attributes[name] = value
        if value is None:
            del attributes[name]
        return Fuzzed(self._structured(attributes), Fate.DEAD)

    def odd_headers(self) -> Fuzzed:
        """Binary mode with headers that are missing, odd, of another binding, or percent-encoded into nonsense."""
        attributes = self._attributes()
        data = json.dumps(attributes.pop("data")).encode()
        headers = {f"ce-{name}": str(value) for name, value in attributes.items()}
        match self.chance.randrange(6):
            case 0:
                del headers[f"ce-{self.chance.choice(('id', 'source', 'type', 'specversion'))}"]
            case 1:
                headers = {name.replace("ce-", "ce_"): value for name, value in headers.items()}
            case 2:
                headers[f"ce-{self.chance.choice(('id', 'source', 'type'))}"] = self.chance.choice(
                    ("", "%", "%ff", "\x01")
                )
            case 3:
                headers["ce-data"] = self.chance.choice(ODD_TEXT)
            case 4:
                headers = {self.chance.choice(ODD_TEXT): self.chance.choice(ODD_TEXT)}
            case _:
                headers["ce-time"] = self.chance.choice(("", "noon", "2011-12-09"))
        return Fuzzed(self._message({}, headers, data), Fate.DEAD)

    def _attributes(self) -> dict[str, Any]:
        self._number += 1
        return {
            "specversion": "1.0", "id": f"{self._number:x}-{self.chance.randrange(10**6)}",
            "source": self.chance.choice(SOURCES), "type": "Weighed.v1", "time": "2011-12-09T12:50:00Z",
            "data": {
                "scale": f"scale {self.chance.randrange(50)}", "grams": self.chance.randrange(10**6),
                "parts": [{"name": "é", "share": self.chance.random()}],
            },
        }  # fmt: skip

    def _structured(self, attributes: dict[str, Any]) -> Message:
        return self._message(attributes, None, json.dumps(attributes).encode())

    def _message(self, attributes: dict[str, Any], headers: dict[str, str] | None, body: bytes | str) -> Message:
        """With what a broker may know beside: nothing, or the event's own identity, or an odd key."""
        key = self.chance.choice((None, f"key {self.chance.randrange(1000)}", self.chance.choice(ODD_TEXT)))
        event_id, source = attributes.get("id"), attributes.get("source")
        known = isinstance(event_id, str) and isinstance(source, str) and self.chance.random() < 0.7
        return Message(TOPIC, key, event_id if known else None, source if known else None, headers, body)

    def _keep(self, message: Message) -> Message:
        if message.id is not None and len(self._valid) < 5000:
            self._valid.append(message)
        return message


def _fits(field: str, value: object) -> bool:
    """Whether a field of this type takes the value."""
    match field:
        case "scale":
            return isinstance(value, str)
        case "grams":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64
        case _:
            return value == []
