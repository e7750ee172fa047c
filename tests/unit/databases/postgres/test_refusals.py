"""What a driver says, as one sentence and with what to do."""

import psycopg
import pytest

from minuet.databases.postgres.refusals import not_let_in, not_let_work, reason, silent, too_old


@pytest.mark.parametrize(
    ("said", "told", "advice"),
    [
        (
            'connection failed: connection to server at "d", port 1 failed: Connection refused\n\tIs the server up?',
            "Connection refused",
            "Nothing listens there: check host and port, or wait for it with --wait.",
        ),
        (
            'connection to server at "db", port 5432 failed: FATAL:  password authentication failed for user "shop"',
            'password authentication failed for user "shop"',
            "Check user and password of the URL.",
        ),
        (
            'connection to server on socket "/run/.s.PGSQL.5432" failed: FATAL: database "shop" does not exist',
            'database "shop" does not exist',
            "Create that database, or correct the URL.",
        ),
        (
            'connection to server at "db", port 5432 failed: FATAL: the database system is starting up',
            "the database system is starting up",
            "It will be there soon: wait for it with --wait.",
        ),
        (
            "FATAL: sorry, too many clients already",
            "FATAL: sorry, too many clients already",
            "Raise max_connections, give ?pool= less, or run fewer processes.",
        ),
        (
            "FATAL: Passwort-Authentifizierung fehlgeschlagen.",
            "FATAL: Passwort-Authentifizierung fehlgeschlagen",
            "Check that the server runs there, and the user, password and database of the URL.",
        ),
        (
            "",
            "OperationalError",
            "Check that the server runs there, and the user, password and database of the URL.",
        ),
    ],
)
def test_a_refused_connection_is_told_once_and_with_advice(said: str, told: str, advice: str) -> None:
    """The driver's repetitions are left out; a language that is not known gets the general advice."""
    error = psycopg.OperationalError(said)
    assert not_let_in("postgres://db/shop", error) == (
        f"PostgreSQL at postgres://db/shop does not let minuet in: {told}. {advice}"
    )


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (psycopg.errors.ReadOnlySqlTransaction, "?target_session_attrs=read-write finds it."),
        (psycopg.errors.InsufficientPrivilege, "?schema=shop."),
        (psycopg.errors.UndefinedTable, "and the server's log."),
    ],
)
def test_a_refused_statement_is_told_by_its_kind(error: type[psycopg.Error], advice: str) -> None:
    """A standby, a right that is missing, and anything else have advice of their own."""
    told = not_let_work("postgres://db/shop", "making its tables", error("no.\nwhy: so"))
    assert told.startswith(
        "minuet cannot work in PostgreSQL at postgres://db/shop: making its tables failed: no. why: so"
    )
    assert told.endswith(advice)


def test_old_and_silent_servers_are_named() -> None:
    """With their version, and with how long they were waited for."""
    assert "is version 14, and minuet needs 15" in too_old("postgres://db/shop", 140012)
    assert "no answer within 4 s" in silent("postgres://db/shop", 4.0)
    assert reason(TimeoutError()) == "TimeoutError"
