"""Reactions of the shop, called as the plain functions that they are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from minuet import Context, Transaction, Writes
from minuet.examples.order_fulfilment import inventory, orders, payments, shipping
from minuet.examples.order_fulfilment.bank import Bank, BankTimeout
from minuet.examples.order_fulfilment.events import (
    Goods,
    GoodsReturned,
    InvoiceLine,
    InvoiceReceived,
    InvoiceRejected,
    OrderCancelled,
    OrderPlaced,
    OrderShipped,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    RejectedLine,
    ReturnRefunded,
    StockReserved,
    StockRestocked,
    StockShort,
)
from minuet.examples.order_fulfilment.inventory import Shelves
from minuet.examples.order_fulfilment.mail import AddressRefused, Mail, MailTimeout
from minuet.examples.order_fulfilment.notifications import tell, words
from minuet.examples.order_fulfilment.settings import Settings
from minuet.stores.sqlite import MemoryStore

T = TypeVar("T")

CALM = Settings(decline=0, shortage=0, bank_timeout=0, mail_timeout=0, refusal=0)
ROUGH = Settings(decline=1, shortage=1, bank_timeout=1, mail_timeout=1, refusal=1)
GOODS = (Goods("71053", 6), Goods("85123A", 2))


def in_transaction(body: Callable[[Transaction], Awaitable[T]]) -> T:
    """What the body returns, run in a transaction of an empty store in which all tables are set up."""

    async def run() -> T:
        store = MemoryStore.from_url("memory://")
        await store.open()
        try:
            async with store.transaction() as unit:
                for module in (orders, payments, inventory, shipping):
                    await module.tables(unit.transaction)
                return await body(unit.transaction)
        finally:
            await store.close()

    return asyncio.run(run())


def context(attempt: int = 1) -> Context:
    """The context of one attempt."""
    return Context(
        service="",
        reaction="",
        event_id="",
        correlation_id="",
        causation_id=None,
        key=None,
        attempt=attempt,
        time=None,
        idempotency_key="once",
    )


def line(code: str, quantity: str, price: str) -> InvoiceLine:
    """An invoice line of a guest."""
    return InvoiceLine(code, "", quantity, "2010-12-01 08:26:00", price, "", "United Kingdom")


def test_an_order_is_placed_with_what_could_be_kept() -> None:
    """A line that cannot be kept is in the event and, as it came, in the table; the order does without."""
    invoice = InvoiceReceived(
        invoice_no="536365",
        lines=(line("71053", "6", "3.39"), line("22139", "4", "0.0"), line("POST", "1", "18.00")),
    )

    async def body(tx: Transaction) -> tuple[object, list[str]]:
        outcome = await orders.read_invoice(invoice, tx)
        return outcome, await tx.fetch(str, "SELECT unit_price FROM orders_rejected_lines")

    outcome, prices = in_transaction(body)
    assert outcome == OrderPlaced(
        order_id="536365",
        customer=None,
        total_pence=3834,
        goods=(Goods("71053", 6),),
        rejected=(RejectedLine(2, "price"),),
    )
    assert prices == ["0.0"]


@pytest.mark.parametrize(
    ("invoice_no", "quantity", "expected"),
    [("C536379", "-2", GoodsReturned), ("C536379", "2", InvoiceRejected), ("A536379", "2", InvoiceRejected)],
)
def test_an_invoice_is_what_its_number_and_lines_make_it(
    invoice_no: str, quantity: str, expected: type[object]
) -> None:
    """A return needs a number that begins with C and quantities below zero."""
    invoice = InvoiceReceived(invoice_no=invoice_no, lines=(line("71053", quantity, "3.39"),))
    assert type(in_transaction(lambda tx: orders.read_invoice(invoice, tx))) is expected


PLACED = OrderPlaced(order_id="1", customer=None, total_pence=500, goods=GOODS)


def test_a_payment_is_captured_or_declined_as_the_bank_says() -> None:
    """Either way the ledger gets one entry."""
    writes = Writes()
    charged = asyncio.run(payments.charge(PLACED, Bank(CALM), writes, context()))
    declined = asyncio.run(payments.charge(PLACED, Bank(ROUGH), writes, context(attempt=3)))
    assert charged == PaymentCaptured(order_id="1", pence=500, goods=GOODS)
    assert declined == PaymentDeclined(order_id="1")
    assert [params for _, params in writes.statements] == [("1", "charge", 500), ("1", "decline", 0)]


def test_a_bank_that_does_not_answer_leaves_no_entry() -> None:
    """The first attempt fails with the bank's error, and nothing is to be written."""
    writes = Writes()
    with pytest.raises(BankTimeout):
        asyncio.run(payments.charge(PLACED, Bank(ROUGH), writes, context(attempt=1)))
    assert writes.statements == []


def test_an_order_that_ran_short_is_paid_back_in_full() -> None:
    """The refund is what the ledger says was charged."""

    async def body(tx: Transaction) -> PaymentRefunded:
        await tx.execute("INSERT INTO payments_ledger VALUES ('1', 'charge', 500)")
        return await payments.refund_order(StockShort(order_id="1", missing=("71053",)), tx)

    assert in_transaction(body) == PaymentRefunded(order_id="1", pence=500)


