"""One registration, four services, and a partner that is down: everybody minds their own business."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minuet.examples.notification_fanout import app as fanout
from minuet.ports.observer import Outcome
from tests.examples.finish import Finish

EXPECTED = {
    ("emails.welcome", Outcome.HANDLED): 4,
    ("analytics.count", Outcome.HANDLED): 4,
    ("campaigns.enrol", Outcome.HANDLED): 2,
    ("crm.create_contact", Outcome.DEAD): 4,
}


@pytest.fixture
def played(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """What is in the file after four customers registered, each twice by mistake."""
    finish = Finish(lambda seen: all(seen.ended[end] >= times for end, times in EXPECTED.items()))

    async def run() -> None:
        url = f"sqlite:///{tmp_path / 'accounts.db'}"
        app = fanout.build(url, url)
        app.observers = (finish,)
        await fanout.play(app)
        await fanout.play(app)
        async with app.running():
            await finish.wait()

    asyncio.run(run())
    assert all(finish.ended[end] == times for end, times in EXPECTED.items())
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as connection:
        yield connection


def test_every_customer_is_greeted_once(played: sqlite3.Connection) -> None:
    """The CRM's failure does not keep the mail from going out."""
    sent = played.execute("SELECT email FROM emails_sent ORDER BY 1").fetchall()
    assert [email.split("@")[0] for (email,) in sent] == ["ada", "emmy", "grace", "kathleen"]


def test_every_customer_counts_once(played: sqlite3.Connection) -> None:
    """A counter is not raised by repeated registrations, nor by another service's retries."""
    counts = played.execute("SELECT country, customers FROM analytics_registrations").fetchall()
    assert sorted(counts) == [("DE", 1), ("GB", 1), ("IE", 1), ("US", 1)]


def test_the_campaign_takes_those_it_is_for(played: sqlite3.Connection) -> None:
    """Its condition keeps the others out."""
    members = played.execute("SELECT customer_id FROM campaigns_members").fetchall()
    assert sorted(members) == [("c1",), ("c4",)]
