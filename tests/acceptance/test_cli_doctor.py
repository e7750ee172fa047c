"""`minuet doctor`: what is wrong, and what to do."""

import sqlite3
import subprocess
import sys
import time

import pytest

from tests.acceptance.command import ENVIRONMENT, MINUET, answer, minuet
from tests.acceptance.post_office import copied, post, post_office, work


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A post office that has delivered one letter."""
    office = post_office(tmp_path_factory.mktemp("prepared"))
    post(office, ("Main Street", 1, "l1"))
    work(office)
    return office


@pytest.fixture
def office(prepared, tmp_path):
    """A copy of the prepared post office."""
    return copied(prepared, tmp_path)


def findings(*arguments, cwd, status=0):
    """What doctor found, by subject."""
    report = answer("doctor", *arguments, cwd=cwd, status=status)
    assert report["well"] is (status == 0)
    found = {}
    for finding in report["findings"]:
        found.setdefault(finding["subject"], []).append(finding)
    return found


def wrong(found):
    """The subjects that are not well."""
    return {subject for subject, those in found.items() if any(one["well"] is False for one in those)}


def change(file, sql, *parameters):
    """Change a file behind minuet's back."""
    connection = sqlite3.connect(file)
    connection.execute(sql, parameters)
    connection.commit()
    connection.close()


def test_an_app_and_a_file_that_are_well_end_with_status_0(office):
    """Everything that was looked at is told, and nothing is wrong."""
    found = findings("post:app", cwd=office)
    assert {"app.service", "store.opens", "sqlite.version", "sqlite.journal_mode", "sqlite.integrity"} <= set(found)
    assert wrong(found) == set()
    assert minuet("doctor", "--db", "post.db", cwd=office).stdout.endswith("\nNothing is wrong.\n")


def test_looking_changes_nothing(office):
    """The log, the positions and the letters are the same afterwards."""
    read = "SELECT (SELECT count(*) FROM minuet_log), (SELECT group_concat(position) FROM minuet_positions)"
    before = sqlite3.connect(office / "post.db").execute(read).fetchall()
    minuet("doctor", "post:app", cwd=office)
    assert sqlite3.connect(office / "post.db").execute(read).fetchall() == before


def test_open_dead_letters_are_wrong(office):
    """They are counted by reaction and reason, with what to do."""
    post(office, ("Main Street", 99, "l2"))
    work(office)
    found = findings("--db", "post.db", cwd=office, status=1)
    assert wrong(found) == {"store.dead_letters"}
    [letters] = found["store.dead_letters"]
    assert letters["found"] == "1 open dead letters: 1 of delivery.deliver (permanent_error)."
    assert "minuet dlq" in letters["advice"]
    assert "WRONG" in minuet("doctor", "--db", "post.db", cwd=office, status=1).stdout


def test_a_need_that_nobody_provides_is_wrong(office):
    """Each is told with function, line and parameter, without starting anything."""
    (office / "needy.py").write_text(
        "from minuet import App, Service\nfrom post import LetterPosted, boxes\n\nclass Van: ...\n\n"
        "needy = Service('needy')\n\n@needy.reaction\nasync def drive(letter: LetterPosted, van: Van) -> None: ...\n\n"
        "@needy.reaction\nasync def walk(letter: LetterPosted, shoes: Van) -> None: ...\n\n"
        "app = App([boxes, needy])\n"
    )
    found = findings("needy:app", cwd=office, status=1)
    assert [one["found"] for one in found["app.need"]] == [
        "needy.drive (needy.py:8) needs 'van': nobody provides a Van.",
        "needy.walk (needy.py:11) needs 'shoes': nobody provides a Van.",
    ]


def test_an_expected_consumer_that_never_came_is_wrong(office):
    """LetterPosted expects delivery, and this app has none."""
    (office / "half.py").write_text("from minuet import App\nfrom post import boxes\n\napp = App([boxes])\n")
    found = findings("half:app", cwd=office, status=1)
    assert wrong(found) == {"choreography.expected_consumer"}
    assert "LetterPosted.v1 (post.py:" in found["choreography.expected_consumer"][0]["found"]


def test_an_event_that_nobody_takes_is_worth_knowing(office):
    """It may be meant so, and ends with status 0."""
    text = (office / "post.py").read_text().replace("workflows=[letter], ", "")
    (office / "post.py").write_text(text)
    found = findings("post:app", cwd=office)
    assert found["choreography.no_consumer"][0]["found"].startswith("Nobody takes LetterDelivered.v1 (post.py:")


def test_a_group_of_a_reaction_that_was_renamed_is_wrong(office):
    """The log would be kept for it for ever."""
    change(
        office / "post.db", "UPDATE minuet_positions SET consumer = 'delivery.old' WHERE consumer = 'delivery.deliver'"
    )
    found = findings("--db", "post.db", cwd=office, status=1)
    assert wrong(found) == {"broker.stranger"}
    assert "delivery.old" in found["broker.stranger"][0]["found"]


