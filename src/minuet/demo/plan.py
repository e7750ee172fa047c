"""What is to run, where, and how often something is killed. It stays in the directory that the run leaves behind."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from minuet.errors import MinuetError
from minuet.examples.order_fulfilment.input import lines
from minuet.examples.order_fulfilment.settings import Settings

PLAN = "plan.json"


class DemoFailed(MinuetError):
    """The demo cannot start or cannot go on; the message says why, to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of the order demo.

    `files` hold the invoices, `settings` how the shop's world behaves. `workers` is the number of processes of
    each service, `kills` how many processes are killed on the way. The settings' seed decides about all chance.
    Without a URL, `broker` and `store` are one SQLite file in the directory.
    """

    directory: Path
    files: tuple[Path, ...]
    settings: Settings
    kills: int = 0
    workers: int = 1
    broker: str = ""
    store: str = ""

    @property
    def database(self) -> Path:
        """The SQLite file of whichever has no URL."""
        return self.directory / "orders.db"

    @property
    def broker_url(self) -> str:
        """The broker's, the same for processes in any working directory."""
        return self.broker or url_of(self.database)

    @property
    def store_url(self) -> str:
        """The store's."""
        return self.store or url_of(self.database)

    @property
    def used(self) -> Path | None:
        """What an earlier run left in the directory, None if there was none."""
        left = (self.database, self.directory / PLAN if self.broker or self.store else self.database)
        return next((file for file in left if file.exists()), None)

    def save(self) -> None:
        """Write the plan into the directory. Raises DemoFailed if an earlier run is there."""
        if self.used is not None:
            raise DemoFailed(
                f"{self.directory} already holds the {self.used.name} of an earlier run, whose orders and these would "
                "mix. Give another --dir, or remove that one."
            )
        for file in self.files:
            check(file)
        self.directory.mkdir(parents=True, exist_ok=True)
        plan = self.directory / PLAN
        plan.touch(mode=0o600)  # URLs may carry passwords
        values = {
            "files": [str(file.resolve()) for file in self.files],
            "settings": asdict(self.settings),
            "kills": self.kills,
            "workers": self.workers,
            "broker": self.broker,
            "store": self.store,
        }
        plan.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Plan:
        """Read the plan of an earlier run. Raises DemoFailed if there was none."""
        try:
            values = json.loads((directory / PLAN).read_text(encoding="utf-8"))
        except OSError as error:
            raise DemoFailed(f"No run of `minuet demo order` left its plan in {directory}: {error.strerror}.") from None
        return cls(
            directory=directory,
            files=tuple(map(Path, values["files"])),
            settings=Settings(**values["settings"]),
            kills=values["kills"],
            workers=values["workers"],
            broker=values["broker"],
            store=values["store"],
        )


def url_of(database: Path) -> str:
    """A SQLite file as the URL of a broker and store."""
    return f"sqlite:///{quote(str(database.resolve()))}"


def check(file: Path) -> None:
    """Raise DemoFailed if a file cannot be read as invoice lines."""
    try:
        next(lines([file]), None)
    except OSError as error:
        raise DemoFailed(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise DemoFailed(str(error)) from None
