"""`minuet demo`: the examples at work, up to a fleet of processes that are killed as they run."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from minuet.app import App
from minuet.demo.plan import PLAN, Plan, url_of
from minuet.demo.play import Played, play
from minuet.demo.verdict import Verdict
from minuet.errors import MinuetError
from minuet.examples.order_fulfilment.generate import MOST_ORDERS, write
from minuet.examples.order_fulfilment.input import SHIPPED
from minuet.examples.order_fulfilment.settings import Settings

T = TypeVar("T")
NEXT = """
Try next:
  minuet demo order --kills 20   each service in processes of its own, killed as they work
  minuet demo content            a video from upload to publication
  minuet demo notification       one partner is down, and nobody else notices"""

demo = typer.Typer(name="demo", help="See the examples at work.", invoke_without_command=True, no_args_is_help=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object last, for programs.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the SQLite file stays; by default a new temporary directory.")
]
BrokerUrl = Annotated[str | None, typer.Option("--broker", metavar="URL", help="By default where the store is.")]
StoreUrl = Annotated[str | None, typer.Option("--store", metavar="URL", help="By default a SQLite file in --dir.")]


@demo.callback()
def look(context: typer.Context, as_json: Json = False) -> None:
    """Look at the flow of a day's orders through five services, in one process. With a name: more of it."""
    if context.invoked_subcommand is not None:
        return
    from minuet.demo.order import run_alone

    console = console_for(as_json)
    directory = place(None)
    plan = Plan(directory=directory, files=(SHIPPED,), settings=settings_here())
    console.print(
        "A day of a real shop: five services that react to each other's events, on one SQLite file.\n", soft_wrap=True
    )
    verdict = run_order(plan, console, run_alone)
    console.print()
    print_paths(console, plan)
    finish(verdict, plan, console, as_json)
    console.print(Text(NEXT), soft_wrap=True)
    raise typer.Exit(verdict.status)


