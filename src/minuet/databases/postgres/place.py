"""Where a PostgreSQL database lies, read from a URL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from minuet.errors import StartupError
from minuet.ports.address import without_secrets

SCHEMA = re.compile("[a-z][a-z0-9_]{0,62}")
CONNECT_SECONDS = 4
_DEFAULTS: dict[str, str | int] = {
    "application_name": "minuet",
    "client_encoding": "UTF8",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class PostgresPlace(msgspec.Struct, frozen=True):
    """Where a database lies, and how many connections a process may have to it besides the one that listens.

    With a `schema` everything is in that one, which is made if it is missing; else where the user's search path leads.
    """

    url: str
    pool: int = 10
    schema: str | None = None

    @classmethod
    def from_url(cls, url: str) -> PostgresPlace:
        """Read `postgres://user:password@host:port/database`, perhaps with `?pool=20`, `?schema=shop` and libpq's own
        options.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        pool, schema = options.pop("pool", "10"), options.pop("schema", None)
        if not pool.isdecimal() or int(pool) < 1:
            raise StartupError(f"?pool={pool} is no number of connections. Write ?pool=10.")
        if schema is not None:
            if not SCHEMA.fullmatch(schema):
                raise StartupError(
                    f"?schema={schema} is no name of a schema as minuet takes it: a small letter, then small letters, "
                    "digits and _, 63 at most. Write ?schema=shop."
                )
            options["options"] = f"{options.get('options', '')} -csearch_path={schema}".strip()
        libpq = f"postgresql://{parts.netloc}{parts.path}?{urlencode(options, quote_via=quote)}".removesuffix("?")
        try:
            known = conninfo_to_dict(libpq)
            numbers = [*str(known.get("port") or "0").split(","), str(known.get("connect_timeout", "0"))]
            readable = all(number.isdecimal() for number in numbers)
        except psycopg.Error:
            readable = False
        if not readable:
            raise StartupError(
                f"{without_secrets(url)} does not name a PostgreSQL database as libpq reads it. Write "
                "postgres://user:password@host:5432/database, with its options after a ?."
            )
        return cls(libpq, int(pool), schema)

    @property
    def shown(self) -> str:
        """The place without its credentials."""
        place = without_secrets(self.url.replace("postgresql", "postgres", 1))
        return place + (f"?schema={self.schema}" if self.schema else "")

    def __repr__(self) -> str:
        return f"<PostgresPlace {self.shown}>"


def limits(place: PostgresPlace) -> tuple[dict[str, Any], float]:
    """With what options to connect, and how many seconds that may take on all hosts together; 0: any."""
    options = {**_DEFAULTS, **conninfo_to_dict(place.url)}
    hosts = str(options.get("host")).count(",") + 1
    given = options.get("connect_timeout")
    options["connect_timeout"] = given or max(CONNECT_SECONDS // hosts, 2)  # for each host
    return options, CONNECT_SECONDS if given is None else float(str(given)) * hosts
