"""The generated parts of documents: tables made of facts that stand elsewhere in the repository.

A part begins with a line `<!-- generated: TABLE ARGUMENT... -->` and ends with a line `<!-- end -->`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

_PART = re.compile(
    r"(?ms)^(?P<begin><!-- generated: (?P<table>.*?) -->\n)(?P<text>.*?)(?=^<!-- end -->$)",
)


class Row(msgspec.Struct, frozen=True):
    """One competitor's runs at one question."""

    name: str
    unit: str
    runs: list[float]
    median: float


class Answer(msgspec.Struct, frozen=True):
    """What a benchmark found: benchmarks/results/<question>.json."""

    question: str
    machine: object
    rows: list[Row]
    ratios: dict[str, float]


def filled(document: str, root: Path) -> str:
    """The document with its generated parts made anew from the repository at `root`.

    Raises ValueError for a table that nothing here makes, FileNotFoundError for a question never measured.
    """

    def fill(part: re.Match[str]) -> str:
        table, *arguments = part["table"].split()
        if table not in TABLES:
            known = ", ".join(sorted(TABLES))
            raise ValueError(f"a document asks for the generated table `{table}`; there are: {known}")
        return part["begin"] + "\n".join(TABLES[table](root, *arguments)) + "\n"

    return _PART.sub(fill, document)


def speed(root: Path, question: str) -> Iterator[str]:
    """The competitors at one question, with medians and ranges, and the ratios between them."""
    file = root / "benchmarks" / "results" / f"{question}.json"
    answer = msgspec.json.decode(file.read_bytes(), type=Answer)
    yield from ("| | median | lowest | highest | |", "|---|---:|---:|---:|---|")
    for row in answer.rows:
        figures = " | ".join(map(_figure, (row.median, min(row.runs), max(row.runs))))
        yield f"| {row.name} | {figures} | {row.unit} |"
    if answer.ratios:
        yield ""
        yield ", ".join(f"`{name}` {_figure(ratio)}" for name, ratio in answer.ratios.items()) + "."


TABLES: Mapping[str, Callable[..., Iterator[str]]] = {"speed": speed}


def _figure(number: float) -> str:
    """Three digits that count, and commas between thousands."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