def test_what_was_never_charged_is_not_paid_back() -> None:
    """A shortage for an unknown order is an error, not a refund."""
    short = StockShort(order_id="1", missing=("71053",))
    with pytest.raises(LookupError, match="never charged"):
        in_transaction(lambda tx: payments.refund_order(short, tx))


def test_a_return_is_paid_back() -> None:
    """The customer gets the total of the return."""
    back = GoodsReturned(return_id="C1", customer=None, total_pence=120, goods=GOODS)
    refunded = in_transaction(lambda tx: payments.refund_return(back, tx))
    assert refunded == ReturnRefunded(return_id="C1", pence=120)


PAID = PaymentCaptured(order_id="1", pence=500, goods=GOODS)


def test_all_goods_of_a_paid_order_leave_the_shelves() -> None:
    """One movement for each line, out of stock."""

    async def body(tx: Transaction) -> tuple[object, list[int]]:
        outcome = await inventory.reserve(PAID, tx, Shelves(CALM))
        return outcome, await tx.fetch(int, "SELECT units FROM inventory_movements")

    assert in_transaction(body) == (StockReserved(order_id="1", pence=500, units=8), [-6, -2])


def test_no_goods_leave_the_shelves_when_some_are_missing() -> None:
    """A short order moves nothing."""

    async def body(tx: Transaction) -> tuple[object, list[int]]:
        outcome = await inventory.reserve(PAID, tx, Shelves(ROUGH))
        return outcome, await tx.fetch(int, "SELECT units FROM inventory_movements")

    assert in_transaction(body) == (StockShort(order_id="1", missing=("71053",)), [])


def test_an_order_without_goods_is_never_short_and_ships_nothing() -> None:
    """Postage alone is charged, reserved as 0 units, and complete."""
    paid = PaymentCaptured(order_id="1", pence=500, goods=())
    reserved = in_transaction(lambda tx: inventory.reserve(paid, tx, Shelves(ROUGH)))
    assert reserved == StockReserved(order_id="1", pence=500, units=0)
    assert in_transaction(lambda tx: shipping.ship(reserved, tx)) == OrderShipped(order_id="1", pence=500, units=0)


@pytest.mark.parametrize(("goods", "expected"), [(GOODS, StockRestocked(return_id="C1", units=8)), ((), None)])
def test_returned_goods_go_back_to_the_shelves(goods: tuple[Goods, ...], expected: StockRestocked | None) -> None:
    """A return without goods restocks nothing, and says nothing."""
    back = GoodsReturned(return_id="C1", customer=None, total_pence=120, goods=goods)
    assert in_transaction(lambda tx: inventory.restock(back, tx)) == expected


@pytest.mark.parametrize(
    ("why", "because"),
    [(PaymentDeclined(order_id="1"), "declined"), (PaymentRefunded(order_id="1", pence=5), "short")],
)
def test_an_order_is_cancelled_for_one_of_two_reasons(why: PaymentDeclined | PaymentRefunded, because: str) -> None:
    """The payment was declined, or it was paid back because goods are short."""
    assert in_transaction(lambda tx: orders.cancel(why, tx)) == OrderCancelled(order_id="1", because=because)


SHIPPED_NEWS = OrderShipped(order_id="1", pence=500, units=8)


def test_a_customer_is_told_once_the_gateway_answers() -> None:
    """The gateway times out at first, and the mail is noted when it is out."""
    slow = Mail(Settings(mail_timeout=1, refusal=0))
    writes = Writes()
    with pytest.raises(MailTimeout):
        asyncio.run(tell(SHIPPED_NEWS, slow, writes, context(attempt=1)))
    assert writes.statements == []
    asyncio.run(tell(SHIPPED_NEWS, slow, writes, context(attempt=3)))
    assert [params for _, params in writes.statements] == [("1", "shipped")]


def test_an_address_that_refuses_mail_does_so_at_every_attempt() -> None:
    """No attempt helps, so it is not a matter of retries."""
    for attempt in (1, 9):
        with pytest.raises(AddressRefused):
            asyncio.run(tell(SHIPPED_NEWS, Mail(ROUGH), Writes(), context(attempt)))


@pytest.mark.parametrize(
    ("news", "said"),
    [
        (SHIPPED_NEWS, "Your order 1 is on its way: 8 pieces."),
        (OrderShipped(order_id="1", pence=500, units=0), "Your order 1 is complete."),
        (
            OrderCancelled(order_id="1", because="declined"),
            "Your order 1 is cancelled: your bank declined to pay.",
        ),
        (
            OrderCancelled(order_id="1", because="short"),
            "Your order 1 is sold out. You have your money back.",
        ),
        (ReturnRefunded(return_id="C1", pence=1205), "For your return C1 you have £12.05 back."),
    ],
)
def test_every_end_has_its_words(news: OrderShipped | OrderCancelled | ReturnRefunded, said: str) -> None:
    """Customers are told what became of their order or return, and of their money."""
    assert words(news)[2] == said
