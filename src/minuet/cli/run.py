"""`minuet run`: an app's services at work, in this process or in several that are supervised."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Annotated

import typer

from minuet.app import App, run_loop
from minuet.cli.options import AppReference, AsJson
from minuet.cli.output import print_json, users_frames
from minuet.cli.reference import load_app
from minuet.cli.supervisor import LINE, Supervisor
from minuet.config import named
from minuet.errors import BrokerUnavailable, MinuetError, PreparationFailed, StartupError, StoreUnavailable
from minuet.ports.broker import Change
from minuet.runtime.garbage import collect_seldom
from minuet.runtime.hearing import Hearing, leave_at_once
from minuet.runtime.starting import listed
from minuet.runtime.stopping import Stop
from minuet.runtime.system import end_process_after
from minuet.telemetry.logging import LogObserver

EXAMPLES = """
minuet run shop.app:app                           all services, one process
minuet run shop.app:app --service payments        one of them
minuet run shop.app:app --workers 4               four processes, started anew when they die
minuet run shop.app:app --reload                  for development
minuet run shop.app:app --drain                   work off what is there, then stop
minuet run shop.app:app --broker sqlite:///other.db
minuet run shop.app:app --broker 'kafka://shop:${PASSWORD}@kafka' --provision
minuet run shop.app:app --wait 60                 be patient with servers that start too
"""


def run(
    app: AppReference = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME", help="Run this service only; may be repeated.", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Run so many processes, and keep them alive.")] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when a Python file changes.")] = False,
    drain: Annotated[bool, typer.Option("--drain", help="Stop once nothing is left to do, retries included.")] = False,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this broker instead of the app's.", show_default=False)
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this store instead of the app's.", show_default=False)
    ] = None,
    provision: Annotated[
        bool, typer.Option("--provision", help="Make what the broker lacks (topics, queues), telling it first.")
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            min=0,
            metavar="SECONDS",
            show_default=False,
            help="Wait so long for servers that do not let it in, instead of failing at once.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every turn, not only retries and deaths.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run services until SIGTERM or Ctrl-C, then finish what is begun and stop. A second signal ends at once.

    Results are lines on stdout, one when consuming has begun and one when it has ended; logs go to stderr.
    """
    say = sayer(as_json)
    if workers > 1 or reload:
        if drain:
            raise typer.BadParameter("One process drains, and is not started anew.", param_hint="--drain")
        supervise(workers, reload, say)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    loaded = placed(load_app(app), broker, store)
    loaded.provision = provision or bool(loaded.provision)
    loaded.wait_seconds = loaded.wait_seconds if wait is None else wait
    if verbose:
        quiet = [observer for observer in loaded.observers if not isinstance(observer, LogObserver)]
        loaded.observers = (*quiet, LogObserver(verbose=True))
    try:
        run_loop(work(loaded, service, say, drain=drain))
    except PreparationFailed as error:
        raise PreparationFailed(f"{error}\n\n{users_frames(error.__cause__ or error)}") from error
    except MinuetError:
        raise
    except Exception as error:  # what a provider raises when it is closed
        raise StartupError(f"The app could not start, or not stop:\n\n{users_frames(error)}") from error


Say = Callable[..., None]


def sayer(as_json: bool) -> Say:
    """What prints a line of the run's own: an event's name, a sentence and fields."""

    def say(event: str, sentence: str, **fields: object) -> None:
        if as_json:
            print_json({"event": event, **fields})
        else:
            print(sentence, flush=True)

    return say


def placed(app: App, broker: str | None, store: str | None) -> App:
    """The app on another broker or store. A store that lay where the broker was goes along with it."""
    if broker is not None:
        if store is None and app.store == app.broker:
            app.store = broker
        app.broker = broker
    if store is not None:
        app.store = store
    return app


