"""`python -m benchmarks [QUESTION ...]`: ask all questions, or some, print the answers and keep them."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.peers import PeersMissing
from benchmarks.question import Question
from benchmarks.questions import QUESTIONS
from benchmarks.series import SCRATCH, RunFailed, Settings, measure
from benchmarks.servers import ServersMissing


def main() -> int:
    """Ask; the status is 0 when every question got its answer, whether or not it kept its promises."""
    chosen = _arguments()
    settings = Settings(chosen.runs, chosen.scale, tuple(chosen.without), not chosen.no_gate, chosen.directory)
    whole = Settings(directory=chosen.directory)
    results: Path = chosen.results or (report.RESULTS if settings == whole else SCRATCH / "results")
    named = {question.name: question for question in QUESTIONS}
    console = Console()
    failed = 0
    for name in chosen.questions or named:
        try:
            answer = _ask(named[name], settings, console)
        except (RunFailed, PeersMissing, ServersMissing) as error:
            console.print(f"{name} got no answer: {error}", style="red", markup=False, highlight=False)
            failed = 1
            continue
        file = report.write(answer, results)
        console.print(report.table(named[name], answer))
        console.print(f"Kept in {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}.\n")
    return failed


def _ask(question: Question, settings: Settings, console: Console) -> report.Answer:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(question.name, total=None)

        def watch(starting: str, done: int, total: int) -> None:
            progress.update(task, description=f"{question.name}: {starting}", completed=done, total=total)

        return measure(question, settings, watch)


def _arguments() -> argparse.Namespace:
    names = [question.name for question in QUESTIONS]
    ways = sorted({program.way for question in QUESTIONS for program in question.programs})
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure minuet beside its peers.")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(names)}; all if none is named")
    parser.add_argument("--runs", type=int, help="rounds, in place of the question's own number")
    parser.add_argument("--scale", type=float, default=1.0, help="a factor on how much each run does; 0.1 for a look")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=ways,
        metavar="WAY",
        help=f"leave out one of {', '.join(ways)}",
    )
    parser.add_argument("--no-gate", action="store_true", help="do not wait for the disk's fast regime")
    parser.add_argument("--directory", type=Path, default=SCRATCH, help="where runs put their files; the disk measured")
    parser.add_argument("--results", type=Path, help="where answers are kept; a partial run's go to .bench/results")
    read = parser.parse_args()
    for name in read.questions:
        if name not in names:
            parser.error(f"no question is named {name}; there are {', '.join(names)}")
    return read


if __name__ == "__main__":
    sys.exit(main())