@demo.command()
def order(
    *,
    orders: Annotated[
        list[Path] | None, typer.Option("--orders", help="A file of invoice lines; by default the day that ships.")
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="More such files.")] = None,
    generate: Annotated[
        int | None, typer.Option(min=1, max=MOST_ORDERS, help="Make up so many orders instead.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What all chance follows from.")] = None,
    decline: Annotated[float | None, typer.Option(min=0, max=1, help="Share of payments declined.")] = None,
    shortage: Annotated[float | None, typer.Option(min=0, max=1, help="Share of orders short of stock.")] = None,
    kills: Annotated[int, typer.Option(min=0, help="How many processes are killed (kill -9).")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes for each service.")] = 1,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """A shop's orders through five services, each in its own process; the books are audited at the end.

    Exit status 0 only if every penny and every unit is accounted for.

    On a server the run has a place of its own: a schema of PostgreSQL, an exchange of RabbitMQ, a prefix of Kafka's
    names. With --dir it is kept, and the directory's plan.json names it; without, it is removed once the books balance.
    A URL that names its place (?schema=, ?exchange=, ?prefix=) must name one where no run has been, and that one stays.
    """
    from minuet.demo.order import run_fleet
    from minuet.demo.places import own

    console = console_for(as_json)
    files = [*(orders or ()), *(more or ())]
    if files and generate is not None:
        fail("--orders and --generate are two sources of orders. Give one of them.", 2)
    usual = settings_here()
    settings = replace(
        usual,
        seed=usual.seed if seed is None else seed,
        decline=usual.decline if decline is None else decline,
        shortage=usual.shortage if shortage is None else shortage,
    )
    at = place(directory)
    if generate is not None:
        files = [at / "generated.csv"]
    name = f"minuet_demo_{secrets.token_hex(4)}"
    plan = Plan(
        directory=at,
        files=tuple(files or [SHIPPED]),
        settings=settings,
        kills=kills,
        workers=workers,
        broker=attempt(lambda: own(broker or store or "", name), 2),
        store=attempt(lambda: own(store or "", name), 2),
    )
    made = () if directory is not None else tuple(url for url in (plan.broker, plan.store) if name in url)
    check_places(plan)
    if generate is not None and plan.used is None:
        at.mkdir(parents=True, exist_ok=True)
        write(files[0], generate, settings.seed)
    verdict = run_order(plan, console, run_fleet)
    if verdict.balanced and made:
        forget(made)
        shutil.rmtree(at)
    finish(verdict, plan, console, as_json, gone=verdict.balanced and bool(made))
    raise typer.Exit(verdict.status)


@demo.command()
def audit(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where an earlier run left its file.")],
    as_json: Json = False,
) -> None:
    """Audit the books of an earlier `minuet demo order` again, as they stand in its file now."""
    from minuet.demo.order import audit_again

    console = console_for(as_json)
    plan = attempt(lambda: Plan.load(directory))
    verdict = attempt(lambda: asyncio.run(audit_again(plan)))
    finish(verdict, plan, console, as_json)
    raise typer.Exit(verdict.status)


@demo.command()
def content(directory: Directory = None, as_json: Json = False) -> None:
    """Four videos from upload to publication; one of them breaks a house rule."""
    from minuet.examples.content_publishing import app as example

    play_example("content", example.build, example.play, directory, as_json=as_json)


@demo.command()
def notification(directory: Directory = None, as_json: Json = False) -> None:
    """Four customers register, four services take note, and the one whose partner is down bothers nobody."""
    from minuet.examples.notification_fanout import app as example

    play_example("accounts", example.build, example.play, directory, as_json=as_json)


def play_example(
    name: str,
    build: Callable[[str, str], App],
    begin: Callable[[App], Coroutine[Any, Any, None]],
    directory: Path | None,
    *,
    as_json: bool,
) -> None:
    """Play an example on a file of its own, and tell what became of each instance."""
    from minuet.demo.paths import path

    console = console_for(as_json)
    at = place(directory)
    database = at / f"{name}.db"
    if database.exists():
        fail(f"{at} already holds a {name}.db. Give another --dir, or remove that one.", 2)
    at.mkdir(parents=True, exist_ok=True)
    log_to(at / f"{name}.log")
    url = url_of(database)
    played: Played = attempt(lambda: asyncio.run(play(build(url, url), url, begin)))
    for instance, names in played.instances.items():
        console.print(f"{instance:<6} {path(names)}", highlight=False, soft_wrap=True)
    for instance, reaction, error in played.dead_letters:
        console.print(Text(f"{instance:<6} dead letter of {reaction}: {error}", "yellow"), soft_wrap=True)
    if played.retries or played.dead_letters:
        console.print(f"\n{played.retries} retries, {len(played.dead_letters)} dead letters", highlight=False)
    say_where(console, database)
    if as_json:
        letters = [
            {"correlation_id": instance, "reaction": reaction, "error": error}
            for instance, reaction, error in played.dead_letters
        ]
        say_json({"instances": played.instances, "dead_letters": letters, "retries": played.retries})


def run_order(
    plan: Plan, console: Console, run: Callable[[Plan, Callable[..., None]], Coroutine[Any, Any, Verdict]]
) -> Verdict:
    """Save the plan and run it under a live display."""
    from minuet.demo.progress import shown

    attempt(plan.save, 2)
    log_to(plan.directory / "demo.log")
    with shown(console) as show:
        return attempt(lambda: asyncio.run(run(plan, show)))


def check_places(plan: Plan) -> None:
    """Refuse places on servers that cannot be reached, or where an earlier run has been."""
    from minuet.demo.places import refuse_used
    from minuet.examples.order_fulfilment.app import build

    if plan.broker or plan.store:
        app = attempt(lambda: build(plan.broker_url, plan.store_url), 2)
        attempt(lambda: asyncio.run(refuse_used(app, plan.broker_url, plan.store_url)), 2)


def forget(urls: Sequence[str]) -> None:
    """Remove the places that this run has made on servers."""
    from minuet.demo.places import remove
    from minuet.examples.order_fulfilment.app import app

    attempt(lambda: asyncio.run(remove(app, *urls)))


def print_paths(console: Console, plan: Plan) -> None:
    """Tell which ways the instances took, and how many went each."""
    from minuet.demo.order import instances_of
    from minuet.demo.paths import paths

    for path, number in paths(asyncio.run(instances_of(plan))):
        console.print(f"{number:>5} x  {path}", highlight=False, soft_wrap=True)


def finish(verdict: Verdict, plan: Plan, console: Console, as_json: bool, *, gone: bool = False) -> None:
    """Print the table and, for programs, the object."""
    from minuet.demo.report import print_verdict

    print_verdict(console, verdict)
    if not plan.broker and not plan.store:
        say_where(console, plan.database)
    elif not gone:
        say_places(console, plan)
    if as_json:
        say_json(verdict.fields())


def say_where(console: Console, database: Path) -> None:
    """Tell where the file is, for whoever wants to look."""
    console.print(
        Text(f"\nEverything is in {database}: `minuet trace` and `minuet dlq` read it.", "dim"), soft_wrap=True
    )


def say_places(console: Console, plan: Plan) -> None:
    """Tell where broker and store are, for whoever wants to look."""
    from minuet.demo.places import told

    places = " and ".join(dict.fromkeys((told(plan.broker_url), told(plan.store_url))))
    console.print(
        Text(
            f"\nEverything is in {places}: `minuet dlq` reads it with the --store that {plan.directory / PLAN} names, "
            "and `minuet trace` with the --broker as well, where a broker can be read.",
            "dim",
        ),
        soft_wrap=True,
    )


def say_json(fields: dict[str, Any]) -> None:
    """Print one object on one line."""
    sys.stdout.write(json.dumps(fields) + "\n")


def console_for(as_json: bool) -> Console:
    """Where people read; a program's output stays apart from it."""
    return Console(stderr=as_json)


def settings_here() -> Settings:
    """How the shop's world behaves unless options say otherwise."""
    try:
        return Settings.from_environment()
    except ValueError as error:
        fail(str(error), 2)


def place(directory: Path | None) -> Path:
    """The directory that was asked for, or a new one."""
    return directory if directory is not None else Path(tempfile.mkdtemp(prefix="minuet-demo-"))


def log_to(file: Path) -> None:
    """Keep what the runtime logs out of the picture, in a file beside the database."""
    logger = logging.getLogger("minuet")
    logger.propagate = False
    logger.addHandler(logging.FileHandler(file, encoding="utf-8", delay=True))


def attempt(act: Callable[[], T], status: int = 1) -> T:
    """Do it; what fails on purpose is told in a sentence, with this exit status."""
    try:
        return act()
    except MinuetError as error:
        fail(str(error), status)
    except KeyboardInterrupt:
        fail("Interrupted; every process is stopped.", 130)


def fail(message: str, status: int) -> NoReturn:
    """End with a sentence for people."""
    Console(stderr=True).print(Text(message, "red"), soft_wrap=True)
    raise typer.Exit(status)
