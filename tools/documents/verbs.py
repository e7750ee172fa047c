"""The generated reference of the command line: what each verb says of itself when it is asked for help."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import Protocol, cast

import typer

from minuet.cli.main import VERBS, command_line

COLUMNS = 100


class Command(Protocol):
    """A command as typer makes it."""

    def main(self, args: list[str], *, prog_name: str, standalone_mode: bool, terminal_width: int) -> object:
        """Perform the command with these arguments."""
        ...


def verbs() -> str:
    """The help of every verb, and of each command of a verb that is a group."""
    return "\n\n".join(section for verb in VERBS for section in _sections(verb))


def _sections(verb: str) -> Iterator[str]:
    program = typer.main.get_command(command_line(verb))
    group: Mapping[str, object] = getattr(_commands(program)[verb], "commands", {})
    yield f"## minuet {verb}\n\n{_help(program, verb)}"
    for name in group:
        yield f"### minuet {verb} {name}\n\n{_help(program, verb, name)}"


def _commands(group: object) -> Mapping[str, object]:
    commands: Mapping[str, object] = getattr(group, "commands")  # noqa: B009  # typer's type says less
    return commands


def _help(program: object, *words: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        cast(Command, program).main(
            [*words, "--help"], prog_name="minuet", standalone_mode=False, terminal_width=COLUMNS
        )
    text = "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())
    return f"```text\n{text}\n```"
