"""Four services between an upload and its publication.

`minuet run minuet.examples.content_publishing.app:app` runs them, and
`python -m minuet.examples.content_publishing` uploads a few videos.
"""

from minuet import App, Service, Transaction, Workflow

from .events import RenditionReady, VideoApproved, VideoPublished, VideoRejected, VideoUploaded

# Uploads: it only ever emits.

uploads = Service("uploads", owns=[VideoUploaded])

# Moderation: decides, and remembers what it decided.

moderation = Service("moderation", owns=[VideoApproved, VideoRejected])

HOUSE_RULES = {"miracle": "no medical claims", "lottery": "no gambling"}


@moderation.setup
async def verdicts(tx: Transaction) -> None:
    """Create the record of verdicts; no rule means approved."""
    await tx.execute("CREATE TABLE IF NOT EXISTS moderation_verdicts (video_id TEXT PRIMARY KEY, rule TEXT)")


@moderation.reaction
async def review(video: VideoUploaded, tx: Transaction) -> VideoApproved | VideoRejected:
    """Hold the title against the house rules."""
    words = video.title.lower().split()
    rule = next((HOUSE_RULES[word] for word in words if word in HOUSE_RULES), None)
    await tx.execute("INSERT INTO moderation_verdicts VALUES (?, ?)", (video.video_id, rule))
    if rule is not None:
        return VideoRejected(video_id=video.video_id, rule=rule)
    return VideoApproved(video_id=video.video_id, height=video.height)


# Transcoding: hard work for a processor, so the reaction is a plain function and runs in a thread of its own.

transcoding = Service("transcoding", owns=[RenditionReady])

HEIGHTS = (360, 720, 1080, 2160)


class Encoder:
    """Stands in for one that really encodes."""

    def encode(self, video_id: str, height: int) -> None:
        """Write the video in one more size."""


@transcoding.provides
def encoder() -> Encoder:
    """Start the encoder."""
    return Encoder()


@transcoding.reaction
def transcode(video: VideoApproved, encoder: Encoder) -> list[RenditionReady]:
    """Make every size up to the original's, at least the smallest."""
    heights = [height for height in HEIGHTS if height <= video.height] or [HEIGHTS[0]]
    for height in heights:
        encoder.encode(video.video_id, height)
    return [RenditionReady(video_id=video.video_id, height=height, of=len(heights)) for height in heights]


# Publishing: waits until the last size is there. Events of one video come one at a time: counting is enough.

publishing = Service("publishing", owns=[VideoPublished])


@publishing.setup
async def renditions(tx: Transaction) -> None:
    """Create the list of what can be watched."""
    await tx.execute("""
        CREATE TABLE IF NOT EXISTS publishing_renditions (
            video_id TEXT NOT NULL, height INTEGER NOT NULL, PRIMARY KEY (video_id, height)
        )""")


@publishing.reaction
async def publish(ready: RenditionReady, tx: Transaction) -> VideoPublished | None:
    """Publish the video with its last rendition."""
    await tx.execute("INSERT INTO publishing_renditions VALUES (?, ?)", (ready.video_id, ready.height))
    heights = await tx.fetch(
        int, "SELECT height FROM publishing_renditions WHERE video_id = ? ORDER BY height", (ready.video_id,)
    )
    if len(heights) < ready.of:
        return None
    return VideoPublished(video_id=ready.video_id, heights=tuple(heights))


publication = Workflow("publication", starts=VideoUploaded, ends=VideoPublished | VideoRejected, within="1h")


def build(broker: str, store: str) -> App:
    """Compose the services on a broker and a store, each given as a URL such as `sqlite:///content.db`."""
    return App([uploads, moderation, transcoding, publishing], workflows=[publication], broker=broker, store=store)


app = build("sqlite:///content.db", "sqlite:///content.db")


async def play(app: App) -> None:
    """Upload a few videos; one of them breaks a rule. Uploading them again changes nothing."""
    async with app.connected():
        for video in (
            VideoUploaded(video_id="v1", title="Baking bread at home", height=1080),
            VideoUploaded(video_id="v2", title="My cat on a piano", height=240),
            VideoUploaded(video_id="v3", title="This miracle root heals all", height=720),
            VideoUploaded(video_id="v4", title="The Alps from above", height=2160),
        ):
            await uploads.emit(video, id=f"upload-{video.video_id}", correlation_id=video.video_id)
