"""The servers' tool: ports, URLs and processes, and the fleet with a small server of the tests' own."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.services import addresses, ports, processes
from tools.services.__main__ import main, status
from tools.services.fleet import Services
from tools.services.processes import DIRECTORY, Launch, Process
from tools.services.server import Failed, Home, Missing

LISTENS = """\
import socket, subprocess, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    child = subprocess.Popen(["sleep", "1000"])
    open("child", "w").write(str(child.pid))
    while True:
        server.accept()[0].sendall(b"here")
"""


class Listener:
    """A server that greets whoever connects, and has a child process, as the real ones have."""

    port_names = ("client",)
    stop_signal = signal.SIGTERM

    def __init__(self, name="listener", *, missing=False) -> None:
        self.name = name
        self.missing = missing
        self.code = LISTENS

    def install(self, log, say) -> None:
        if self.missing:
            raise Missing(self.name, "There is none. Build one.")

    def prepare(self, home, say) -> Launch:
        return Launch((sys.executable, "-c", self.code, str(home.ports["client"])), home.path)

    def answers(self, home) -> bool:
        with socket.create_connection(("127.0.0.1", home.ports["client"])) as connection:
            return connection.recv(4) == b"here"

    def url(self, home) -> str:
        return f"listener://minuet:{home.password}@127.0.0.1:{home.ports['client']}"

    def tidy(self, home: Home) -> None:
        """Ends the child that is left when the server alone was told to stop."""
        child = home.path / "child"
        if child.exists():
            running(int(child.read_text())).strike()
            child.unlink()


def running(pid) -> Process:
    """The process that has this id now; one that never lived if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    return Process(pid, processes.parsed(stat.read_text()).born if stat.exists() else "never")


@pytest.fixture
def directory(tmp_path):
    """A directory for servers, of which none is left running."""
    yield tmp_path / "servers"
    Services(tmp_path / "servers", servers=[Listener(), Listener("other")], environment={}).stop()


def fleet(directory, *servers, environment=None) -> Services:
    return Services(directory, servers=servers or [Listener()], environment=environment or {})


def pid_of(directory, name="listener") -> int:
    return json.loads((directory / name / "process.json").read_text())["pid"]


needs_proc = pytest.mark.skipif(
    sys.platform != "linux",
    reason="who a process is, and what it listens on, is looked up in /proc, which only Linux has",
)


# Ports


@given(st.text(max_size=20), st.sets(st.integers(ports.FIRST, ports.END), max_size=30), st.integers(0, 9))
def test_chosen_ports_are_free_and_nobodys(seed, taken, count) -> None:
    """As many ports as asked for, each free, none of them taken, no two alike, all in the range."""
    directory = Path("/") / seed.encode("utf-8", "replace").hex()
    chosen = ports.choose(count, directory, taken, lambda port: port % 2 == 0)
    assert len({*chosen}) == count
    assert all(port % 2 == 0 and port not in taken and ports.FIRST <= port < ports.END for port in chosen)


def test_a_directory_finds_the_same_ports_again() -> None:
    """The choice depends on the directory, so that two clones look in different places."""
    one, two = Path("/one/.services"), Path("/two/.services")
    choices = [ports.choose(3, directory, (), lambda _: True) for directory in (one, one, two)]
    assert choices[0] == choices[1] != choices[2]


