"""The whole shop on one SQLite file: whatever comes in, the books balance at the end."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from minuet.examples.order_fulfilment import app as shop
from minuet.examples.order_fulfilment import generate, payments
from minuet.examples.order_fulfilment.audit import Audit, audit, expect
from minuet.examples.order_fulfilment.books import BOOKS, PROGRESS, effects_of, progress_of
from minuet.examples.order_fulfilment.events import InvoiceReceived
from minuet.examples.order_fulfilment.feed import feed
from minuet.examples.order_fulfilment.input import COLUMNS, SHIPPED, invoices
from minuet.examples.order_fulfilment.settings import Settings
from tests.examples.finish import Finish
from tests.examples.test_order_fulfilment_audit import CALM, days


def look(database: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in a file, on a connection of its own."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def fulfil(
    directory: Path, files: list[Path], settings: Settings, fed: Iterable[InvoiceReceived] | None = None
) -> Audit:
    """The audit of a shop that ran until all that the files ask for had come about.

    `fed` is what is really handed over; without it, the invoices of the files.
    """
    database = directory / "shop.db"
    expectation = expect(files, settings)
    due = progress_of(expectation.effects)
    finish = Finish(lambda seen: seen.dead >= expectation.dead_letters and dict(look(database, PROGRESS)) == due)

    async def run() -> None:
        url = f"sqlite:///{database}"
        app = shop.build(url, url, settings)
        app.observers = (finish,)
        async with app.running():
            async for _ in feed(invoices(files) if fed is None else fed):
                pass
            await finish.wait()

    asyncio.run(run())
    return audit(expectation, effects_of(look(database, BOOKS)), finish.dead)


def test_a_day_with_every_kind_of_trouble_balances(tmp_path: Path) -> None:
    """Declines, shortages, timeouts, refusals and returns leave no penny and no unit unaccounted for."""
    result = fulfil(tmp_path, [SHIPPED], Settings())
    assert result.findings == ()
    assert result.found == result.expected
    assert result.found.cancelled == result.found.declined + result.found.short > 0


def test_real_days_without_trouble_give_the_known_figures(tmp_path: Path) -> None:
    """With nothing declined and nothing short, the services' books hold the figures that others computed."""
    files, figures = days()
    result = fulfil(tmp_path, files, CALM)
    assert result.findings == ()
    totals = asdict(result.found)
    assert {name: totals[name] for name in figures} == figures


def test_a_feeder_that_starts_again_doubles_nothing(tmp_path: Path) -> None:
    """Invoices that were handed over before are absorbed, however often they come."""
    day = list(invoices([SHIPPED]))
    result = fulfil(tmp_path, [SHIPPED], Settings(), fed=[*day[:70], *day, *day[30:]])
    assert result.findings == ()


def test_invoices_with_impossible_numbers_are_rejected_in_sight(tmp_path: Path) -> None:
    """Nothing that a file can say stops the feeder or gets lost: each line is rejected with its reason."""
    file = tmp_path / "odd.csv"
    numbers = ["", " ", "536365 ", '"a\nb"', '"\x01"', "A563185", "C53637", "\u0665" * 6, "536365/../1"]
    file.write_text(",".join(COLUMNS) + "\n" + "".join(f"{no},71053,,1,,1.00,,\n" for no in numbers))
    result = fulfil(tmp_path, [file], Settings())
    assert result.findings == ()
    assert result.found.rejected_by_reason == {"invoice_kind": len(numbers)}


@pytest.mark.parametrize("rates", [{"decline": 1}, {"shortage": 1, "decline": 0}, {"refusal": 1}])
def test_a_shop_where_everything_goes_wrong_still_balances(tmp_path: Path, rates: dict[str, float]) -> None:
    """With every payment declined, every order short or every address refused, the books say just that."""
    file = tmp_path / "orders.csv"
    generate.write(file, 40, seed=1)
    result = fulfil(tmp_path, [file], Settings(bank_timeout=0.5, mail_timeout=0.5, **rates))
    assert result.findings == ()


@pytest.mark.parametrize("decline", [0, 1])
def test_settings_reach_the_services_through_the_environment(monkeypatch: pytest.MonkeyPatch, decline: int) -> None:
    """The bank of a process that is started with MINUET_ORDER_ variables, as workers are, follows them."""
    for variable, text in Settings(decline=decline, bank_timeout=0).to_environment().items():
        monkeypatch.setenv(variable, text)
    paid = asyncio.run(payments.bank().pay("536365", 500, idempotency_key="once", attempt=1))
    assert paid == (decline == 0)
