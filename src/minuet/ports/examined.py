"""What is found by looking at something: an adapter at itself, a tool at a choreography."""

import msgspec


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    subject: str
    """A stable word for programs, `sqlite.journal_mode`."""
    well: bool | None
    """True: as it should be. False: something is wrong. None: worth knowing."""
    found: str
    """A sentence."""
    advice: str | None = None
    """What to do about it; a sentence."""
