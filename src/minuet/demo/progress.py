"""How far every service is, live on a terminal, or now and then in a line."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from minuet.demo.watch import Glance

LINES = 10
"""How many lines tell of a whole run where nothing can be drawn live."""


@contextmanager
def shown(console: Console) -> Generator[Callable[[Glance], None]]:
    """Give a function to which each look is shown."""
    if not console.is_terminal:
        yield Lines(console).show
        return
    bars = Bars()
    with Live(bars.drawing, console=console, refresh_per_second=10):
        yield bars.show


class Bars:
    """A bar for what is fed and one for each service."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[killed]}"),
        )
        self._tasks = {name: self._progress.add_task(name, total=None, killed="") for name in ("fed",)}
        self._line = Text()
        self.drawing = Group(self._progress, self._line)

    def show(self, glance: Glance) -> None:
        """Draw this."""
        self._bar("fed", glance.fed, glance.invoices, killed_of(glance, "feeder"))
        for service, due in glance.due.items():
            self._bar(service, glance.done.get(service, 0), due, killed_of(glance, service))
        self._line.plain = (
            f"{glance.retries} retries, {glance.duplicates_absorbed} duplicates absorbed, {glance.kills} killed"
        )

    def _bar(self, name: str, done: int, due: int, killed: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=due, killed="")
        self._progress.update(
            self._tasks[name],
            completed=done,
            total=due,
            killed=f"[red]killed {killed} times" if killed > 1 else "[red]killed once" if killed else "",
        )


class Lines:
    """A line for each part of the run that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0

    def show(self, glance: Glance) -> None:
        """Say this, if a further part is done since it was said last."""
        parts = int(glance.share * LINES)
        if parts > self._shown:
            self._shown = parts
            services = "  ".join(f"{name} {number:,}" for name, number in glance.done.items())
            self._console.print(
                f"{glance.share:5.0%}  fed {glance.fed:,}  {services}  killed {glance.kills}",
                highlight=False,
                soft_wrap=True,
            )


def killed_of(glance: Glance, service: str) -> int:
    """How many processes of a service were killed."""
    return sum(lives - 1 for name, lives in glance.lives.items() if name.partition(" ")[0] == service)
