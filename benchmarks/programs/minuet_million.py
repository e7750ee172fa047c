"""Many workflows on minuet with short retention: each tenth's speed, memory and file at first and at last."""

import os
import time
from pathlib import Path

from benchmarks.programs.feeding import IN_FLIGHT, Flight
from benchmarks.programs.measurement import answer, asked
from benchmarks.programs.minuet_services import Chain, app_on, at_work, requested, run
from benchmarks.programs.order import FILE, INSERT, Order, check_state, create

SLICES = 10
RING = 10_000
"""How many orders there are before their numbers come round again; each service's rows are written over
then."""
RETENTION = "5s"
"""How long log, inbox and outbox are kept."""
YARD = 10_000
"""How many additions make a yard."""
BETWEEN = 250
"""How many workflows come between two measures of it: a twentieth of a second."""

REPLACE = {service: insert.replace("INSERT", "REPLACE") for service, insert in INSERT.items()}


class Yardstick:
    """The processor's own speed while a slice runs: what a piece of work takes that is always the same.

    It counts the processor's time of this thread alone, so that nothing which minuet does beside it makes it longer.
    """

    def __init__(self) -> None:
        self._times = 0
        self._seconds = 0.0
        self._wall_seconds = 0.0

    def measure(self) -> None:
        """Once more."""
        began, since = time.perf_counter(), time.thread_time()
        number = 0
        for step in range(YARD):
            number += step
        self._seconds += time.thread_time() - since
        self._times += 1
        self._wall_seconds += time.perf_counter() - began

    def taken(self) -> tuple[float, float, float]:
        """A yard's seconds on an average, and the seconds that measuring took, wall and processor's; begins anew."""
        found = self._seconds / self._times, self._wall_seconds, self._seconds
        self._times, self._seconds, self._wall_seconds = 0, 0.0, 0.0
        return found


class Watch:
    """Notes the time, wall and processor's, the memory and the file at the end of each slice."""

    def __init__(self, slice_workflows: int, file: Path) -> None:
        self._each = slice_workflows
        self._file = file
        self._ended = 0
        self._yardstick = Yardstick()
        self._since = time.perf_counter()
        self._cpu_since = time.process_time()
        self.numbers: dict[str, float] = {}

    def landed(self) -> None:
        """One more workflow's last reaction runs."""
        self._ended += 1
        ends = self._ended % self._each == 0
        if ends or self._ended % BETWEEN == 0:
            self._yardstick.measure()
        if ends:
            self._note(self._ended // self._each)

    def _note(self, place: int) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        yard, own, own_cpu = self._yardstick.taken()
        seconds = now - self._since - own
        self.numbers[f"slice_{place:02}"] = self._each / seconds
        if place in (1, SLICES):
            self.numbers[f"yard_{place:02}"] = yard * 1e6
            self.numbers[f"per_yard_{place:02}"] = self._each / seconds * yard * 1000
            self.numbers[f"cpu_{place:02}"] = (cpu - self._cpu_since - own_cpu) * 1e6 / self._each
            self.numbers[f"memory_{place:02}"] = resident_mib()
            self.numbers[f"file_{place:02}"] = size_mib(self._file)
        self._since, self._cpu_since = time.perf_counter(), time.process_time()


def resident_mib() -> float:
    """This process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def size_mib(file: Path) -> float:
    """The database with its write-ahead log and its index of that."""
    parts = (file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm"))
    return sum(part.stat().st_size for part in parts if part.exists()) / 2**20


async def slices(file: Path, workflows: int) -> dict[str, float]:
    """Fill the ring, then feed ten slices."""
    each = max(1, workflows // SLICES)
    flight = Flight(IN_FLIGHT)
    watch: Watch | None = None

    def landed() -> None:
        flight.landed()
        if watch is not None:
            watch.landed()

    chain = Chain(landed, insert=REPLACE)

    async def send(placed: Order) -> None:
        await chain.orders.emit(requested(placed))

    async with at_work(app_on(file, chain.services, retention=RETENTION)):
        await flight.feed(send, RING)
        watch = Watch(each, file)
        await flight.feed(send, each * SLICES, ring=RING)
        return watch.numbers


def main() -> None:
    """Measure once on a fresh file."""
    task = asked(["million"])
    file = task.directory / FILE
    create(file, "state", "ring")
    numbers = run(slices(file, task.workflows))
    check_state(file, RING)
    answer(numbers)


if __name__ == "__main__":
    main()
