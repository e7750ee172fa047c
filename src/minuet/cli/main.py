"""The command `minuet`: one verb a module, imported when it is asked for, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer

from minuet.cli.options import examples
from minuet.errors import MinuetError


class Verb(NamedTuple):
    """Where a verb is, and what it does in a line."""

    place: str
    """`module:attribute`; a function is a command, a Typer a group of them."""
    help: str


VERBS = {
    "new": Verb("minuet.cli.new:new", "Start a project: an app, two services, their tests."),
    "run": Verb("minuet.cli.run:run", "Run an app's services in this process, or in several."),
    "demo": Verb("minuet.cli.demo:demo", "See the examples at work."),
    "graph": Verb("minuet.cli.graph:graph", "Draw the choreography: Mermaid, DOT or JSON."),
    "trace": Verb("minuet.cli.trace:trace", "Tell what became of one workflow instance, and what it waits for."),
    "dlq": Verb("minuet.cli.dlq:dlq", "Dead letters: list, show, redrive, discard."),
    "doctor": Verb("minuet.cli.doctor:doctor", "Check an app and its store, and say what to do."),
}
EXAMPLES = """
minuet new shop                        a project to start from
minuet run shop.app:app                run its services
minuet demo                            see five services at work first
minuet trace 536365 --db shop.db       what became of one order
"""
EXIT_CODES = "Exit codes: 0 well; 1 something is wrong or failed; 2 the command was not understood."


def main() -> None:
    """Run the command line and end the process with its exit code."""
    arguments = sys.argv[1:]
    try:
        command_line(asked_for(arguments))(prog_name="minuet")
    except MinuetError as error:
        fail(error, as_json="--json" in arguments)
    except BrokenPipeError:
        # Whoever read the output has gone, `| head` for one; without a stdout the interpreter has nothing to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def asked_for(arguments: list[str]) -> str | None:
    """The verb that these arguments name, None if they ask for help."""
    return next((word for word in arguments if not word.startswith("-")), None)


def command_line(verb: str | None) -> typer.Typer:
    """The command line with this verb loaded; of all others it knows name and help only."""
    program = typer.Typer(
        name="minuet", rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False,
        add_completion=False, epilog=f"{examples(EXAMPLES)}\n\n{EXIT_CODES}",
    )  # fmt: skip
    program.callback()(minuet)
    for name, (place, help_text) in VERBS.items():
        if name != verb:
            program.command(name, help=help_text)(nothing)
            continue
        module, _, attribute = place.partition(":")
        loaded = import_module(module)
        found: Any = getattr(loaded, attribute)
        if isinstance(found, typer.Typer):
            program.add_typer(found, name=name)
        else:
            program.command(name, epilog=examples(getattr(loaded, "EXAMPLES", "")))(found)
    return program


def tell_version(asked: bool) -> None:
    """Print the version and stop."""
    if asked:
        print(f"minuet {version('minuet')}")
        raise typer.Exit


def minuet(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=tell_version, is_eager=True)
    ] = False,
) -> None:
    """Services that react to each other's events, with no conductor."""


def nothing() -> None:
    """Stand for a verb that is not loaded."""


def fail(error: MinuetError, *, as_json: bool) -> None:
    """Say what went wrong, for people on stderr and for programs on stdout, and end with status 1."""
    if as_json:
        from minuet.cli.output import print_json

        print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
    print(error, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
