"""A contract on its way out: since when, until when, and what to use instead."""

from datetime import UTC, date, datetime

import msgspec

from minuet.contracts.attributes import AttributeValue, is_uri
from minuet.errors import DeclarationError, place_of_caller


class Deprecated(msgspec.Struct, frozen=True, kw_only=True):
    """The deprecation of a contract, stamped on each of its events.

    `since` and `sunset` are dates ("2027-01-31" is its midnight in UTC) or timestamps; `use` is the contract to use
    instead, or a URI that explains the change. Source: the CloudEvents extension "Deprecation".
    """

    since: str | date | None = None
    sunset: str | date | None = None
    use: str | None = None

    def __post_init__(self) -> None:
        since, sunset = _moment(self.since), _moment(self.sunset)
        if since is not None and sunset is not None and sunset < since:
            raise DeclarationError(
                f"Deprecated: the sunset {self.sunset} comes before {self.since}, since when it is deprecated.",
                place_of_caller(),
            )

    def extensions(self) -> dict[str, AttributeValue]:
        """The CloudEvents attributes that say all this."""
        stamped: dict[str, AttributeValue] = {"deprecated": True}
        for name, moment in (("deprecationfrom", self.since), ("deprecationsunset", self.sunset)):
            time = _moment(moment)
            if time is not None:
                stamped[name] = time.isoformat().replace("+00:00", "Z")
        if self.use is not None and is_uri(self.use):
            stamped["deprecationmigration"] = self.use
        return stamped


def _moment(written: str | date | None) -> datetime | None:
    if written is None:
        return None
    try:
        time = datetime.fromisoformat(str(written))
    except ValueError:
        raise DeclarationError(
            f"Deprecated: {written!r} is neither a date like 2027-01-31 nor a timestamp.", place_of_caller(2)
        ) from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
