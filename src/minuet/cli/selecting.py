"""Which dead letters a verb acts on, and whether it was agreed to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
import typer

from minuet.contracts.duration import Duration
from minuet.core.editing import Edit
from minuet.core.selection import Selection
from minuet.errors import DeclarationError, MinuetError
from minuet.ports.store import DeadLetterFilter

State = Literal["open", "redriven", "resolved", "discarded"]
STATES: tuple[State, ...] = get_args(State)

Numbers = Annotated[list[int] | None, typer.Argument(metavar="ID", help="Numbers of letters.", show_default=False)]
OfService = Annotated[str | None, typer.Option("--service", help="Of this service's reactions.", show_default=False)]
OfReaction = Annotated[
    str | None, typer.Option("--reaction", help="Of this reaction, `payments.charge`.", show_default=False)
]
OnTopic = Annotated[str | None, typer.Option("--topic", help="Of events of this name.", show_default=False)]
ForReason = Annotated[
    str | None, typer.Option("--reason", help="That died for this reason, `retries_exhausted`.", show_default=False)
]
OfInstance = Annotated[str | None, typer.Option("--correlation", help="Of this instance.", show_default=False)]
WithKey = Annotated[str | None, typer.Option("--key", help="With this key.", show_default=False)]
InState = Annotated[str, typer.Option("--state", help=f"One of {', '.join(STATES)}, all.")]
AppOption = Annotated[
    str | None, typer.Option("--app", metavar="APP", help="Look where this app keeps its state.", show_default=False)
]
Every = Annotated[bool, typer.Option("--all", help="All that are open.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Expect = Annotated[
    str | None,
    typer.Option("--expect", metavar="HASH", help="Do it if the set still has this hash.", show_default=False),
]


class Consent(NamedTuple):
    """What was agreed to beforehand."""

    yes: bool
    expect: str | None


def agree(verb: str, selection: Selection, consent: Consent) -> None:
    """Go on only with consent to exactly this set."""
    if consent.expect is not None:
        if consent.expect != selection.hash:
            raise MinuetError(
                f"The set has the hash {selection.hash} now, and {consent.expect} was expected: it has changed since "
                "it was looked at. Nothing was done. Look again with `minuet dlq list`."
            )
        return
    if consent.yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"Nothing was done. Say --yes, or --expect {selection.hash} to {verb} exactly this set.",
            param_hint="--expect",
        )
    typer.confirm(f"{verb.capitalize()} them?", abort=True, err=True)


def chosen(
    service: str | None,
    reaction: str | None,
    topic: str | None,
    reason: str | None,
    correlation: str | None,
    key: str | None,
    state: str = "open",
) -> DeadLetterFilter:
    """The filter that these options make."""
    known: State | None = next((one for one in STATES if one == state), None)
    if known is None and state != "all":
        raise typer.BadParameter(f"{state!r} is no state. Choose from {', '.join(STATES)}, all.", param_hint="--state")
    if service is not None and reaction is not None:
        raise typer.BadParameter("Give --service or --reaction; a reaction names its service.", param_hint="--reaction")
    return DeadLetterFilter(
        state=known,
        consumer=reaction or service,
        topic=topic,
        reason=reason,
        correlation_id=correlation,
        key=key,
    )


def selected(
    numbers: Sequence[int] | None,
    service: str | None,
    reaction: str | None,
    topic: str | None,
    reason: str | None,
    correlation: str | None,
    key: str | None,
    every: bool,
) -> DeadLetterFilter:
    """The filter of what is acted on; acting on everything must be said."""
    which = chosen(service, reaction, topic, reason, correlation, key)
    if numbers:
        which = msgspec.structs.replace(which, ids=tuple(numbers))
    if which == DeadLetterFilter() and not every:
        raise typer.BadParameter("Say which: numbers, a filter such as --reason, or --all.", param_hint="ID")
    return which


def in_words(read: Callable[[str], float] | Callable[[Duration], float], text: str, option: str) -> float:
    """An option's value, or a usage error in the reader's words."""
    try:
        return read(text)
    except DeclarationError as error:
        raise typer.BadParameter(error.message, param_hint=option) from None


def edit_of(patch: str | None, file: Path | None) -> Edit | None:
    """The edit that the options ask for."""
    if patch is not None and file is not None:
        raise typer.BadParameter("Give --edit or --edit-file, not both.", param_hint="--edit")
    if patch is None and file is None:
        return None
    option = "--edit" if patch is not None else "--edit-file"
    try:
        text = patch.encode() if patch is not None else file.read_bytes() if file is not None else b""
        return Edit(msgspec.json.decode(text, type=dict[str, object]), whole=file is not None)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}.", param_hint=option) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise typer.BadParameter(f"This is not a JSON object: {error}.", param_hint=option) from None
