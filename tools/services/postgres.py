"""PostgreSQL: a cluster of its own, reached over loopback with a password.

It refuses to run as root, who therefore starts it as another user.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from tools.services import debian
from tools.services.ports import LOOPBACK
from tools.services.processes import DIRECTORY, Launch, run
from tools.services.progress import Say
from tools.services.server import DATABASE, USER, Failed, Home, Missing

LEAST = 15
# Where distributions keep the programs of each version, besides the search path.
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_HOW = (
    "Install it (Debian, Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install "
    "postgresql@17), or give the URL of a server of yours: MINUET_POSTGRES_URL=postgres://user:password@host/database"
)


class Postgres:
    """The server `postgres`; with `pooler` PgBouncer is installed beside it, for the tests that put it in front."""

    name = "postgres"
    port_names = ("client",)
    stop_signal = signal.SIGINT  # its "fast" shutdown: clients are disconnected, nothing is lost

    def __init__(self, *, pooler: bool = False) -> None:
        self._pooler = pooler

    def install(self, log: Path, say: Say) -> None:
        self._install(log, say)
        if self._pooler and pooler() is None:
            # Nobody but those tests needs it, and they say themselves that it is missing.
            if obstacle := debian.obstacle():
                say(self.name, f"PgBouncer is not installed, and {obstacle}; it is for tests only")
            elif not debian.install(self.name, ["pgbouncer"], log, say):
                say(self.name, f"apt could not install PgBouncer, which is for tests only; {log} has what it said")

    def _install(self, log: Path, say: Say) -> None:
        if _programs() is not None:
            return
        if obstacle := debian.obstacle():
            raise Missing(self.name, f"PostgreSQL {LEAST} or later is not installed, and {obstacle}. {_HOW}")
        if not debian.install(self.name, ["postgresql"], log, say):
            raise Missing(self.name, f"apt could not install PostgreSQL; {log} has what it said. {_HOW}")
        if _programs() is None:
            raise Missing(self.name, f"The PostgreSQL that apt installs here is older than {LEAST}. {_HOW}")

    def prepare(self, home: Home, say: Say) -> Launch:
        data, account = home.path / "data", _account()
        if not data.exists():
            say(self.name, "making a database cluster")
            self._make(home, data, account)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(home.ports["client"]),
            "unix_socket_directories": "",  # a path beneath a deep clone would be too long for one
            "max_connections": "200",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return Launch((_program("postgres"), "-D", DIRECTORY, *options), data, account=account)

    def _make(self, home: Home, data: Path, account: str | None) -> None:
        """Makes the cluster in a directory beside, so that half of one is never taken for a whole one."""
        fresh = home.path / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account is not None:
            shutil.chown(fresh, account)
        how = ("--pwfile=/dev/stdin", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
        initdb = (_program("initdb"), "-D", DIRECTORY, f"--username={USER}", *how)
        single = (_program("postgres"), "--single", "-D", DIRECTORY, "postgres")
        for command, said in ((initdb, home.password), (single, f"CREATE DATABASE {DATABASE}")):
            if not run(Launch(command, fresh, account=account), home.log, f"{said}\n"):
                raise Failed(self.name, f"{Path(command[0]).name} failed; {home.log} has what it said.")
        fresh.rename(data)

    def answers(self, home: Home) -> bool:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
            "PGHOST": LOOPBACK,
            "PGPORT": str(home.ports["client"]),
            "PGUSER": USER,
            "PGPASSWORD": home.password,
            "PGDATABASE": DATABASE,
            "PGCONNECT_TIMEOUT": "5",
        }
        asked = (_program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-c", "SELECT 42")
        said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
        return said.stdout.strip() == "42"

    def url(self, home: Home) -> str:
        return f"postgres://{USER}:{home.password}@{LOOPBACK}:{home.ports['client']}/{DATABASE}"

    def tidy(self, home: Home) -> None:
        """Removes its lock file, which would keep it away while an ended process has the id in it and is not reaped.

        That no process of the old server still works on the data it also checks by their shared memory.
        """
        (home.path / "data" / "postmaster.pid").unlink(missing_ok=True)


def pooler() -> str | None:
    """The program PgBouncer; None if it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


def _account() -> str | None:
    """As whom the server runs: whoever starts it, or for root the first unprivileged user who will do."""
    if os.geteuid() != 0:
        return None
    passwd = Path("/etc/passwd").read_text(encoding="utf-8")
    return "postgres" if re.search(r"^postgres:", passwd, re.MULTILINE) else "nobody"


def _program(name: str) -> str:
    programs = _programs()
    if programs is None:
        raise Missing("postgres", f"PostgreSQL {LEAST} or later is not installed. {_HOW}")
    return str(programs / name)


def _programs() -> Path | None:
    """The directory with the programs of the newest PostgreSQL here, None if it is too old or there is none."""
    on_path = shutil.which("postgres")
    places = [Path("/").glob(place.removeprefix("/")) for place in _PLACES]
    found = [directory for place in places for directory in place] + (
        [Path(on_path).resolve().parent] if on_path else []
    )
    versions = {place: _version(place / "postgres") for place in found if (place / "initdb").exists()}
    newest = max(versions, key=lambda place: versions[place], default=None)
    return newest if newest is not None and versions[newest] >= LEAST else None


def _version(program: Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else 0
