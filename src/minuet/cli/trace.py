"""`minuet trace`: one workflow instance as a tree, and a sentence for everything that it still waits for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from minuet.cli.opening import Place, opened, place_of
from minuet.cli.options import AsJson, BrokerUrl, Database, StoreUrl
from minuet.cli.output import clock_time, console, date_time, length, notes, print_json
from minuet.config import named
from minuet.errors import StoreUnavailable
from minuet.instances.instance import Handling, Instance, InstanceEvent, Wait
from minuet.instances.reading import read_instance
from minuet.runtime.system import SystemClock

EXAMPLES = """
minuet trace 536365 --db shop.db                    an instance by its correlation id
minuet trace 536365                                 where the app of pyproject.toml keeps it
minuet trace 536365 --store URL --broker URL        with the broker elsewhere
minuet trace 536365 --db shop.db --json | jq -r '.awaited[].sentence'
"""
DEEPEST = 20
"""How many events deep a tree is shown."""
STYLES = {
    "handled": "green",
    "running": "cyan",
    "awaited": "yellow",
    "retrying": "yellow",
    "waiting_behind": "yellow",
    "dead_letter": "bold red",
    "discarded": "dim",
}


def trace(
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION", help="The instance's correlation id.")],
    db: Database = None,
    store: StoreUrl = None,
    broker: BrokerUrl = None,
    app: Annotated[
        str | None, typer.Option(metavar="APP", help="Look where this app keeps its state.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Find events by their ids alone: instant on any log, and blind to some from outside.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what became of one workflow instance.

    Its events with their times, under each the reactions that take it and how they stand, under those what they
    emitted; and what is still awaited, from whom, since when and why. Nothing is taken and nothing changed: it may
    run beside services at work. Status 1 if there is no such instance.
    """
    place = place_of(db=db, store=store, broker=broker, app=app)
    with notes().status(f"Looking for {correlation_id}"):
        instance = asyncio.run(read(place, correlation_id, quick))
    if instance is None:
        raise StoreUnavailable(
            f"{named(place.broker)} holds no event of an instance {correlation_id!r}. Check the id and the place; "
            "events that are older than the retention are forgotten."
        )
    if as_json:
        print_json(instance)
        return
    out = console()
    out.print(tree_of(instance), soft_wrap=not sys.stdout.isatty())
    for line in conclusion(instance, SystemClock().now()):
        out.print(line, soft_wrap=True)


async def read(place: Place, correlation_id: str, quick: bool) -> Instance | None:
    """The instance, None if there is none."""
    async with opened(place) as (broker, store):
        return await read_instance(broker, store, SystemClock(), correlation_id, quick=quick)


def tree_of(instance: Instance) -> Tree:
    """The instance from its first events down. A chain that is too deep for a screen goes on at the left."""
    root = Tree(heading(instance), guide_style="dim")
    ids = {event.id for event in instance.events}
    children = children_of(instance)
    firsts = [event for event in instance.events if event.causation_id not in ids]
    grown: set[str] = set()
    # Whatever foreign causes make of it (a circle, for one), each event is told once.
    for event in [*firsts, *instance.events]:
        waiting = [(root, event, 0)]
        while waiting:
            above, one, depth = waiting.pop()
            if one.id in grown:
                continue
            grown.add(one.id)
            branch = (root if depth > DEEPEST else above).add(event_text(one, ids, continues=depth > DEEPEST))
            depth = 0 if depth > DEEPEST else depth
            twigs = [(handling.reaction, branch.add(handling_text(handling))) for handling in one.handlings]
            below = [
                (twig, child, depth + 1)
                for reaction, twig in [*twigs, (None, branch)]
                for child in children.get((one.id, reaction), ())
            ]
            waiting += reversed(below)
    return root


