"""`minuet dlq`: dead letters listed, shown, handed back to the consumer that failed, or given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from rich.progress import Progress

from minuet.cli.letters import fields_of, print_heads, print_letter, print_outcome
from minuet.cli.opening import Place, opened_store, place_of
from minuet.cli.options import AsJson, Database, StoreUrl, examples
from minuet.cli.output import notes, print_json
from minuet.cli.selecting import (
    AppOption,
    Consent,
    Every,
    Expect,
    ForReason,
    InState,
    Numbers,
    OfInstance,
    OfReaction,
    OfService,
    OnTopic,
    WithKey,
    Yes,
    agree,
    chosen,
    edit_of,
    in_words,
    selected,
)
from minuet.contracts.duration import seconds
from minuet.core.pace import interval_seconds
from minuet.core.selection import Selection, freeze
from minuet.errors import MinuetError
from minuet.ports.store import DeadLetter, DeadLetterFilter, DeadLetterHead, ParkedFilter, Standing
from minuet.runtime.redrive import Outcome, Redrive, editor
from minuet.runtime.system import SystemClock

dlq = typer.Typer(
    help="Dead letters: deliveries that were given up on, with all that is known of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

LIST = """
minuet dlq list --db shop.db                              all that are open, and how many for which reason
minuet dlq list --service payments --reason permanent_error
minuet dlq list --correlation 536365 --state all --json
"""
SHOW = """
minuet dlq show 7 --db shop.db                            error, trace, attempts, what waits behind it, the event
"""
REDRIVE = """
minuet dlq redrive 7 --db shop.db --yes                   one
minuet dlq redrive --reaction payments.charge             shows how many and their hash, then asks
minuet dlq redrive --reason payload --expect 5f3c09a1b2d4 exactly the set with this hash
minuet dlq redrive --all --yes --canary 3 --rate 10/s     three first, the rest only if those are handled
minuet dlq redrive 7 --app shop.app:app --edit '{"pence": 500}' --yes
"""
DISCARD = """
minuet dlq discard 7 --because "the customer is gone" --yes
"""

SHOWN_BEHIND = 10


@dlq.command("list", epilog=examples(LIST))
def list_(
    service: OfService = None,
    reaction: OfReaction = None,
    topic: OnTopic = None,
    reason: ForReason = None,
    correlation: OfInstance = None,
    key: WithKey = None,
    state: InState = "open",
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many; all are counted.")] = 50,
    db: Database = None,
    store: StoreUrl = None,
    app: AppOption = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first, and count them by reason."""
    which = chosen(service, reaction, topic, reason, correlation, key, state)
    heads = asyncio.run(survey(place_of(db=db, store=store, app=app), which))
    if as_json:
        counts = dict(Counter(head.reason for head in heads))
        print_json({"count": len(heads), "hash": freeze(heads).hash, "reasons": counts, "letters": heads[:limit]})
    else:
        print_heads(heads, limit)