def test_what_lies_in_the_outbox_for_too_long_is_wrong(office):
    """It is owed to a broker that does not get it."""
    change(
        office / "post.db",
        "INSERT INTO minuet_outbox (topic, key, event_id, source, headers, body, at) "
        "VALUES ('LetterPosted', 'x', 'o1', '/boxes', NULL, '{}', 1.0)",
    )
    found = findings("--db", "post.db", cwd=office, status=1)
    assert wrong(found) == {"store.owed"}
    assert "1 events, the oldest for" in found["store.owed"][0]["found"]


def test_what_nobody_has_begun_is_worth_knowing(office):
    """Services that do not run at the moment are no fault."""
    post(office, ("Main Street", 2, "l2"))
    found = findings("--db", "post.db", cwd=office)
    assert found["broker.behind"][0]["found"] == "Events that wait to be taken: delivery.deliver 1."


def test_what_may_have_been_running_for_long_is_worth_knowing(office):
    """It is told with its reaction, its event and its process, and the backlog behind it does not deny that process."""
    change(
        office / "post.db",
        "INSERT INTO minuet_parked (consumer, topic, event_id, source, body, attempts, history, state, owner) VALUES "
        "('delivery.deliver', 'LetterPosted', 'l7', '/boxes', '{}', 2, ?, 'running', '4711-ab')",
        '[{"at": 1.0, "error": "OSError: stuck"}]',
    )
    post(office, ("Main Street", 2, "l2"))
    found = findings("--db", "post.db", cwd=office)
    [running] = found["store.running"]
    assert "delivery.deliver has event l7 in process 4711-ab, attempt 2, begun " in running["found"]
    assert "and is done with what it has begun" in found["broker.behind"][0]["advice"]


def test_what_runs_since_a_moment_ago_is_not_told(office):
    """Deliveries are meant to run."""
    change(
        office / "post.db",
        "INSERT INTO minuet_parked (consumer, topic, event_id, source, body, attempts, history, state, owner) VALUES "
        "('delivery.deliver', 'LetterPosted', 'l7', '/boxes', '{}', 2, ?, 'running', '4711-ab')",
        f'[{{"at": {time.time()}, "error": "OSError: stuck"}}]',
    )
    assert "store.running" not in findings("--db", "post.db", cwd=office)


POWERLESS = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # root, too, is asked for its rights from here on: no CAP_DAC_OVERRIDE\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def powerless(*arguments, cwd):
    """Run the command as a user who may write only what its modes allow."""
    command = [sys.executable, "-c", POWERLESS, MINUET, *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="root may write everything; only Linux lets a process give up that right alone (prctl)",
)
def test_a_file_that_may_not_be_written_is_wrong_and_no_place_to_run(office):
    """Doctor looks into it and says so; services are refused before they begin."""
    (office / "post.db").chmod(0o444)
    looked = powerless("doctor", "--db", "post.db", cwd=office)
    assert looked.returncode == 1, looked.stdout + looked.stderr
    assert f"WRONG  This user may not write the file {office / 'post.db'}." in looked.stdout
    ran = powerless("run", "post:app", "--drain", cwd=office)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"This user may not write the file {office / 'post.db'}")
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="root may write everything; only Linux lets a process give up that right alone (prctl)",
)
def test_a_folder_that_may_not_be_written_is_wrong(office):
    """SQLite keeps its log beside the file."""
    office.chmod(0o555)
    try:
        looked = powerless("doctor", "--db", "post.db", cwd=office)
        ran = powerless("run", "post:app", "--drain", cwd=office)
    finally:
        office.chmod(0o755)
    assert looked.returncode == ran.returncode == 1
    assert "WRONG" in looked.stdout
    assert f"This user may not write the folder {office}" in ran.stderr


def test_a_damaged_file_is_wrong(office):
    """A page that no longer says what SQLite wrote there is found, wherever it is first read."""
    change(office / "post.db", "PRAGMA wal_checkpoint(TRUNCATE)")
    file = office / "post.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    found = findings("--db", "post.db", cwd=office, status=1)
    assert wrong(found) & {"sqlite.integrity", "store.opens", "store.reads"}


def test_a_file_that_is_not_there_is_wrong_unless_an_app_has_yet_to_make_it(tmp_path):
    """`--db` names a file that should be there; an app may be new."""
    post_office(tmp_path)
    assert wrong(findings("--db", "post.db", cwd=tmp_path, status=1)) == {"store.opens"}
    assert wrong(findings("post:app", cwd=tmp_path)) == set()


def test_a_file_that_is_no_database_is_wrong(tmp_path):
    """The sentence is SQLite's, with what to check."""
    (tmp_path / "text.db").write_text("Dear Sir or Madam,\n" * 100)
    found = findings("--db", "text.db", cwd=tmp_path, status=1)
    assert "file is not a database" in found["store.opens"][0]["found"]


def test_an_app_on_memory_has_no_store_to_look_into(tmp_path):
    """Its composition is checked all the same."""
    text = post_office(tmp_path) / "post.py"
    text.write_text(text.read_text().replace('broker="sqlite:///post.db"', 'broker="memory://"'))
    found = findings("post:app", cwd=tmp_path)
    assert found["store.opens"][0]["well"] is None
    assert len(found["app.service"]) == 2
