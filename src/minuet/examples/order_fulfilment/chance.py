"""What happens to an order by chance. It follows from the seed and the order's id alone.

So a payment that is asked for twice is answered alike both times, in whichever process, and whoever has the
input can compute afterwards what must have happened.
"""

from hashlib import sha256

from .settings import Settings


def draw(seed: int, kind: str, order_id: str) -> float:
    """Return a number from 0 up to, but not including, 1."""
    digest = sha256(f"{seed}\n{kind}\n{order_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def is_declined(settings: Settings, order_id: str) -> bool:
    """Tell whether the bank declines to pay for the order."""
    return draw(settings.seed, "decline", order_id) < settings.decline


def is_short(settings: Settings, order_id: str) -> bool:
    """Tell whether goods of the order are missing from the shelf."""
    return draw(settings.seed, "shortage", order_id) < settings.shortage


def is_refused(settings: Settings, order_id: str) -> bool:
    """Tell whether the address given with the order (or return) refuses mail for good."""
    return draw(settings.seed, "refusal", order_id) < settings.refusal


def bank_timeouts(settings: Settings, order_id: str) -> int:
    """Return how many times the bank is asked in vain at first: 0, and now and then 1 or 2."""
    return timeouts(draw(settings.seed, "bank timeout", order_id), settings.bank_timeout)


def mail_timeouts(settings: Settings, order_id: str) -> int:
    """Return how many times the mail gateway is asked in vain at first: 0, and now and then 1 or 2."""
    return timeouts(draw(settings.seed, "mail timeout", order_id), settings.mail_timeout)


def timeouts(drawn: float, rate: float) -> int:
    """Turn a draw into a number of timeouts: one or more at the given rate, two for every fourth of those."""
    if drawn >= rate:
        return 0
    return 2 if drawn < rate / 4 else 1
