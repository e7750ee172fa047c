"""`minuet run`: started, stopped, killed, supervised, reloaded."""

import os
import select
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.acceptance.command import answer, minuet, running
from tests.acceptance.post_office import post, post_office

SLOW = """
import asyncio
from pathlib import Path

from minuet import App, Event, Service


class Called(Event):
    name: str


calls = Service("calls", owns=[Called])


@calls.reaction
async def wait_long(call: Called) -> None:
    Path("begun").write_text("")
    await asyncio.Event().wait()


app = App([calls], broker="sqlite:///calls.db", stop_within="1h")


async def call() -> None:
    async with app.connected():
        await calls.emit(Called(name="x"))
"""


@pytest.fixture
def office(tmp_path):
    """A directory with the post office in it."""
    return post_office(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_services_start_with_a_line_and_stop_with_a_line(office, number):
    """The first says what runs where; a signal stops gracefully, with status 0."""
    with running("post:app", cwd=office) as services:
        assert services.until("started") == {
            "event": "started",
            "services": ["boxes", "delivery"],
            "broker": "sqlite:///post.db",
            "store": "sqlite:///post.db",
            "pid": services.process.pid,
        }
        services.send(number)
        assert services.end() == 0
    assert [line["event"] for line in services.lines] == ["started", "stopping", "stopped"]


def test_people_read_sentences(office):
    """Without --json each line is a sentence, on stdout."""
    said = minuet("run", "post:app", "--drain", cwd=office).stdout.splitlines()
    assert said[0].startswith("boxes, delivery on sqlite:///post.db, process ")
    assert said[-1].endswith(" has stopped.")


def test_one_service_of_several_runs_alone(office):
    """What others would do is left to them."""
    post(office, ("Main Street", 1, "l1"))
    with running("post:app", "--service", "boxes", cwd=office) as services:
        assert services.until("started")["services"] == ["boxes"]
        services.send(signal.SIGTERM)
        assert services.end() == 0
    minuet("run", "post:app", "--service", "delivery", "--drain", cwd=office)
    assert answer("trace", "l1", "--db", "post.db", cwd=office)["state"] == "ended"
    error = minuet("run", "post:app", "--service", "airmail", cwd=office, status=1).stderr
    assert "The app has no service airmail. It has boxes, delivery." in error


def test_broker_and_store_can_be_others(office):
    """The command line's places count more than the app's; a store goes along with its broker."""
    minuet("run", "post:app", "--drain", "--broker", "sqlite:///other.db", cwd=office)
    assert not (office / "post.db").exists()
    with running(
        "post:app", "--drain", "--broker", "sqlite:///log.db", "--store", "sqlite:///own.db", cwd=office
    ) as services:
        started = services.until("started")
        assert (started["broker"], started["store"]) == ("sqlite:///log.db", "sqlite:///own.db")
        assert services.end() == 0


def test_logs_go_to_stderr_and_say_more_when_asked(office):
    """Retries and deaths are always logged, every turn with --verbose; results stay alone on stdout."""
    post(office, ("Main Street", 1, "l1"), ("Main Street", 99, "l2"))
    quiet = minuet("run", "post:app", "--drain", cwd=office)
    assert "dead letter, permanent_error" in quiet.stderr
    assert "l1: " not in quiet.stderr
    post(office, ("Side Street", 1, "l3"))
    loud = minuet("run", "post:app", "--drain", "--verbose", cwd=office)
    assert "handled, 1 emitted" in loud.stderr
    assert "l3" not in loud.stdout


def test_a_second_signal_ends_at_once(tmp_path):
    """A reaction that does not end keeps a graceful stop waiting; whoever asks twice does not wait."""
    (tmp_path / "slow.py").write_text(SLOW)
    from tests.acceptance.command import python

    python("import asyncio, slow; asyncio.run(slow.call())", cwd=tmp_path)
    with running("slow:app", "--verbose", cwd=tmp_path) as services:
        services.until("started")
        begun(tmp_path)
        services.send(signal.SIGTERM)
        services.until("stopping")
        services.send(signal.SIGTERM)
        assert services.end() == 128 + signal.SIGTERM


def begun(directory):
    """Wait until the slow reaction runs: a reader of the file is woken by whoever writes it."""
    while not (directory / "begun").exists():
        answer("doctor", "--db", "calls.db", cwd=directory)


def test_a_setup_that_fails_shows_the_users_lines(office):
    """What raises at the start ends with status 1 and the user's own frames."""
    text = (office / "post.py").read_text().replace("CREATE TABLE IF NOT EXISTS", "CREATE TABLEAU")
    (office / "post.py").write_text(text)
    error = minuet("run", "post:app", cwd=office, status=1).stderr
    assert error.startswith("Setup delivery.tables (post.py:")
    assert "in tables" in error
    assert "OperationalError" in error
    assert "asyncio" not in error


def test_a_provider_that_fails_is_named(office):
    """It is told with its service, its line and the user's own frames."""
    text = (office / "post.py").read_text() + (
        "\n\nclass Van: ...\n\n\n@delivery.provides\ndef van() -> Van:\n    raise OSError('no petrol')\n"
    )
    (office / "post.py").write_text(text)
    error = minuet("run", "post:app", cwd=office, status=1).stderr
    assert error.startswith("Provider delivery.van (post.py:")
    assert "failed: OSError: no petrol. The app did not start." in error
    assert "in van" in error


@pytest.mark.parametrize("path", ["./post.py", "post.py", "./post", "/srv/shop/post.py"])
def test_an_app_named_by_its_file_is_a_usage_error(office, path):
    """What to write in its place is said, and where to run it if that is elsewhere."""
    error = " ".join(minuet("run", f"{path}:app", cwd=office, status=2).stderr.replace("│", "").split())
    assert "post:app" in error.partition("names a file.")[2]
    assert ("/srv/shop" in error.partition("names a file.")[2]) is path.startswith("/")


# -- several processes


def started(services, count):
    """The process ids of so many workers, once they have started."""
    return [services.until("started")["pid"] for _ in range(count)]


def test_several_processes_share_the_work(office):
    """They start after the first has shown that it can; one signal stops them all."""
    with running("post:app", "--workers", "3", cwd=office) as services:
        assert services.until("supervising")["workers"] == 3
        workers = started(services, 3)
        assert len({*workers, services.process.pid}) == 4
        services.send(signal.SIGTERM)
        assert services.end() == 0
    events = [line["event"] for line in services.lines]
    assert events.count("stopped") == 4
    assert services.lines[-1]["pid"] == services.process.pid
    assert not [pid for pid in workers if alive(pid)]


def test_a_process_that_dies_is_started_anew(office):
    """The death is told with its signal, and another takes its place."""
    with running("post:app", "--workers", "2", cwd=office) as services:
        first, second = started(services, 2)
        os.kill(first, signal.SIGKILL)
        died = services.until("died")
        assert (died["pid"], died["status"]) == (first, -signal.SIGKILL)
        [third] = started(services, 1)
        assert third not in (first, second)
        services.send(signal.SIGINT)
        assert services.end() == 0


def test_a_command_that_cannot_start_once_is_not_started_again_and_again(tmp_path):
    """Its error is shown once, and its status is the run's."""
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with running("broken:app", "--workers", "3", cwd=tmp_path) as services:
        assert services.end() == 1
        assert services.errors().count("ZeroDivisionError") == 1
    with running("nowhere:app", "--workers", "3", cwd=tmp_path) as services:
        assert services.end() == 2


def test_a_second_signal_kills_all_processes(tmp_path):
    """Nobody waits for reactions that do not end."""
    (tmp_path / "slow.py").write_text(SLOW)
    from tests.acceptance.command import python

    python("import asyncio, slow; asyncio.run(slow.call())", cwd=tmp_path)
    with running("slow:app", "--workers", "2", cwd=tmp_path) as services:
        workers = started(services, 2)
        begun(tmp_path)
        services.send(signal.SIGTERM)
        services.until("stopping")
        services.send(signal.SIGTERM)
        assert services.end() == 128 + signal.SIGTERM
    assert not [pid for pid in workers if alive(pid)]


def test_processes_do_not_outlive_a_supervisor_that_was_killed(office):
    """They hear that it is gone, and stop gracefully."""
    with running("post:app", "--workers", "2", cwd=office) as services:
        ends = [os.pidfd_open(pid) for pid in started(services, 2)]
        services.send(signal.SIGKILL)
        assert services.end() == -signal.SIGKILL
        assert sum(line["event"] == "stopped" for line in services.lines) == 2
    for end in ends:
        assert select.select([end], [], [], 60)[0], "it lives"
        os.close(end)


def alive(pid):
    """Whether a process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- reload


def test_a_change_of_the_code_starts_the_services_anew(office):
    """The change is told by its file, and the new code runs; a broken one waits for the next change."""
    file = office / "post.py"
    text = file.read_text()
    with running("post:app", "--reload", cwd=office) as services:
        [first] = started(services, 1)
        file.write_text(text.replace('await tx.execute("INSERT', 'await tx.execute("INSERT OR IGNORE'))
        assert services.until("reloading")["file"].endswith("post.py")
        [second] = started(services, 1)
        assert second != first
        file.write_text("1 / 0\n")
        services.until("waiting")
        file.write_text(text)
        started(services, 1)
        services.send(signal.SIGTERM)
        assert services.end() == 0
        assert "ZeroDivisionError" in services.errors()


def test_reload_says_what_to_install(office):
    """Without watchfiles there is nothing to watch with."""
    (office / "sitecustomize.py").write_text("import sys\nsys.modules['watchfiles'] = None\n")
    error = minuet("run", "post:app", "--reload", cwd=office, status=1, PYTHONPATH=str(office)).stderr
    assert error == (
        "--reload needs watchfiles, which is not installed. Install it with: pip install 'minuet[reload]'\n"
    )


def test_a_run_leaves_the_file_in_order(office):
    """After a graceful stop nothing is half done: the log and the table agree."""
    post(office, *((f"Street {number}", 1, f"l{number}") for number in range(20)))
    with running("post:app", "--workers", "2", cwd=office) as services:
        started(services, 2)
        services.send(signal.SIGTERM)
        assert services.end() == 0
    minuet("run", "post:app", "--drain", cwd=office)
    with sqlite3.connect(office / "post.db") as connection:
        [(rows, streets)] = connection.execute("SELECT count(*), count(DISTINCT street) FROM delivered").fetchall()
    connection.close()
    assert (rows, streets) == (20, 20)
