"""How fast something may go: `10/s`, `100/m`, `5/h`."""

import re

from minuet.errors import DeclarationError

_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h)")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def interval_seconds(rate: str) -> float:
    """The seconds from one to the next at this rate. Raises DeclarationError for what is no rate."""
    written = _WRITTEN.fullmatch(rate.strip())
    if written is None or float(written[1]) == 0:
        raise DeclarationError(f"{rate!r} is no rate. Write how many in which time: 10/s, 100/m or 5/h.")
    return _UNIT_SECONDS[written[2]] / float(written[1])