def heading(instance: Instance) -> Text:
    """What is to be said of the whole."""
    text = Text(instance.correlation_id, "bold")
    if instance.workflow is not None:
        text.append(f"  {instance.workflow}", "default not bold")
    style = {"ended": "green", "running": "yellow", "stuck": "bold red"}[instance.state]
    text.append(f"  {instance.state}", style)
    if instance.late:
        text.append("  late", "bold red")
    if instance.began_at is not None and instance.last_at is not None:
        lasted = length(instance.last_at - instance.began_at)
        text.append(f"  began {date_time(instance.began_at)}, last event {lasted} later", "dim not bold")
    return text


def children_of(instance: Instance) -> dict[tuple[str, str | None], list[InstanceEvent]]:
    """The events by what caused them: an event's id, and the reaction, None where that is not known."""
    children: dict[tuple[str, str | None], list[InstanceEvent]] = {}
    for event in instance.events:
        if event.causation_id is not None:
            children.setdefault((event.causation_id, event.emitted_by), []).append(event)
    return children


def event_text(event: InstanceEvent, ids: set[str], *, continues: bool) -> Text:
    """An event on its line."""
    text = Text("and then  " if continues else "", "dim")
    text.append(event.type, "bold not dim")
    text.append(f"  {event.service}", "not dim")
    if event.key is not None:
        text.append(f"  {event.key}", "not dim")
    if event.at is not None and event.offset_seconds is not None:
        text.append(f"  {clock_time(event.at)}  +{length(event.offset_seconds)}")
    if event.owed:
        text.append("  in the outbox", "yellow not dim")
    if event.causation_id is not None and event.causation_id not in ids:
        text.append("  its cause is no longer in the log")
    return text


def handling_text(handling: Handling) -> Text:
    """How a reaction stands to an event."""
    text = Text(handling.reaction)
    text.append(f"  {handling.state.replace('_', ' ')}", STYLES[handling.state])
    details: list[str] = []
    if handling.dead_letter is not None:
        open_again = handling.state in ("dead_letter", "discarded")
        details.append(f"number {handling.dead_letter}" if open_again else f"was dead letter {handling.dead_letter}")
    if handling.reason is not None:
        details.append(handling.reason)
    if handling.attempts > 1 or handling.state in ("retrying", "running"):
        details.append(f"{handling.attempts} attempt{'s' if handling.attempts != 1 else ''}")
    if handling.state == "retrying" and handling.due_at is not None:
        details.append(f"next at {clock_time(handling.due_at)}")
    if handling.error is not None and handling.state != "handled":
        details.append(handling.error)
    if details:
        text.append(f"  {', '.join(details)}", "dim")
    return text


def conclusion(instance: Instance, now: float) -> Iterator[Text]:
    """What it ended with, and what it still waits for, in sentences."""
    if instance.ended_with:
        yield Text(f"It ended with {' and '.join(instance.ended_with)}.")
    if not instance.awaited:
        if instance.state == "stuck":
            yield Text("Nobody is at work for it, and it has not ended: a reaction emitted nothing on the way.")
        return
    yield Text("Still awaited:" if instance.state != "ended" else "Not done with it yet:")
    for (sentence, given_up), waits in grouped(instance.awaited).items():
        text = Text("  - ").append(sentence, "red" if given_up else "")
        since = min((wait.since for wait in waits if wait.since is not None), default=None)
        if since is not None:
            text.append(f"; since {length(max(0.0, now - since))}", "dim")
        if len(waits) > 1:
            text.append(f" ({len(waits)} times)", "dim")
        yield text
    if instance.possible_ends and instance.state != "ended":
        yield Text(f"It may still end with {' or '.join(instance.possible_ends)}.", "dim")


def grouped(waits: tuple[Wait, ...]) -> dict[tuple[str, bool], list[Wait]]:
    """Waits of the same words, together."""
    found: dict[tuple[str, bool], list[Wait]] = {}
    for wait in waits:
        found.setdefault((wait.sentence, wait.given_up), []).append(wait)
    return found
