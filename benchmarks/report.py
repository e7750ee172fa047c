"""An answered question: its rows, its ratios, the file that keeps them and the table that shows them."""

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from benchmarks.question import Question, Ratio, Row

RESULTS = Path(__file__).resolve().parent / "results"

PROBES = (
    Row("fsync_before", "syncs/s", "disk, probed before each run"),
    Row("fsync_after", "syncs/s", "disk, probed after each run"),
)
"""The rows that every question about the disk has; their runs are all programs' runs, in the order of
running."""


class Measured(msgspec.Struct, frozen=True):
    """A row as measured: every run in order, and their median."""

    name: str
    unit: str
    runs: list[float]
    median: float


class Answer(msgspec.Struct, frozen=True):
    """One question's results: exactly what `results/<question>.json` holds."""

    question: str
    machine: dict[str, str]
    rows: list[Measured]
    ratios: dict[str, float]

    def medians(self) -> dict[str, float]:
        """The median of each row by its name."""
        return {row.name: row.median for row in self.rows}


def answered(question: Question, machine: dict[str, str], runs: Mapping[str, Sequence[float]]) -> Answer:
    """Work the runs of each row out into an answer; what was not measured is left out, with its ratios."""
    rows: list[Measured] = []
    for row in (*question.rows, *PROBES):
        same = max(
            (runs[name] for name in row.greatest_of or (row.name,) if runs.get(name)),
            key=statistics.median,
            default=(),
        )
        if same:
            values = [significant(value) for value in same]
            rows.append(Measured(row.name, row.unit, values, statistics.median(values)))
    measured = {row.name: row for row in rows}
    ratios = {
        ratio.name: significant(_ratio(ratio, measured[ratio.of], measured[ratio.to]))
        for ratio in question.ratios
        if ratio.of in measured and ratio.to in measured and all(measured[ratio.to].runs)
    }
    return Answer(question.name, machine, rows, ratios)


def _ratio(ratio: Ratio, of: Measured, to: Measured) -> float:
    if ratio.within_runs:
        return statistics.median(one / other for one, other in zip(of.runs, to.runs, strict=True))
    return of.median / to.median


def significant(value: float) -> float:
    """A figure to four digits, which is more than any of these deserve."""
    return float(f"{value:.4g}")


def figure(value: float) -> str:
    """A figure for people: thousands apart, no more digits than mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(answer: Answer, directory: Path = RESULTS) -> Path:
    """Write `<question>.json` whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{answer.question}.json"
    descriptor, unfinished = tempfile.mkstemp(dir=directory, prefix=".", suffix=".json")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(file)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return file


def read(directory: Path = RESULTS) -> dict[str, Answer]:
    """Every answer in a directory, by question."""
    decoder = msgspec.json.Decoder(Answer)
    answers = [decoder.decode(file.read_bytes()) for file in sorted(directory.glob("*.json"))]
    return {answer.question: answer for answer in answers}


def table(question: Question, answer: Answer) -> Table:
    """The answer on a terminal: medians, all runs, and ratios with what was promised of them."""
    shown = Table(title=f"{question.name}: {question.asks}", title_justify="left", caption_justify="left")
    shown.add_column("row")
    shown.add_column("median", justify="right")
    shown.add_column("unit")
    shown.add_column("runs, or what is promised")
    for row in answer.rows:
        runs = "  ".join(figure(value) for value in row.runs[:8]) + ("  ..." if len(row.runs) > 8 else "")
        promise = question.at_most.get(row.name)
        kept = None if promise is None else row.median <= promise
        note = Text(runs if promise is None else f"{runs}  (at most {promise:g})", style=_style(kept))
        shown.add_row(row.name, figure(row.median), row.unit, note)
    shown.add_section()
    for ratio in question.ratios:
        if ratio.name in answer.ratios:
            value = answer.ratios[ratio.name]
            shown.add_row(ratio.name, figure(value), "", Text(ratio.promise(), style=_style(ratio.kept(value))))
    return shown


def _style(kept: bool | None) -> str:  # noqa: FBT001 - a verdict, not a switch
    return "" if kept is None else "green" if kept else "red"