def test_no_free_port_is_an_error() -> None:
    """When everything is taken, nothing is chosen."""
    with pytest.raises(ports.NoPortFree, match="No 2 ports are free"):
        ports.choose(2, Path("/"), (), lambda _: False)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    """Free means that a server could listen on it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


# URLs

URLS = {"postgres": "postgres://u:p@127.0.0.1:1/d?a=b", "kafka": "kafka://127.0.0.1:2"}


def test_written_urls_are_read_back(tmp_path) -> None:
    """A line `name=url` for each, which nobody else may read; without URLs there is no file."""
    file = addresses.write(tmp_path, URLS)
    assert file.read_text() == "postgres=postgres://u:p@127.0.0.1:1/d?a=b\nkafka=kafka://127.0.0.1:2\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert addresses.read(tmp_path) == URLS
    addresses.write(tmp_path, {})
    assert not file.exists()
    assert addresses.read(tmp_path) == {}


def test_the_environment_gives_urls() -> None:
    """MINUET_NAME_URL gives a server; an empty one gives none."""
    environment = {"MINUET_KAFKA_URL": " kafka://a:1 ", "MINUET_POSTGRES_URL": "", "KAFKA_URL": "kafka://b:1"}
    assert addresses.given(environment, ["postgres", "kafka"]) == {"kafka": "kafka://a:1"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("kafka://127.0.0.1:9092", "kafka://127.0.0.1:9092"),
        ("postgres://me@host/db", "postgres://me@host/db"),
        ("postgres://me:se:cr@et@host:1/db", "postgres://me:***@host:1/db"),
        ("postgres://host/db?password=secret", "postgres://host/db"),
        ("kafka://me:secret@a:1,b:2", "kafka://me:***@a:1,b:2"),
    ],
)
def test_a_password_is_not_shown(url, shown) -> None:
    """What people see of a URL has no password in it, wherever it was."""
    assert addresses.masked(url) == shown


# Processes


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), st.integers(0), st.integers(0))
def test_a_process_is_read_whatever_its_name(name, parent, born) -> None:
    """The name in a line of /proc may hold brackets and blanks; what follows the last bracket counts."""
    line = f"12 ({name}) Z {parent} {' 7' * 15} 3 0 {born} 99 88"
    assert processes.parsed(line) == processes.Stat(parent=parent, state="Z", born=str(born), threads=3)


def test_a_process_has_ended_when_its_last_thread_has() -> None:
    """A zombie with threads still holds its ports; one without holds nothing."""
    assert processes.Stat(1, "Z", "0", threads=1).ended
    assert not processes.Stat(1, "Z", "0", threads=2).ended
    assert not processes.Stat(1, "S", "0", threads=1).ended


def test_descendants_are_found_however_deep() -> None:
    """Children and theirs, and nobody else; a table that bites its tail ends too."""
    assert processes.descendants(1, {2: 1, 3: 2, 4: 3, 5: 9, 9: 9}) == {2, 3, 4}
    assert processes.descendants(1, {1: 2, 2: 1}) == {1, 2}


@needs_proc
def test_a_started_process_outlives_nothing_and_is_killed_with_its_children(tmp_path) -> None:
    """It is nobody's child, its output goes to the log, and a strike leaves no descendant."""
    script = f"echo at {DIRECTORY}; sleep 1000 & echo $! > child; exec sleep 1000"
    os.mkfifo(tmp_path / "child")
    process = processes.start(Launch(("/bin/sh", "-c", script), tmp_path), tmp_path / "log")
    child = running(int((tmp_path / "child").read_text()))
    assert process.alive()
    assert child.alive()
    process.strike()
    assert not process.alive()
    assert not child.alive()
    assert (tmp_path / "log").read_text() == f"at {tmp_path}\n"


@needs_proc
def test_a_process_that_does_not_listen_is_killed(tmp_path) -> None:
    """One that ignores the signal to stop is killed when patience ends."""
    os.mkfifo(tmp_path / "ready")
    script = "trap '' TERM; echo > ready; while :; do sleep 1000; done"
    process = processes.start(Launch(("/bin/sh", "-c", script), tmp_path), tmp_path / "log")
    (tmp_path / "ready").read_text()
    process.stop(signal.SIGTERM, patience_seconds=0.01)
    assert not process.alive()


@needs_proc
def test_an_id_that_went_to_somebody_else_is_left_alone() -> None:
    """A process is its id and its birth: neither stop nor strike touches another one with the same id."""
    with subprocess.Popen(["/bin/sleep", "1000"]) as other:
        former = Process(other.pid, "0")
        assert not former.alive()
        former.stop(signal.SIGKILL, patience_seconds=0)
        former.strike()
        assert other.poll() is None
        other.kill()


def test_a_command_says_whether_it_succeeded(tmp_path) -> None:
    """It reads what it is told and its output is in the log."""
    log = tmp_path / "log"
    assert processes.run(Launch(("/bin/sh", "-c", "cat /dev/stdin"), tmp_path), log, said="hello")
    assert not processes.run(Launch(("/bin/sh", "-c", "exit 3"), tmp_path), log)
    assert log.read_text() == "hello"


# The fleet


