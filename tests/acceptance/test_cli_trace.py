"""`minuet trace`: what became of one instance, and what it still waits for."""

import pytest

from tests.acceptance.command import answer, minuet
from tests.acceptance.post_office import post, post_office, work, work_in_the_mud


@pytest.fixture
def office(tmp_path):
    """A directory with the post office in it."""
    return post_office(tmp_path)


def handling(trace, event=0):
    [found] = trace["events"][event]["handlings"]
    return found


def test_an_instance_that_ended_is_told_as_a_tree(office):
    """Each event with its service and time, below it who handled it, below that what was emitted."""
    post(office, ("Main Street", 1, "l1"))
    work(office)
    lines = minuet("trace", "l1", "--db", "post.db", cwd=office).stdout.splitlines()
    assert lines[0].startswith("l1  letter  ended  began ")
    assert lines[1].startswith("└── LetterPosted.v1  boxes  Main Street  ")
    assert "+0 ms" in lines[1]
    assert lines[2] == "    └── delivery.deliver  handled"
    assert lines[3].startswith("        └── LetterDelivered.v1  delivery  Main Street  ")
    assert lines[4:] == ["It ended with LetterDelivered.v1."]


def test_a_program_gets_the_instance_as_one_document(office):
    """Fields are stable; times are seconds since 1970 UTC."""
    post(office, ("Main Street", 1, "l1"))
    work(office)
    trace = answer("trace", "l1", "--db", "post.db", cwd=office)
    assert (trace["correlation_id"], trace["workflow"], trace["state"], trace["late"]) == (
        "l1",
        "letter",
        "ended",
        False,
    )
    posted, delivered = trace["events"]
    assert (posted["id"], posted["type"], posted["service"], posted["emitted_by"]) == (
        "l1", "LetterPosted.v1", "boxes", None,
    )  # fmt: skip
    assert (delivered["causation_id"], delivered["emitted_by"]) == ("l1", "delivery.deliver")
    assert delivered["offset_seconds"] == pytest.approx(delivered["at"] - trace["began_at"])
    assert handling(trace)["emitted"] == [delivered["id"]]
    assert trace["awaited"] == []


def test_what_nobody_took_is_awaited(office):
    """Before any process of the service has ever run, the trace says who is waited for."""
    post(office, ("Main Street", 1, "l1"))
    trace = answer("trace", "l1", "--db", "post.db", cwd=office)
    assert (trace["state"], handling(trace)["state"]) == ("running", "awaited")
    [wait] = trace["awaited"]
    assert wait["sentence"] == (
        "LetterDelivered.v1 from delivery.deliver, which has yet to handle LetterPosted.v1; "
        "no process of delivery has begun it"
    )
    assert trace["possible_ends"] == ["LetterDelivered.v1"]


def test_what_failed_says_how_and_when_it_is_tried_again(office):
    """A retry has its attempts, its last error and the instant of the next."""
    post(office, ("Muddy Lane", 1, "l1"))
    work_in_the_mud(office)
    trace = answer("trace", "l1", "--db", "post.db", cwd=office)
    found = handling(trace)
    assert (found["state"], found["attempts"], found["error"]) == ("retrying", 2, "OSError: stuck")
    assert len(found["history"]) == 2
    assert found["due_at"] > trace["began_at"]
    said = minuet("trace", "l1", "--db", "post.db", cwd=office).stdout
    assert "delivery.deliver  retrying  2 attempts, next at " in said
    assert "attempt 2 failed with OSError: stuck, and the next is due in " in said


def test_what_waits_behind_a_dead_letter_says_so(office):
    """The later letter of the street waits, and the dead one is told with its number and reason."""
    post(office, ("Main Street", 99, "l1"), ("Main Street", 1, "l2"))
    work(office)
    dead = answer("trace", "l1", "--db", "post.db", cwd=office)
    assert (dead["state"], handling(dead)["state"], handling(dead)["reason"]) == (
        "stuck", "dead_letter", "permanent_error",
    )  # fmt: skip
    assert dead["awaited"][0]["given_up"]
    behind = answer("trace", "l2", "--db", "post.db", cwd=office)
    assert (behind["state"], handling(behind)["state"]) == ("running", "waiting_behind")
    assert behind["awaited"][0]["sentence"].endswith("; an earlier event of key Main Street is not settled")


