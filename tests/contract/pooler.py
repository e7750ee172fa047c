"""A PgBouncer of a test's own, in front of one database of the server."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.services import postgres
from tools.services.ports import LOOPBACK

CONFIGURATION = """\
[databases]
{database} = host={host} port={port} dbname={database} user={user} password='{password}'

[pgbouncer]
listen_addr = {loopback}
listen_port = {listens}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
{more}
"""


@contextmanager
def pooler(url: str, mode: str, port: int, file: Path, more: str = "") -> Iterator[str]:
    """Put it in front of the database of this URL, in this mode; the URL that leads through it, without a password.

    `port` is where it listens, `file` where its configuration is written, `more` what else stands there.
    """
    program = postgres.pooler()
    assert program is not None, "PgBouncer is not installed: `make services ONLY=postgres` as root installs it."
    parts = urlsplit(url)
    database = parts.path.removeprefix("/")
    file.touch(mode=0o600)
    file.write_text(
        CONFIGURATION.format(
            database=database, host=parts.hostname, port=parts.port or 5432, user=unquote(parts.username or ""),
            password=unquote(parts.password or "").replace("'", "''"), loopback=LOOPBACK, listens=port, mode=mode,
            more=more,
        )
    )  # fmt: skip
    account = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    with subprocess.Popen([program, *account, str(file)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if "process up" in line:
                    break
            else:
                raise AssertionError(f"PgBouncer does not start: {said}")
            yield f"postgres://{parts.username}@{LOOPBACK}:{port}/{database}"
        finally:
            process.kill()
