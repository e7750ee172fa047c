"""Videos go from upload to publication, or are told why not."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from minuet.examples.content_publishing import app as content
from minuet.examples.content_publishing.events import (
    RenditionReady,
    VideoApproved,
    VideoPublished,
    VideoRejected,
    VideoUploaded,
)
from minuet.ports.observer import Outcome
from minuet.stores.sqlite import MemoryStore
from tests.examples.finish import Finish


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("The Alps from above", VideoApproved(video_id="v", height=720)),
        ("A MIRACLE cure", VideoRejected(video_id="v", rule="no medical claims")),
    ],
)
def test_a_title_decides_whether_a_video_is_approved(title: str, expected: object) -> None:
    """A word that breaks a house rule rejects the video, however it is written."""

    async def run() -> object:
        store = MemoryStore.from_url("memory://")
        await store.open()
        async with store.transaction() as unit:
            await content.verdicts(unit.transaction)
            outcome = await content.review(VideoUploaded(video_id="v", title=title, height=720), unit.transaction)
        await store.close()
        return outcome

    assert asyncio.run(run()) == expected


@pytest.mark.parametrize(("height", "heights"), [(240, [360]), (720, [360, 720]), (4320, [360, 720, 1080, 2160])])
def test_a_video_is_transcoded_up_to_its_own_size(height: int, heights: list[int]) -> None:
    """No size is made up beyond the original's, and the smallest is always there."""
    ready = content.transcode(VideoApproved(video_id="v", height=height), content.Encoder())
    assert [(rendition.height, rendition.of) for rendition in ready] == [(h, len(heights)) for h in heights]


def test_a_video_is_published_once_with_its_last_rendition() -> None:
    """Renditions before the last one publish nothing."""

    async def run() -> list[object]:
        store = MemoryStore.from_url("memory://")
        await store.open()
        async with store.transaction() as unit:
            await content.renditions(unit.transaction)
            outcomes = [
                await content.publish(RenditionReady(video_id="v", height=h, of=2), unit.transaction)
                for h in (720, 360)
            ]
        await store.close()
        return list(outcomes)

    assert asyncio.run(run()) == [None, VideoPublished(video_id="v", heights=(360, 720))]


def test_uploads_end_published_or_rejected(tmp_path: Path) -> None:
    """Three of the four videos are published, each once and in all its sizes, and one breaks a rule."""
    database = tmp_path / "content.db"
    finish = Finish(lambda seen: seen.ended["publishing.publish", Outcome.HANDLED] == 8)

    async def run() -> None:
        url = f"sqlite:///{database}"
        app = content.build(url, url)
        app.observers = (finish,)
        await content.play(app)
        await content.play(app)
        async with app.running():
            await finish.wait()

    asyncio.run(run())
    assert finish.emitted["publishing.publish"] == 3
    with closing(sqlite3.connect(database)) as connection:
        verdicts = dict(connection.execute("SELECT video_id, rule FROM moderation_verdicts"))
        sizes = dict(connection.execute("SELECT video_id, count(*) FROM publishing_renditions GROUP BY 1"))
    assert verdicts == {"v1": None, "v2": None, "v3": "no medical claims", "v4": None}
    assert sizes == {"v1": 3, "v2": 1, "v4": 4}
