"""Reading what was written under an earlier version: a chain of pure functions, each lifting by one version."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from minuet.contracts.payload import JSONObject
from minuet.errors import DeclarationError, PayloadRejected, VersionRejected, place_of

Upcaster = Callable[[JSONObject], JSONObject]
"""Lifts the payload of one version, as decoded JSON, to the next version."""

Lift = TypeVar("Lift", bound=Upcaster)

_decode = msgspec.json.Decoder(JSONObject).decode
_encode = msgspec.json.Encoder().encode


class Upcasters:
    """The upcasters of one contract, by the version that each lifts from."""

    __slots__ = ("_by_version", "_name", "_version")

    def __init__(self, name: str, version: int) -> None:
        self._name = name
        self._version = version
        self._by_version: dict[int, Upcaster] = {}

    def declare(self, from_version: int, lift: Lift) -> Lift:
        """Add one; DeclarationError if it lifts from no earlier version, or from one that has its upcaster."""
        if not 1 <= from_version < self._version:
            raise DeclarationError(
                f"{self._name} is at version {self._version}, so nothing is lifted from version {from_version}. "
                f"Upcasters lift from 1 to {self._version - 1}; raise version= first."
                if self._version > 1
                else f"{self._name} is at version 1, and no version is earlier. Raise version= first.",
                place_of(lift),
            )
        if earlier := self._by_version.get(from_version):
            raise DeclarationError(
                f"{self._name} has an upcaster from version {from_version} already, at {place_of(earlier)}.",
                place_of(lift),
            )
        self._by_version[from_version] = lift
        return lift

    def lift(self, data: bytes | str, version: int) -> bytes:
        """The JSON text of an earlier version's payload as that of the present version.

        VersionRejected with reason `no_upcaster` where the chain has a gap; PayloadRejected where the data is no
        JSON object or an upcaster cannot cope with it.
        """
        try:
            payload = _decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise PayloadRejected(f"The data of {self._name} is no JSON object: {error}.") from error
        for step in range(version, self._version):
            upcaster = self._by_version.get(step)
            if upcaster is None:
                raise VersionRejected(
                    f"{self._name} arrived in version {version} and is read as version {self._version}, but nothing "
                    f"lifts it from version {step}. Declare an upcaster({step}) for it.",
                    "no_upcaster",
                )
            payload = self._step(upcaster, step, payload)
        try:
            return _encode(payload)
        except Exception as error:  # whatever an upcaster put in, JSON cannot carry it
            raise PayloadRejected(
                f"The upcasters of {self._name} made of version {version} what JSON cannot carry: {error}."
            ) from error

    def _step(self, upcaster: Upcaster, step: int, payload: JSONObject) -> JSONObject:
        try:
            lifted = upcaster(payload)
        except Exception as error:  # whatever a user's function raises, this payload cannot be read
            raise PayloadRejected(
                f"The upcaster of {self._name} from version {step} ({place_of(upcaster)}) failed: {error!r}."
            ) from error
        if type(lifted) is not dict:
            raise PayloadRejected(
                f"The upcaster of {self._name} from version {step} ({place_of(upcaster)}) returned "
                f"{type(lifted).__name__} where a dict belongs."
            )
        return lifted
