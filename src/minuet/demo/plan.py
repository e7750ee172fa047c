"""What is to run, where, and how often something is killed. It stays beside the file that the run leaves behind."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from minuet.errors import MinuetError
from minuet.examples.order_fulfilment.input import lines
from minuet.examples.order_fulfilment.settings import Settings


class DemoFailed(MinuetError):
    """The demo cannot start or cannot go on; the message says why, to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of the order demo.

    `files` hold the invoices, `settings` how the shop's world behaves. `workers` is the number of processes of
    each service, `kills` how many processes are killed on the way. The settings' seed decides about all chance.
    """

    directory: Path
    files: tuple[Path, ...]
    settings: Settings
    kills: int = 0
    workers: int = 1

    @property
    def database(self) -> Path:
        """The one SQLite file, log and tables in one."""
        return self.directory / "orders.db"

    @property
    def url(self) -> str:
        """The file as broker and store, the same for processes in any working directory."""
        return url_of(self.database)

    def save(self) -> None:
        """Write the plan beside the file. Raises DemoFailed if an earlier run is there."""
        if self.database.exists():
            raise DemoFailed(
                f"{self.directory} already holds the orders.db of an earlier run, whose orders and these would mix. "
                "Give another --dir, or remove that one."
            )
        for file in self.files:
            check(file)
        self.directory.mkdir(parents=True, exist_ok=True)
        values = {
            "files": [str(file.resolve()) for file in self.files],
            "settings": asdict(self.settings),
            "kills": self.kills,
            "workers": self.workers,
        }
        (self.directory / "plan.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Plan:
        """Read the plan of an earlier run. Raises DemoFailed if there was none."""
        try:
            values = json.loads((directory / "plan.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise DemoFailed(f"No run of `minuet demo order` left its plan in {directory}: {error.strerror}.") from None
        return cls(
            directory=directory,
            files=tuple(map(Path, values["files"])),
            settings=Settings(**values["settings"]),
            kills=values["kills"],
            workers=values["workers"],
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