async def work(app: App, services: Sequence[str] | None, say: Say, *, drain: bool) -> None:
    """Run until a signal, or until the supervisor is gone; with `drain`, or until nothing is left to do."""
    stop = Stop()
    end_seconds = app.stop_seconds + 1
    Hearing(stop.ask, leave_at_once, end_seconds=end_seconds).begin()
    line = line_to_supervisor(stop, end_seconds)
    chosen = services or None
    names = [service.name for service in app.services if chosen is None or service.name in chosen]
    where = named(app.broker) if app.broker == app.store else f"{named(app.broker)} with store {named(app.store)}"
    fields = {"services": names, "broker": named(app.broker), "store": named(app.store), "pid": os.getpid()}
    async with stop, app.running(chosen, starting=SaidStart(say, named(app.broker))):
        stop.has_begun()
        collect_seldom()
        say("started", f"{', '.join(names)} on {where}, process {os.getpid()}.", **fields)
        if line is not None:
            with contextlib.suppress(BrokenPipeError):  # it is gone, and the line says so
                line.send(b"+")
        await (drained(app, stop.asked) if drain else stop.asked.wait())
        say("stopping", f"Process {os.getpid()} finishes what is begun.", pid=os.getpid())
    left, pid = app.left_behind, os.getpid()
    if left:
        sentence = (
            f"Process {pid} has stopped but for {', '.join(left)}, which takes too long, in a thread that nothing can "
            f"end. The process ends when that does, or with status 1, {end_seconds:g} s after it was told to stop."
        )
        say("stopped", sentence, pid=pid, left_behind=left)
    else:
        say("stopped", f"Process {pid} has stopped.", pid=pid)


class SaidStart:
    """Says what an app meets while it starts."""

    def __init__(self, say: Say, broker: str) -> None:
        self._say = say
        self._broker = broker

    def unavailable(self, error: BrokerUnavailable | StoreUnavailable, again_seconds: float) -> None:
        sentence = f"{error} Trying again in {again_seconds:.1f} s."
        self._say("unavailable", sentence, reason=str(error), again_seconds=again_seconds)

    def provisioning(self, changes: Sequence[Change]) -> None:
        sentence = f"Provisioning {self._broker}:\n{listed(changes)}"
        self._say("provisioning", sentence, broker=self._broker, changes=changes)


async def drained(app: App, stop: asyncio.Event) -> None:
    """Wait until the app has settled, or is told to stop."""
    waits = [asyncio.ensure_future(app.settled()), asyncio.ensure_future(stop.wait())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await next(iter(done))
    finally:
        for wait in waits:
            wait.cancel()


def line_to_supervisor(stop: Stop, end_seconds: float) -> socket.socket | None:
    """The line that a supervisor lent this process, None without one. Its end means that the supervisor is gone."""
    number = os.environ.pop(LINE, None)
    if number is None:
        return None
    line = socket.socket(fileno=int(number))
    line.setblocking(False)
    loop = asyncio.get_running_loop()

    def hear() -> None:
        loop.remove_reader(line)
        stop.ask()
        end_process_after(end_seconds)

    loop.add_reader(line, hear)
    return line


def supervise(workers: int, reload: bool, say: Say) -> None:
    """Run this very command in processes of its own, without the options that ask for them."""
    words = iter(sys.argv[1:])
    kept: list[str] = []
    for word in words:
        if word == "--workers":
            next(words)
        elif word != "--reload" and not word.startswith("--workers="):
            kept.append(word)
    command = [sys.executable, "-m", "minuet.cli.main", *kept]
    changes = watched if reload else None
    if reload:
        require_watchfiles()
    raise typer.Exit(asyncio.run(Supervisor(command, workers, say).run(changes)))


def require_watchfiles() -> None:
    """Raise StartupError where what `--reload` needs is not installed."""
    if find_spec("watchfiles") is None:
        raise StartupError(
            "--reload needs watchfiles, which is not installed. Install it with: pip install 'minuet[reload]'"
        )


async def watched(stop: asyncio.Event) -> str | None:
    """Wait until a Python file beneath the working directory changes; its name. None when stopped."""
    import watchfiles

    changes = watchfiles.awatch(  # pyright: ignore[reportUnknownMemberType]  # it also takes an anyio event
        ".", watch_filter=watchfiles.PythonFilter(), stop_event=stop
    )
    async for changed in changes:
        return min(path for _, path in changed)
    return None
