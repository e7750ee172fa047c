"""Dead letters as people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minuet.cli.output import console, date_time, pairs
from minuet.contracts.envelope import read
from minuet.core.editing import pretty
from minuet.errors import Rejected
from minuet.ports.store import DeadLetter, DeadLetterHead, Standing
from minuet.runtime.redrive import Outcome

COLUMNS = ("id", "died", "reaction", "event", "key", "reason", "attempts", "state", "error")
STATE_STYLES = {"open": "bold red", "redriven": "yellow", "resolved": "green", "discarded": "dim"}


def print_heads(heads: Sequence[DeadLetterHead], limit: int) -> None:
    """A table, and the counts by reason under it."""
    out = console()
    if not heads:
        out.print("No dead letter matches.")
        return
    rows = [
        (str(head.id), date_time(head.at), head.consumer, head.type or head.topic, head.key or "", head.reason,
         str(head.attempts), head.state, head.error)
        for head in heads[:limit]
    ]  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for place, name in enumerate(COLUMNS):
        # Only the error is cut short; it is whole in a pipe, and in `dlq show`.
        width = None if name == "error" else max(len(name), *(len(row[place]) for row in rows))
        right = name in ("id", "attempts")
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(cell, STATE_STYLES.get(cell, "")) for cell in row))
    out.print(table)
    if len(heads) > limit:
        out.print(f"... and {len(heads) - limit} more; --limit shows them.")
    counts = Counter(head.reason for head in heads).most_common()
    out.print(f"\n{len(heads)}: {', '.join(f'{count} {reason}' for reason, count in counts)}", soft_wrap=True)


def print_letter(letter: DeadLetter, behind: Sequence[Standing], count: int) -> None:
    """Everything that is kept of a letter."""
    out = console()
    out.print(
        pairs([
            ("dead letter", letter.id),
            ("state", letter.state),
            ("because", letter.because),
            ("reaction", letter.consumer),
            ("event", letter.type or f"on topic {letter.topic}"),
            ("event id", letter.event_id),
            ("source", letter.source),
            ("correlation", letter.correlation_id),
            ("key", letter.key),
            ("died", date_time(letter.at)),
            ("reason", letter.reason),
            ("error", letter.error),
            ("attempts", letter.attempts),
        ]),
        soft_wrap=True,
    )  # fmt: skip
    for number, attempt in enumerate(letter.history, 1):
        out.print(Text(f"  {number}. {date_time(attempt.at)}  {attempt.error}"), soft_wrap=True)
    print_behind(out, letter, behind, count)
    section(out, "The trace", letter.trace.rstrip())
    section(out, "The event as it came", body_text(letter))
    if letter.difference:
        section(out, "What was edited when it was last redriven", letter.difference.rstrip())
    if letter.state == "open":
        out.print(f"\nHand it back with `minuet dlq redrive {letter.id}`.", style="dim")


def print_behind(out: Console, letter: DeadLetter, behind: Sequence[Standing], count: int) -> None:
    """What waits because of it."""
    if not count:
        return
    out.print(f"\nBehind it, {count} later of key {letter.key} {'wait' if count > 1 else 'waits'}:", soft_wrap=True)
    for one in behind:
        out.print(Text(f"  {one.delivery.topic} {one.delivery.event_id or ''} ({one.state})"), soft_wrap=True)
    if count > len(behind):
        out.print(f"  ... and {count - len(behind)} more")


def section(out: Console, title: str, text: str) -> None:
    """A text under its title."""
    out.print(f"\n{title}", style="bold")
    out.print(Text(text), soft_wrap=True)


def body_text(letter: DeadLetter) -> str:
    """The original event, in the mode that it came in: JSON on lines; bytes that are none as they are."""
    headers = "".join(f"{name}: {value}\n" for name, value in (letter.headers or {}).items())
    try:
        read(letter.headers, letter.body)
        body = pretty(msgspec.json.decode(letter.body)).rstrip()
    except (Rejected, msgspec.DecodeError, UnicodeError, RecursionError):
        body = letter.body if isinstance(letter.body, str) else repr(letter.body)
    return f"{headers}\n{body}" if headers else body


def fields_of(letter: DeadLetter) -> dict[str, object]:
    """A letter for programs: bytes that are no text are in base64 and say so."""
    fields: dict[str, object] = msgspec.structs.asdict(letter)
    if isinstance(letter.body, bytes):
        try:
            fields["body"] = letter.body.decode()
        except UnicodeDecodeError:
            fields["body_base64"] = fields.pop("body")
    return fields


def print_outcome(outcome: Outcome) -> None:
    """What became of a selection, in sentences."""
    out = console()
    for numbers, what in (
        (outcome.resolved, "handled"),
        (outcome.redriven, "handed back; `minuet dlq list --state redriven` has those that are on their way"),
        (outcome.died_again, "died again"),
        (outcome.discarded, "discarded"),
        (outcome.passed_over, "passed over: not open any more"),
        (outcome.left, "left alone, because a canary was not handled"),
    ):
        if numbers:
            shown = ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
            out.print(f"{len(numbers)} {what} ({shown})", soft_wrap=True)
