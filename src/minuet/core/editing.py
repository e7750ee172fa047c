"""Editing a dead letter: a merge patch or a new payload, only within the contract, with the difference kept."""

import difflib

import msgspec

from minuet.contracts.contract import Contract
from minuet.contracts.envelope import Envelope, read, split_type, to_structured
from minuet.errors import EditRefused, Rejected
from minuet.ports.store import DeadLetter

JSONObject = dict[str, object]


class Edit(msgspec.Struct, frozen=True):
    """A JSON merge patch of the payload (RFC 7396: null removes a member), or with `whole` the payload itself."""

    payload: JSONObject
    whole: bool = False

    def applied(self, payload: object) -> object:
        """The payload as it is to be."""
        return self.payload if self.whole else merge_patch(payload, self.payload)


def merge_patch(target: object, patch: object) -> object:
    """RFC 7396: members of the patch replace those of the target, null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged: JSONObject = dict(target) if isinstance(target, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    changes: JSONObject = patch  # pyright: ignore[reportUnknownVariableType]
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def edited(letter: DeadLetter, contract: Contract, edit: Edit) -> DeadLetter:
    """The letter with its payload edited: id, envelope and key stay. Raises EditRefused in prose."""
    envelope = _envelope(letter)
    before = _payload(letter, envelope, edit)
    after = edit.applied(before)
    data = msgspec.json.encode(after)
    _, version = split_type(envelope.type)
    try:
        event = contract.read(version, data)
    except Rejected as error:
        raise EditRefused(
            f"Dead letter {letter.id} cannot be edited so: the payload would not satisfy {contract.type} "
            f"({contract.place}). {error}"
        ) from error
    key = contract.key_of(event)
    if key != letter.key:
        raise EditRefused(
            f"Dead letter {letter.id} cannot be edited so: its key {contract.key!r} would change from {letter.key!r} "
            f"to {key!r}, and it would leave the order that it stands in. Emit a new event instead."
        )
    difference = _difference(before, after, envelope.type)
    if not difference:
        raise EditRefused(f"The edit changes nothing in dead letter {letter.id}. Redrive it without.")
    return msgspec.structs.replace(letter, body=_body(letter, envelope, data), difference=difference)


def _envelope(letter: DeadLetter) -> Envelope:
    try:
        return read(letter.headers, letter.body)
    except Rejected as error:
        raise EditRefused(
            f"Dead letter {letter.id} cannot be edited: its bytes are no CloudEvent. {error} Let its producer publish "
            "it anew, and discard this one."
        ) from error


def _payload(letter: DeadLetter, envelope: Envelope, edit: Edit) -> object:
    try:
        return msgspec.json.decode(envelope.data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if edit.whole:
            return None
        raise EditRefused(
            f"Dead letter {letter.id} has data that is not JSON, so no member of it can be changed: {error}. Give a "
            "whole new payload instead."
        ) from error


def _body(letter: DeadLetter, envelope: Envelope, data: bytes) -> bytes | str:
    """The bytes of the letter with this data, in the mode that it came in."""
    structured = _is_structured(letter)
    body = to_structured(msgspec.structs.replace(envelope, data=data)) if structured else data
    return body.decode() if isinstance(letter.body, str) else body


def _is_structured(letter: DeadLetter) -> bool:
    if letter.headers is None:
        return True
    content_type = {name.lower(): value for name, value in letter.headers.items()}.get("content-type", "")
    return content_type.strip().lower().startswith("application/cloudevents")


def _difference(before: object, after: object, type: str) -> str:
    was, now = pretty(before).splitlines(keepends=True), pretty(after).splitlines(keepends=True)
    return "".join(difflib.unified_diff(was, now, f"{type} as it came", f"{type} as redriven"))


def pretty(payload: object) -> str:
    """A JSON value on lines, its members in their order."""
    return msgspec.json.format(msgspec.json.encode(payload), indent=2).decode() + "\n"
