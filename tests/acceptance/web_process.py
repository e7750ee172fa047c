"""The guide's web application behind a real server, in a process that kills itself at a point of the request.

`python web_process.py SOCKET POINT`, in the directory of `shop.py`; an empty POINT is none.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import event
from sqlalchemy.orm import Session

BEFORE_INSERT, AFTER_INSERT, BEFORE_COMMIT = "before the insert", "before the emission", "before the commit"
AFTER_COMMIT, BEFORE_PUBLISHING = "before the answer", "before publishing"
POINTS = (BEFORE_INSERT, AFTER_INSERT, BEFORE_COMMIT, AFTER_COMMIT)
"""Where a web process may die, wherever the broker is."""


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_insert(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith("INSERT INTO orders"):
        die()


def arm(point: str, shop: Any) -> None:
    """Let the process die when it comes to this point."""
    engine = shop.engine.sync_engine
    arms: dict[str, Callable[[], None]] = {
        BEFORE_INSERT: lambda: event.listen(engine, "before_cursor_execute", at_insert),
        AFTER_INSERT: lambda: event.listen(engine, "after_cursor_execute", at_insert),
        BEFORE_COMMIT: lambda: event.listen(Session, "before_commit", lambda session: before_commit(engine, session)),
        AFTER_COMMIT: lambda: event.listen(Session, "after_commit", die),
        BEFORE_PUBLISHING: before_publishing,
        "": lambda: None,
    }
    arms[point]()


def before_commit(engine: Any, session: Session) -> None:
    """At the connection's own commit, when everything was written."""
    event.listen(engine, "commit", die)


def before_publishing() -> None:
    """When the relay has taken the event from the outbox, and hands it to the broker."""
    from minuet.brokers.postgres import PostgresBroker
    from minuet.brokers.sqlite import SqliteBroker

    PostgresBroker.publish = SqliteBroker.publish = die  # type: ignore[method-assign, assignment]


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    import shop  # the guide's, in the working directory

    arm(sys.argv[2], shop)
    server = uvicorn.Server(uvicorn.Config(shop.web, log_level="warning"))
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
