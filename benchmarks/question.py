"""What a question is: the rows it reports, the programs that measure them, the ratios that answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One line of the answer.

    `meaning` is the line's text in tables; an empty one keeps it out of the documents' tables, though never
    out of the results. A row with `greatest_of` is measured by no program: it repeats the row of greatest
    median among those.
    """

    name: str
    unit: str
    meaning: str = ""
    greatest_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """A program to start afresh for each run: `python -m benchmarks.programs.<module> <way> ...`.

    Its name is its way. It answers with a number for each of `rows`. `workflows` is how much it does in a
    full run.
    """

    module: str
    way: str
    rows: tuple[str, ...]
    workflows: int = 1
    by_peers: bool = False
    limit_s: float = 600.0


@dataclass(frozen=True)
class Ratio:
    """The median of row `of` divided by that of row `to`, and what we promise of it, if anything.

    With `within_runs`, for rows of one program: the median of each run's own ratio, so that what changes from one run
    to the next, the machine's mood, is not taken for what changes within one.
    """

    name: str
    of: str
    to: str
    within_runs: bool = False
    at_least: float | None = None
    at_most: float | None = None

    def promise(self) -> str:
        """The promise in words, empty if there is none."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}" if self.at_most is not None else ""

    def kept(self, value: float) -> bool | None:
        """Whether a value keeps the promise; None if there is none."""
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None


@dataclass(frozen=True)
class Question:
    """One question. Every program runs once a round, in order, so that the disk's moods hit all alike."""

    name: str
    asks: str
    rows: tuple[Row, ...]
    programs: tuple[Program, ...]
    ratios: tuple[Ratio, ...] = ()
    runs: int = 5
    disk: bool = True
    """Whether it measures the disk, so that the disk is probed, and waited for, around every run."""
    servers: tuple[str, ...] = ()
    """The servers that its programs need, by the names of `tools.services`; each run has a place of its own there."""
    at_most: Mapping[str, float] = field(default_factory=dict[str, float])
    """Promises about the medians of rows, in the row's unit."""
