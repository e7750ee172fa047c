"""A mail gateway that does not exist: now and then slow, and sure of the few addresses that take no mail."""

from .chance import is_refused, mail_timeouts
from .settings import Settings


class MailTimeout(Exception):
    """The gateway did not answer in time. Sending again with the same idempotency key is safe."""


class AddressRefused(Exception):
    """The address takes no mail and never will. Trying again is pointless."""


class Mail:
    """Sends mail to the address that was given with an order or return.

    Like the bank it is told which attempt this is, so that it needs no memory.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, reference: str, text: str, *, idempotency_key: str, attempt: int) -> None:
        """Send a text about an order or return. Raises MailTimeout or AddressRefused."""
        if is_refused(self._settings, reference):
            raise AddressRefused(f"the address given with {reference} takes no mail")
        if attempt <= mail_timeouts(self._settings, reference):
            raise MailTimeout(f"no answer to {idempotency_key}: {text!r}")
