"""Real PostgreSQL, Kafka and RabbitMQ on loopback, for tests, benchmarks and people.

`start`, `stop` and `status` take the names of servers, all by default; `restart` and `kill` take one or more.
`start` prints the URLs, and writes them to `.services/urls.env`. A server that you have already is given by its URL in
MINUET_POSTGRES_URL, MINUET_KAFKA_URL or MINUET_RABBITMQ_URL.

Exit status: 0, all is well; 3, a server cannot be installed here (1 where CI=true); 1, one failed; 2, wrong use.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from tools.services import addresses
from tools.services.fleet import SERVERS, Report, Services
from tools.services.progress import Progress
from tools.services.server import Missing, ServiceError

MISSING_STATUS = 3
NAMES = tuple(server.name for server in SERVERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.services", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("start", "stop", "status", "restart", "kill"))
    parser.add_argument("names", nargs="*", metavar="server", help=", ".join(NAMES))
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in NAMES]:
        parser.error(f"There is no server {unknown[0]!r}; there are {', '.join(NAMES)}.")
    if chosen.verb in {"restart", "kill"} and not chosen.names:
        parser.error(f"Which server? {', '.join(NAMES)}.")
    try:
        return performed(Services(say=Progress()), chosen.verb, chosen.names or NAMES)
    except ServiceError as problem:
        sys.stderr.write(f"{problem.name}: {problem}\n")
        return 1


def performed(services: Services, verb: str, names: Sequence[str]) -> int:
    """Does what the verb says with these servers, and gives the exit status for it; raises ServiceError."""
    if verb == "start":
        return started(services, services.start(names))
    if verb == "stop":
        services.stop(names)
    elif verb == "status":
        sys.stdout.writelines(f"{state}\n" for state in services.states() if state.name in names)
    else:
        for name in names:
            url = services.restart(name) if verb == "restart" else services.kill(name)
            sys.stdout.write(f"{name}={url}\n")
    return 0


def started(services: Services, report: Report) -> int:
    """Says what came of a start, and gives the exit status for it.

    Passwords of our own servers are shown, since these listen on loopback and are thrown away; given ones are not.
    """
    given = {state.name for state in services.states() if state.word == "given"}
    shown = {name: addresses.masked(url) if name in given else url for name, url in report.urls.items()}
    sys.stdout.write(addresses.lines(shown))
    sys.stdout.flush()
    sys.stderr.writelines(f"\n{problem.name}: {problem}\n" for problem in report.problems)
    return status(report.problems, ci=os.environ.get("CI", "").lower() in {"1", "true"})


def status(problems: Sequence[ServiceError], *, ci: bool) -> int:
    """0 without problems; 3 if servers are missing and nothing else is wrong, which in CI is a failure as well."""
    if not problems:
        return 0
    return MISSING_STATUS if not ci and all(isinstance(problem, Missing) for problem in problems) else 1


if __name__ == "__main__":
    sys.exit(main())