@dlq.command(epilog=examples(SHOW))
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="The letter's number.")],
    db: Database = None,
    store: StoreUrl = None,
    app: AppOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with everything that is kept of it. Status 1 if there is none of this number."""
    letter, behind, count = asyncio.run(look_up(place_of(db=db, store=store, app=app), number))
    if as_json:
        print_json({"letter": fields_of(letter), "waiting_behind": count, "first_behind": behind})
    else:
        print_letter(letter, behind, count)


@dlq.command(epilog=examples(REDRIVE))
def redrive(
    numbers: Numbers = None,
    service: OfService = None,
    reaction: OfReaction = None,
    topic: OnTopic = None,
    reason: ForReason = None,
    correlation: OfInstance = None,
    key: WithKey = None,
    every: Every = False,
    yes: Yes = False,
    expect: Expect = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/UNIT", help="At most so fast: 10/s, 100/m, 5/h.", show_default=False)
    ] = None,
    canary: Annotated[
        int, typer.Option(min=0, metavar="N", help="So many go first; stop unless all of them are handled.")
    ] = 0,
    wait: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Wait so long for outcomes; canaries wait 60s.", show_default=False),
    ] = None,
    edit: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Change the payload: a merge patch; needs an app.", show_default=False),
    ] = None,
    edit_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The whole new payload, as JSON; needs an app.", show_default=False),
    ] = None,
    db: Database = None,
    store: StoreUrl = None,
    app: AppOption = None,
    as_json: AsJson = False,
) -> None:
    """Hand open dead letters back to the one consumer that failed, under their own ids.

    The set is frozen first: its count and hash are shown, and nothing but it is redriven. A redrive starts from the
    original bytes; an edit is checked against the contract, and the difference is kept with the letter.

    Status 1 if one died again, a canary stopped the rest, or nothing was open any more.
    """
    which = selected(numbers, service, reaction, topic, reason, correlation, key, every)
    change = edit_of(edit, edit_file)
    plan = Plan(
        interval_seconds=in_words(interval_seconds, rate, "--rate") if rate is not None else 0.0,
        canaries=canary,
        wait_seconds=in_words(seconds, wait, "--wait") if wait is not None else None,
    )
    place = place_of(db=db, store=store, app=app)
    if change is not None and place.app is None:
        raise typer.BadParameter("An edit is checked against the contract: say --app shop.app:app.", param_hint="--app")

    async def act(at: Redrive, selection: Selection, done: Callable[[int], None]) -> Outcome:
        changed = editor(place.app.services, change) if change is not None and place.app is not None else None
        return await at.hand_back(
            selection,
            edit=changed,
            interval_seconds=plan.interval_seconds,
            canaries=plan.canaries,
            canary_seconds=60.0 if plan.wait_seconds is None else plan.wait_seconds,
            wait_seconds=plan.wait_seconds or 0.0,
            done=done,
        )

    carry_out("redrive", place, which, Consent(yes, expect), act, as_json)


@dlq.command(epilog=examples(DISCARD))
def discard(
    numbers: Numbers = None,
    because: Annotated[str | None, typer.Option(help="Why; kept with the letter.", show_default=False)] = None,
    service: OfService = None,
    reaction: OfReaction = None,
    topic: OnTopic = None,
    reason: ForReason = None,
    correlation: OfInstance = None,
    key: WithKey = None,
    every: Every = False,
    yes: Yes = False,
    expect: Expect = None,
    db: Database = None,
    store: StoreUrl = None,
    app: AppOption = None,
    as_json: AsJson = False,
) -> None:
    """Give open dead letters up for good. What waits behind them goes on; the letters stay until retention."""
    if because is None or not because.strip():
        raise typer.BadParameter('Say why: --because "the customer is gone".', param_hint="--because")
    which = selected(numbers, service, reaction, topic, reason, correlation, key, every)

    async def act(at: Redrive, selection: Selection, done: Callable[[int], None]) -> Outcome:
        return await at.discard(selection, because, done)

    carry_out("discard", place_of(db=db, store=store, app=app), which, Consent(yes, expect), act, as_json)


class Plan(NamedTuple):
    """How a redrive goes."""

    interval_seconds: float
    canaries: int
    wait_seconds: float | None


Act = Callable[[Redrive, Selection, Callable[[int], None]], Awaitable[Outcome]]


def carry_out(verb: str, place: Place, which: DeadLetterFilter, consent: Consent, act: Act, as_json: bool) -> None:
    """Freeze, show, ask, act, tell."""
    selection, outcome = asyncio.run(frozen_and_done(verb, place, which, consent, act))
    if as_json:
        print_json({"count": len(selection), "hash": selection.hash, **msgspec.structs.asdict(outcome)})
    else:
        print_outcome(outcome)
    gone = outcome.resolved or outcome.redriven or outcome.discarded
    if outcome.died_again or outcome.left or (selection.ids and not gone) or (which.ids and not selection.ids):
        raise typer.Exit(1)


async def frozen_and_done(
    verb: str, place: Place, which: DeadLetterFilter, consent: Consent, act: Act
) -> tuple[Selection, Outcome]:
    """The selection, and what became of it."""
    async with opened_store(place) as store:
        at = Redrive(store, SystemClock())
        selection = await at.select(which)
        count = f"{len(selection)} open dead letter{'' if len(selection) == 1 else 's'}"
        out = notes()
        out.print(f"{count}, hash {selection.hash}", soft_wrap=True)
        if not selection.ids:
            out.print("Nothing was done.")
            return selection, Outcome()
        agree(verb, selection, consent)
        with Progress(console=out, transient=True) as progress:
            task = progress.add_task(verb, total=len(selection))
            outcome = await act(at, selection, lambda step: progress.advance(task, step))
    return selection, outcome


async def survey(place: Place, which: DeadLetterFilter) -> list[DeadLetterHead]:
    """The dead letters that match."""
    async with opened_store(place) as store:
        return await store.survey_dead_letters(which)


async def look_up(place: Place, number: int) -> tuple[DeadLetter, list[Standing], int]:
    """One letter, the first that wait behind it, and how many do."""
    async with opened_store(place) as store:
        found = await store.list_dead_letters(DeadLetterFilter(state=None, ids=(number,)))
        if not found:
            raise MinuetError(
                f"There is no dead letter {number} in {store!r}. `minuet dlq list --state all` lists them."
            )
        [letter] = found
        if letter.key is None:
            return letter, [], 0
        waiting = await store.parked(
            ParkedFilter(consumer=letter.consumer, key=letter.key, unsettled=True), SHOWN_BEHIND + 1
        )
        behind = [one for one in waiting if one.delivery.dead_letter != number][:SHOWN_BEHIND]
        return letter, behind, await store.waiting_behind(letter)
