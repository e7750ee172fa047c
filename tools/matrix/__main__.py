"""Order fulfilment on each pair of broker and store, with kill -9 of services, of the broker and of the database.

The servers are started for it alone, in a directory that is thrown away. Exit status: 0, nothing was lost or doubled
anywhere and all books balance; 1, something was; 3, a server cannot be had here (1 where CI=true); 2, wrong use.
"""

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.matrix.pairs import PAIRS, chosen
from tools.matrix.run import Outcome, Size, run
from tools.services.fleet import Services
from tools.services.progress import Progress

COLUMNS = (
    "orders",
    "kills",
    "retries",
    "dead_letters",
    "duplicates_absorbed",
    "lost",
    "doubled",
    "balanced",
    "seconds",
)
"""What the demo's JSON says, as the table shows it."""
MISSING_STATUS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pair", nargs="?", default="", help=f"one of {', '.join(pair.name for pair in PAIRS)}; or all")
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=40, help="processes of services that are killed")
    parser.add_argument("--server-kills", type=int, default=2, help="how often each server is killed")
    parser.add_argument("--server-restarts", type=int, default=1, help="how often each server is restarted in order")
    parser.add_argument("--seed", type=int, default=None, help="what all chance follows from; new each time")
    given = parser.parse_args(arguments)
    try:
        pairs = chosen(given.pair)
    except ValueError as error:
        parser.error(str(error))
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    size = Size(given.orders, given.kills, given.server_kills, given.server_restarts)
    progress, missing, outcomes = Progress(), set[str](), list[Outcome]()
    for pair in pairs:
        with tempfile.TemporaryDirectory(prefix="minuet-matrix-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            directory.chmod(0o755)  # servers may run as users of their own
            services = Services(directory / "servers", environment={}, say=progress)
            try:
                problems = services.start(pair.servers).problems if pair.servers else []
                if problems:
                    missing.add(pair.name)
                    sys.stderr.writelines(f"{problem.name}: {problem}\n" for problem in problems)
                    continue
                progress(pair.name, f"{size.orders} orders, {size.kills} kills, seed {seed}")
                outcomes.append(run(pair, size, services, directory, seed, lambda text: progress(pair.name, text)))  # noqa: B023
            finally:
                services.stop()
    Console(width=140).print(table(outcomes))
    return status(outcomes, missing, ci=os.environ.get("CI", "").lower() in {"1", "true"})


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row a pair."""
    shown = Table("pair", *(name.replace("_", " ") for name in COLUMNS), "server kills", "restarts", box=None)
    for outcome in outcomes:
        if outcome.said:
            shown.add_row(
                outcome.pair,
                *(str(outcome.said[name]) for name in COLUMNS),
                str(outcome.server_kills),
                str(outcome.server_restarts),
            )
        else:
            shown.add_row(outcome.pair, f"[red]broke off: {outcome.error}")
    return shown


def status(outcomes: Sequence[Outcome], missing: set[str], *, ci: bool) -> int:
    """0 if all hold; 3 if all that ran hold and some could not run, which in CI is a failure as well."""
    if not all(outcome.holds for outcome in outcomes) or (missing and ci):
        return 1
    return MISSING_STATUS if missing else 0


if __name__ == "__main__":
    sys.exit(main())