def test_an_event_from_outside_belongs_to_its_instance(office):
    """A correlation id may be any text, and events may join an instance later; `--quick` looks at ids alone."""
    correlation = "0198c5a1-0000-7000-8000-000000000001"
    post(office, ("Main Street", 1, correlation))
    from tests.acceptance.command import python

    python(
        "import asyncio, post\n"
        "async def main():\n"
        "    async with post.app.connected():\n"
        "        letter = post.LetterPosted(street='Side Street', number=2)\n"
        f"        await post.boxes.emit(letter, id='later', correlation_id={correlation!r})\n"
        "asyncio.run(main())",
        cwd=office,
    )
    work(office)
    trace = answer("trace", correlation, "--db", "post.db", cwd=office)
    assert [event["service"] for event in trace["events"]].count("boxes") == 2
    quick = answer("trace", correlation, "--quick", "--db", "post.db", cwd=office)
    assert [event["service"] for event in quick["events"]] == ["boxes", "delivery"]


def test_an_instance_that_is_not_there_ends_with_status_1(office):
    """The sentence says where was looked."""
    post(office, ("Main Street", 1, "l1"))
    error = minuet("trace", "l2", "--db", "post.db", cwd=office, status=1).stderr
    assert "sqlite:///post.db holds no event of an instance 'l2'." in error


def test_the_place_can_be_an_apps(office):
    """With `--app`, or pyproject.toml, the app says where it keeps its state."""
    post(office, ("Main Street", 1, "l1"))
    assert answer("trace", "l1", "--app", "post:app", cwd=office)["correlation_id"] == "l1"
    (office / "pyproject.toml").write_text('[tool.minuet]\napp = "post:app"\n')
    assert answer("trace", "l1", cwd=office)["correlation_id"] == "l1"


def test_a_directory_is_called_one(tmp_path):
    """A directory where a file should be is not said to be missing, and gets nothing put beside it."""
    (tmp_path / "adir").mkdir()
    error = minuet("trace", "l1", "--db", "adir", cwd=tmp_path, status=1).stderr
    assert f"{tmp_path / 'adir'} is a directory, not a SQLite file." in error
    assert [file.name for file in tmp_path.iterdir()] == ["adir"]


def test_without_a_place_it_is_a_usage_error(office):
    """It says how to give one; a file and a URL at a time are one too many."""
    assert "Nothing says where to look." in minuet("trace", "l1", cwd=office, status=2).stderr
    minuet("trace", "l1", "--db", "post.db", "--store", "sqlite:///post.db", cwd=office, status=2)


def test_a_broker_elsewhere_is_read_beside_the_store(office):
    """With broker and store in two files, events come from one and states from the other."""
    two = (
        (office / "post.py")
        .read_text()
        .replace('broker="sqlite:///post.db"', 'broker="sqlite:///log.db", store="sqlite:///post.db"')
    )
    (office / "post.py").write_text(two)
    post(office, ("Main Street", 1, "l1"), ("Main Street", 99, "l2"))
    work(office)
    where = ["--store", "sqlite:///post.db", "--broker", "sqlite:///log.db"]
    assert answer("trace", "l1", *where, cwd=office)["state"] == "ended"
    assert answer("trace", "l2", *where, cwd=office)["state"] == "stuck"


def test_a_store_without_a_log_asks_for_the_broker(office):
    """A store that minuet has used beside a broker elsewhere is not told to be none: the broker is asked for."""
    minuet("run", "post:app", "--drain", "--broker", "sqlite:///log.db", "--store", "sqlite:///kept.db", cwd=office)
    for verb in (("trace", "l1"), ("doctor",)):
        done = minuet(*verb, "--store", "sqlite:///kept.db", cwd=office, status=1)
        assert (
            "sqlite:///kept.db is a store that minuet has used, and holds no log of events" in done.stdout + done.stderr
        )
        assert "--broker URL" in done.stdout + done.stderr
