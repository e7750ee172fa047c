"""A bank that does not exist: it answers as a bank would, by chance, and the same every time it is asked."""

from .chance import bank_timeouts, is_declined
from .settings import Settings


class BankTimeout(Exception):
    """The bank did not answer in time. Asking again with the same idempotency key is safe."""


class Bank:
    """Pays for orders, or declines to.

    It is told which attempt this is instead of counting, so that it needs no memory that a crash could wipe
    out.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def pay(self, order_id: str, pence: int, *, idempotency_key: str, attempt: int) -> bool:
        """Move the customer's money; False if the bank declines. Raises BankTimeout."""
        if attempt <= bank_timeouts(self._settings, order_id):
            raise BankTimeout(f"no answer to {idempotency_key}: {pence} pence for order {order_id}")
        return not is_declined(self._settings, order_id)
