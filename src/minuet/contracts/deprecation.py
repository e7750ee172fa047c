"""The end of a contract: since when it is deprecated, when it stops, and what to use instead."""

from datetime import date, datetime, timezone

import msgspec

from minuet.contracts.attributes import AttributeValue
from minuet.errors import DeclarationError


class Deprecated(msgspec.Struct, frozen=True, kw_only=True):
    """A contract on its way out. `since` and `sunset` are dates ("2027-01-31", midnight UTC) or timestamps with an
    offset; `use` is the contract to use instead, or a URI that explains the migration."""

    since: str | date | None = None
    sunset: str | date | None = None
    use: str | None = None

    def extensions(self) -> dict[str, AttributeValue]:
        """The attributes of the CloudEvents deprecation extension."""
        stamped: dict[str, AttributeValue] = {"deprecated": True}
        if self.since is not None:
            stamped["deprecationfrom"] = _stamp(self.since)
        if self.sunset is not None:
            stamped["deprecationsunset"] = _stamp(self.sunset)
        if self.use is not None and ":" in self.use:
            stamped["deprecationmigration"] = self.use
        return stamped


def instant(moment: str | date) -> datetime:
    """The aware datetime of a date or timestamp; a date is its midnight in UTC."""
    try:
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
    except ValueError:
        raise DeclarationError(f"{moment!r} is neither a date like 2027-01-31 nor a timestamp.") from None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _stamp(moment: str | date) -> str:
    return instant(moment).astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
