"""A server of a test's own, to be killed or asked for passwords; PostgreSQL unless it is said."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.services.fleet import Services
from tools.services.postgres import Postgres
from tools.services.server import Server


@contextmanager
def own_server(server: Server | None = None) -> Iterator[Services]:
    """A server that nobody else uses, in a directory that its user may enter; gone at the end."""
    directory = Path(tempfile.mkdtemp(prefix="minuet_own_"))
    directory.chmod(0o755)  # the server does not run as root
    services = Services(directory / "servers", servers=[server or Postgres()], environment={})
    try:
        report = services.start()
        if report.problems:
            raise report.problems[0]
        yield services
    finally:
        services.stop()
        shutil.rmtree(directory)
