"""What can happen to a video, in order. All of it goes by the video's id."""

from minuet import Event


class VideoUploaded(Event, version=1, key="video_id"):
    """A member uploaded a video. Nobody but the member has seen it yet."""

    video_id: str
    title: str
    height: int  # pixels


class VideoApproved(Event, version=1, key="video_id"):
    """The video keeps the house rules and may be published."""

    video_id: str
    height: int


class VideoRejected(Event, version=1, key="video_id"):
    """The video breaks a house rule, and will not be published."""

    video_id: str
    rule: str


class RenditionReady(Event, version=1, key="video_id"):
    """The video can be watched in one more size; `of` says how many sizes there will be."""

    video_id: str
    height: int
    of: int


class VideoPublished(Event, version=1, key="video_id"):
    """Everybody can watch the video, in these heights."""

    video_id: str
    heights: tuple[int, ...]