@needs_proc
def test_a_server_is_started_kept_and_stopped(directory) -> None:
    """A second start keeps what runs; a stop leaves no process and no URL."""
    services = fleet(directory)
    first = services.start()
    pid = pid_of(directory)
    child = running(int((directory / "listener" / "child").read_text()))
    assert addresses.read(directory) == first.urls == services.urls()
    assert services.start() == first
    assert pid_of(directory) == pid
    assert [state.word for state in services.states()] == ["running"]
    services.stop()
    assert [state.word for state in services.states()] == ["stopped"]
    assert not child.alive()
    assert not (directory / "urls.env").exists()
    services.stop()


@needs_proc
@pytest.mark.parametrize("way", ["kill", "restart"])
def test_a_server_comes_back_at_its_url(directory, way) -> None:
    """Killed or restarted, it is another process at the same URL, and nothing of the old one is left."""
    services = fleet(directory)
    url = services.start().urls["listener"]
    old = running(pid_of(directory)), running(int((directory / "listener" / "child").read_text()))
    assert getattr(services, way)("listener") == url
    assert not any(process.alive() for process in old)
    assert running(pid_of(directory)).alive()


@needs_proc
def test_a_server_that_died_is_seen_and_started_again(directory) -> None:
    """Dead is not stopped: the state says so, and a start brings it back."""
    services = fleet(directory)
    url = services.start().urls["listener"]
    services.strike("listener")
    assert [str(state) for state in services.states()] == ["listener  dead"]
    assert services.urls() == {}
    assert services.start().urls == {"listener": url}


@needs_proc
def test_a_server_whose_port_was_taken_meanwhile_finds_another(directory) -> None:
    """A stopped server's port may go to somebody else; the next start does not fight for it."""
    services = fleet(directory)
    url = services.start().urls["listener"]
    services.stop()
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
        assert services.start().urls["listener"] != url


@needs_proc
def test_what_is_missing_or_fails_does_not_keep_the_others_away(directory) -> None:
    """Each problem is reported with its cause, and the rest starts."""
    broken = Listener("broken")
    broken.code = "raise SystemExit('no disk, no deal')"
    report = fleet(directory, Listener("absent", missing=True), broken, Listener("other")).start()
    assert [*report.urls] == ["other"]
    missing, failed = report.problems
    assert isinstance(missing, Missing)
    assert str(missing) == "There is none. Build one."
    assert isinstance(failed, Failed)
    assert "ended before it answered" in str(failed)
    assert "no disk, no deal" in str(failed)
    with pytest.raises(Failed, match="no disk"):
        fleet(directory, broken).restart("broken")


def test_a_given_server_is_left_alone(directory) -> None:
    """A URL in the environment stands for the server: nothing is installed, started or killed, and it is written."""
    given = "listener://me:secret@elsewhere:1"
    services = fleet(directory, Listener(missing=True), environment={"MINUET_LISTENER_URL": given})
    report = services.start(["listener"])
    assert (report.urls, report.problems) == ({"listener": given}, [])
    assert addresses.read(directory) == {"listener": given}
    assert str(services.states()[0]) == "listener  given                 listener://me:***@elsewhere:1"
    with pytest.raises(Failed, match="given by MINUET_LISTENER_URL"):
        services.kill("listener")


def test_an_unknown_server_is_named(directory) -> None:
    """The message says which servers there are."""
    with pytest.raises(KeyError, match="no server 'oracle' here; there are listener"):
        fleet(directory).start(["oracle"])


# The command


@pytest.mark.parametrize(
    ("problems", "ci", "expected"),
    [
        ([], True, 0),
        ([Missing("kafka", "")], False, 3),
        ([Missing("kafka", "")], True, 1),
        ([Missing("kafka", ""), Failed("postgres", "")], False, 1),
    ],
)
def test_the_exit_status_tells_what_cannot_be_had_from_what_failed(problems, ci, expected) -> None:
    """3 if servers cannot be installed here, which continuous integration does not let pass; 1 if one failed."""
    assert status(problems, ci=ci) == expected


@pytest.mark.parametrize("arguments", [["start", "oracle"], ["kill"], ["dance"]])
def test_wrong_use_is_refused(arguments, capsys) -> None:
    """An unknown server or verb, or nobody to kill, is answered with what there is."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "kafka" in capsys.readouterr().err or arguments == ["dance"]
