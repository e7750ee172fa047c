"""The documents' speed tables, written from `results/`: nobody types a figure.

What stands between `<!-- speed:begin -->` and `<!-- speed:end -->` is generated; `python -m
benchmarks.tables` writes it anew in README.md and docs, and with `--check` says which files are behind.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import report
from benchmarks.question import Question
from benchmarks.questions import QUESTIONS

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- speed:begin -->"
END = "<!-- speed:end -->"
SERVERS = {"postgres": "PostgreSQL", "kafka": "Kafka", "rabbitmq": "RabbitMQ"}
"""What the machine's entries are called in documents."""
BETWEEN = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def speed(answers: Mapping[str, report.Answer], questions: Iterable[Question] = QUESTIONS) -> str:
    """The tables of every answered question, as Markdown."""
    told = [_question(question, answers[question.name]) for question in questions if question.name in answers]
    return "\n\n".join(told) if told else "Not measured yet; `make bench` does."


def rewritten(text: str, tables: str) -> str:
    """A document with these tables between its markers; one without markers comes back as it is."""
    block = f"{BEGIN}\n\n{tables}\n\n{END}"
    return BETWEEN.sub(lambda _: block, text)


def _question(question: Question, answer: report.Answer) -> str:
    medians = answer.medians()
    lines = [
        f"**{question.asks[0].upper()}{question.asks[1:]}** (`{question.name}`)",
        "",
        "| | median | |",
        "|---|---:|---|",
    ]
    for row in question.rows:
        if row.meaning and row.name in medians:
            promise = f"; promised: at most {question.at_most[row.name]:g}" if row.name in question.at_most else ""
            lines.append(f"| {row.meaning} | {report.figure(medians[row.name])} | {row.unit}{promise} |")
    for ratio in question.ratios:
        if ratio.name in answer.ratios:
            promise = f"promised: {ratio.promise()}" if ratio.promise() else ""
            lines.append(f"| `{ratio.name}` | {report.figure(answer.ratios[ratio.name])} | {promise} |")
    return "\n".join([*lines, "", _footnote(answer)])


def _footnote(answer: report.Answer) -> str:
    machine = answer.machine
    runs = max((len(row.runs) for row in answer.rows if not row.name.startswith("fsync_")), default=0)
    probed = answer.medians().get("fsync_before")
    disk = f", {machine['filesystem']}, {report.figure(probed)} durable writes/s" if probed else ""
    return (
        f"Medians of {runs} runs on {machine['cores']} cores of {machine['processor']}{disk}, "
        f"Python {machine['python']}, {_databases(machine)}, {machine['measured']}."
    )


def _databases(machine: Mapping[str, str]) -> str:
    """The servers that were measured with their versions; without any, SQLite."""
    servers = [f"{word} {machine[name]}" for name, word in SERVERS.items() if name in machine]
    return ", ".join(servers) or f"SQLite {machine['sqlite']}"


def main() -> int:
    """Rewrite, or with `--check` compare; the status is 1 when a document was behind and only compared."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; end with status 1 if a document is behind"
    )
    check: bool = parser.parse_args().check
    tables = speed(report.read())
    behind = 0
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if not document.exists():
            continue
        text = document.read_text()
        if (new := rewritten(text, tables)) != text:
            sys.stdout.write(f"{document.relative_to(ROOT)} {'is behind the results' if check else 'rewritten'}\n")
            behind = 1
            if not check:
                document.write_text(new)
    return behind if check else 0


if __name__ == "__main__":
    sys.exit(main())
