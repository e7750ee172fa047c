"""Versions of an event on the wire: lifted, read tolerantly, or a dead letter that says which and why."""

import json
import time
from pathlib import Path

import pytest

from minuet import App, Event, Service, Transaction
from minuet.contracts.payload import JSONObject
from minuet.ports.broker import Message
from minuet.ports.store import DeadLetterFilter
from tests.acceptance.pairs import KINDS, adapters, pair, rows


class Priced(Event, version=1):
    """Something has a price, in pounds."""

    what: str
    pounds: int


class PricedAgain(Event, name="Priced", version=3):
    """Something has a price, in pence, and in a currency."""

    what: str
    pence: int
    currency: str = "GBP"


@PricedAgain.upcaster(1)
def in_pence(old: JSONObject) -> JSONObject:
    return {"what": old["what"], "pence": int(str(old["pounds"])) * 100}


@PricedAgain.upcaster(2)
def with_currency(old: JSONObject) -> JSONObject:
    return {**old, "currency": "GBP"}


def shop(*, healthy: bool = True) -> Service:
    """Reads the newest version."""
    service = Service("shop")

    @service.setup
    async def books(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS prices (what TEXT, pence INTEGER, currency TEXT)")

    @service.reaction(never=RuntimeError)
    async def note(priced: PricedAgain, tx: Transaction) -> None:
        if not healthy:
            raise RuntimeError("a bug of today")
        await tx.execute("INSERT INTO prices VALUES (?, ?, ?)", (priced.what, priced.pence, priced.currency))

    return service


def event(number: int, version: int, data: object) -> Message:
    """A structured event as any client in any language would publish it."""
    body = {
        "specversion": "1.0", "id": str(number), "source": "/elsewhere", "type": f"Priced.v{version}", "data": data,
    }  # fmt: skip
    return Message("Priced", None, str(number), "/elsewhere", None, json.dumps(body))


@pytest.mark.parametrize("kind", KINDS)
async def test_older_versions_are_lifted_on_read(kind: str, tmp_path: Path) -> None:
    """Each version is lifted step by step to the one that the reaction reads."""
    broker, store = adapters(kind, tmp_path)
    async with App([shop()], broker=broker, store=store, observers=()).running() as app:
        await broker.publish(
            [
                event(1, 1, {"what": "tea", "pounds": 3}),
                event(2, 2, {"what": "jam", "pence": 450}),
                event(3, 3, {"what": "rum", "pence": 999, "currency": "EUR"}),
            ]
        )
        await app.settled()
        found = await rows(store, "SELECT * FROM prices ORDER BY what DESC")
        assert found == [("tea", 300, "GBP"), ("rum", 999, "EUR"), ("jam", 450, "GBP")]


@pytest.mark.parametrize("kind", ["joined", "separate"])
async def test_a_dead_letter_of_an_older_version_is_lifted_when_it_is_redriven(kind: str, tmp_path: Path) -> None:
    """A letter that died under old code, with its old bytes, is read by the code of today."""
    where, old = pair(kind, tmp_path), Service("shop", owns=[Priced])

    @old.reaction(never=RuntimeError)
    async def note(priced: Priced) -> None:
        raise RuntimeError("a bug of then")

    async with App([old], **where.urls(), observers=()).running() as app:
        await old.emit(Priced(what="tea", pounds=3))
        await app.settled()
    broker, store = where.adapters()
    async with App([shop()], broker=broker, store=store, observers=()).running() as app:
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert (letter.type, letter.error) == ("Priced.v1", "RuntimeError: a bug of then")
        async with store.transaction() as unit:
            assert await unit.dead_letters.redrive(letter, time.time())
        await app.settled()
    assert where.look("SELECT * FROM prices") == [("tea", 300, "GBP")]
    assert where.look("SELECT state FROM minuet_dead_letters") == [("resolved",)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_newer_version_is_read_where_it_fits(kind: str, tmp_path: Path) -> None:
    """With fields more than are known here it is handled; without one that is needed it is a dead letter."""
    broker, store = adapters(kind, tmp_path)
    async with App([shop()], broker=broker, store=store, observers=()).running() as app:
        await broker.publish(
            [
                event(1, 4, {"what": "tea", "pence": 300, "currency": "GBP", "taxed": True}),
                event(2, 4, {"what": "jam", "amount": {"pence": 450}}),
            ]
        )
        await app.settled()
        assert await rows(store, "SELECT what FROM prices") == [("tea",)]
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert (letter.reason, letter.type, letter.event_id, letter.attempts) == ("newer_version", "Priced.v4", "2", 1)
        assert "arrived in version 4, newer than the version 3 that is read here" in letter.error


@pytest.mark.parametrize("kind", KINDS)
async def test_a_version_that_nobody_lifts_is_a_dead_letter(kind: str, tmp_path: Path) -> None:
    """The message names the version that came, the one that is read and the upcaster to write; the bytes are kept."""
    (broker, store), service = adapters(kind, tmp_path), Service("shop")

    class Weighed(Event, version=2):
        grams: int

    @service.reaction
    async def note(weighed: Weighed) -> None:
        """Never called."""

    body = {"specversion": "1.0", "id": "1", "source": "/elsewhere", "type": "Weighed.v1", "data": {"ounces": 1}}
    async with App([service], broker=broker, store=store, observers=()).running() as app:
        await broker.publish([Message("Weighed", None, "1", "/elsewhere", None, json.dumps(body))])
        await app.settled()
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert letter.reason == "no_upcaster"
        assert "Declare an upcaster(1)" in letter.error
        assert letter.body == json.dumps(body)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upcaster_that_fails_is_named(kind: str, tmp_path: Path) -> None:
    """The delivery is a dead letter with the upcaster's place and its error; others are handled."""
    broker, store = adapters(kind, tmp_path)
    async with App([shop()], broker=broker, store=store, observers=()).running() as app:
        good, bad = event(1, 1, {"what": "tea", "pounds": 3}), event(2, 1, {"what": "jam", "pounds": "three"})
        await broker.publish([bad, good])
        await app.settled()
        assert await rows(store, "SELECT what FROM prices") == [("tea",)]
        [letter] = await store.list_dead_letters(DeadLetterFilter())
        assert letter.reason == "payload"
        assert f"test_versions.py:{in_pence.__code__.co_firstlineno}" in letter.error
        assert "ValueError" in letter.error
