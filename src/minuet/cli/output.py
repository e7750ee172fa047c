"""What the verbs print: prose and tables for people, JSON for programs."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

import minuet

PACKAGE = Path(minuet.__file__).parent
EXAMPLES = PACKAGE / "examples"
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
WIDTH_WITHOUT_TERMINAL = 10_000


def console() -> Console:
    """Where people read results. In a pipe, lines are as long as they need to be."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


def notes() -> Console:
    """Where people read what is not the result: progress, questions, failures."""
    return Console(stderr=True, highlight=False)


def print_json(document: object) -> None:
    """Print one JSON document, on one line."""
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def clock_time(at: float) -> str:
    """An instant by the local clock: `10:32:01.123`."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def date_time(at: float) -> str:
    """An instant by the local clock, with its date."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def length(seconds: float) -> str:
    """A length of time, as exact as a person wants it: `12 ms`, `3.2 s`, `5 min`, `2 h`, `3 d`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def pairs(rows: list[tuple[str, object]]) -> Text:
    """Names and values under each other; what is None is left out."""
    present = [(name, str(value)) for name, value in rows if value is not None]
    width = max((len(name) for name, _ in present), default=0)
    text = Text()
    for name, value in present:
        text.append(f"{name:<{width}}  ", "dim").append(f"{value}\n")
    text.rstrip()
    return text


def users_frames(error: BaseException) -> str:
    """The traceback of an error from where the user's own code begins, without minuet's frames."""
    frames = traceback.extract_tb(error.__traceback__)
    begins = next((number for number, frame in enumerate(frames) if is_users(frame)), len(frames))
    kept = [frame for frame in frames[begins:] if is_users(frame) or not Path(frame.filename).is_relative_to(PACKAGE)]
    said = traceback.format_exception_only(error)
    return "".join([*traceback.format_list(kept), *said]).rstrip()


def is_users(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is of a user's code: no library's, and minuet's only where it is an example."""
    file = Path(frame.filename)
    if file.is_relative_to(PACKAGE):
        return file.is_relative_to(EXAMPLES)
    return file.is_absolute() and not any(file.is_relative_to(library) for library in LIBRARIES)
