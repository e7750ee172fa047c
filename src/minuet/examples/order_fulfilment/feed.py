"""Handing invoices to the orders service, from outside of any reaction."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from uuid import UUID, uuid5

from .events import InvoiceReceived
from .orders import orders

NAMESPACE = UUID("0c0a4f5e-6f0e-5d1b-9a51-3f1d1a2b6c77")


async def feed(invoices: Iterable[InvoiceReceived], *, together: int = 64) -> AsyncIterator[int]:
    """Emit the invoices, some together, and yield how many are safely handed over so far.

    The app must be connected or running. Whoever was stopped in between starts again from the first invoice:
    what was handed over before has the same ids as then, and is not handled twice.
    """
    waiting = iter(invoices)
    fed = 0
    while batch := list(islice(waiting, together)):
        await asyncio.gather(*(emit(invoice) for invoice in batch))
        fed += len(batch)
        yield fed


async def emit(invoice: InvoiceReceived) -> None:
    """Emit one invoice. Whatever follows from it can be found under its number, if that is a plain word."""
    number = invoice.invoice_no
    plain = number.isascii() and number.isalnum()
    await orders.emit(invoice, id=id_of(invoice), correlation_id=number if plain else None)


def id_of(invoice: InvoiceReceived) -> str:
    """Return an id that follows from all that the invoice says."""
    return str(uuid5(NAMESPACE, repr(invoice)))
