"""Why PostgreSQL does not let minuet in, or does not let it work, with what a person can do about it."""

from __future__ import annotations

import re

import psycopg

_REPEATED = re.compile(r"^connection failed: |connection to server (at|on) .*? failed: (FATAL: )?| Is the server .*$")
_ADVICE = [
    (r"Connection refused|No such file", "Nothing listens there: check host and port, or wait for it with --wait."),
    (r"resolve host|could not translate", "Check the host of the URL."),
    (r"timeout expired", "Check host and port, that it is PostgreSQL that listens there, and what lies in between."),
    (r"invalid response|expected authentication|closed the connection", "Check that PostgreSQL is what listens there."),
    (r"no pg_hba.conf entry", "Have the server's pg_hba.conf let this user in from here, or check sslmode."),
    (r"authentication failed|no password supplied|role .* does not exist", "Check user and password of the URL."),
    (r"database .* does not exist", "Create that database, or correct the URL."),
    (r"too many clients|connection slots", "Raise max_connections, give ?pool= less, or run fewer processes."),
    (r"starting up|shutting down|recovery", "It will be there soon: wait for it with --wait."),
]
"""What a server says in English; in other languages the advice is a general one."""
_GENERAL = "Check that the server runs there, and the user, password and database of the URL."


def reason(error: BaseException) -> str:
    """A driver's error as one clause, without what its place already says."""
    said = " ".join(str(error).split())
    said = _REPEATED.sub("", said).strip().rstrip(".")
    return said or type(error).__name__


def not_let_in(shown: str, error: BaseException) -> str:
    """A connection that was refused."""
    why = reason(error)
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, why)), _GENERAL)
    return f"PostgreSQL at {shown} does not let minuet in: {why}. {advice}"


def too_old(shown: str, version: int) -> str:
    """A server of an old version, as libpq numbers versions."""
    return (
        f"The PostgreSQL at {shown} is version {version // 10000}, and minuet needs 15 or later. Upgrade it, or name "
        "another one."
    )


def silent(shown: str, seconds: float) -> str:
    """A server that does not answer."""
    return not_let_in(shown, TimeoutError(f"no answer within {seconds:g} s, timeout expired"))


def lost(shown: str, error: BaseException) -> str:
    """A connection that was lost while it was used."""
    return (
        f"The connection to PostgreSQL at {shown} was lost: {reason(error)}. Whether a commit that was under way took "
        "place is not known."
    )


def not_let_work(shown: str, doing: str, error: BaseException) -> str:
    """A statement that was refused; `doing` is what it was for, `listening there`."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        advice = (
            "It lets nobody write: a standby, or default_transaction_read_only is on. Name the primary; with several "
            "hosts ?target_session_attrs=read-write finds it."
        )
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        advice = "Let this user do that (GRANT), or make a schema that is this user's and name it: ?schema=shop."
    else:
        advice = "Check the rights of this user, and the server's log."
    return f"minuet cannot work in PostgreSQL at {shown}: {doing} failed: {reason(error)}. {advice}"


def shared(shown: str) -> str:
    """A pooler that gives each transaction, or each statement, whatever session is free."""
    return (
        f"What answers at {shown} is a pooler that gives every transaction another session of PostgreSQL. minuet needs "
        "sessions of its own: it listens in one, and a lock in it says that this process lives. Have the pooler keep "
        "a session for each connection (PgBouncer: pool_mode=session), or give the URL of the server itself."
    )


def too_few(shown: str, seconds: float, most: int) -> str:
    """A pooler that does not give two sessions at a time."""
    return (
        f"What answers at {shown} is a pooler that did not give minuet two sessions of PostgreSQL within {seconds:g} "
        f"s. A process takes one to listen and up to {most} more: have the pooler allow for that (PgBouncer: "
        "default_pool_size), give ?pool= less, or give the URL of the server itself."
    )
