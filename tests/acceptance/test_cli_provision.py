"""`minuet run --provision` and `minuet doctor` on a broker whose topology is somebody's decision."""

import json
import shutil
import signal

import pytest

from tests.acceptance import decided
from tests.acceptance.command import answer, minuet, python, running
from tests.acceptance.post_office import post_office

DECIDED = """
import post
from minuet import App
from depot import DecidedBroker


class Depot(DecidedBroker):
    def __repr__(self) -> str:
        return "depot://"


def app(**settings: bool) -> App:
    return App([post.boxes, post.delivery], broker=Depot("log.db"), store="sqlite:///own.db", **settings)


asks, always, never = app(), app(provision=True), app(provision=False)
"""
MISSING = "  group delivery.deliver: create it, to read LetterPosted"
START = """
import asyncio, decided

async def main():
    async with decided.{app}.running():
        print("started")

asyncio.run(main())
"""


@pytest.fixture
def office(tmp_path):
    """A post office whose letters travel through a broker that must be asked."""
    shutil.copy(decided.__file__, tmp_path / "depot.py")
    (tmp_path / "decided.py").write_text(DECIDED)
    return post_office(tmp_path)


def planned(office):
    """What doctor says is missing."""
    report = json.loads(minuet("doctor", "decided:asks", "--json", cwd=office, status=None).stdout)
    return [one["found"] for one in report["findings"] if one["subject"] == "broker.topology" and not one["well"]]


def test_a_run_without_leave_changes_nothing_and_says_what_is_missing(office):
    """Status 1, each change on a line, and how to allow it."""
    for _ in range(2):
        said = minuet("run", "decided:asks", "--drain", cwd=office, status=1)
        assert said.stdout == ""
        assert said.stderr.splitlines() == [
            "depot:// is not as these services need it:",
            MISSING,
            "Nothing was changed. `minuet run --provision`, or App(provision=True), does it.",
        ]


def test_provisioning_shows_what_it_changes_and_then_changes_it_once(office):
    """The plan comes before the services; the next run has nothing to change, with leave or without."""
    said = minuet("run", "decided:asks", "--provision", "--drain", cwd=office).stdout.splitlines()
    assert said[:2] == ["Provisioning depot://:", MISSING]
    assert said[2].startswith("boxes, delivery on depot:// with store sqlite:///own.db, process ")
    for words in ([], ["--provision"]):
        again = minuet("run", "decided:asks", "--drain", *words, cwd=office).stdout.splitlines()
        assert again[0].startswith("boxes, delivery on depot://")
    assert planned(office) == []


def test_programs_read_the_plan_as_json(office):
    """One line with every change, before the one that says that the services have started."""
    with running("decided:asks", "--provision", cwd=office) as services:
        services.until("started")
        services.send(signal.SIGTERM)
        assert services.end() == 0
    assert services.lines[0] == {
        "event": "provisioning",
        "broker": "depot://",
        "changes": [
            {"what": "group delivery.deliver", "how": "create it, to read LetterPosted", "refused": None},
        ],
    }


def test_several_processes_provision_together(office):
    """Leave is given to all workers of a run; the first does it."""
    with running("decided:asks", "--provision", "--workers", "3", cwd=office) as services:
        for _ in range(3):
            services.until("started")
        services.send(signal.SIGTERM)
        assert services.end() == 0
    assert [line["event"] for line in services.lines].count("provisioning") == 1


def test_what_the_broker_refuses_is_said_and_nothing_is_changed(office):
    """With leave too, a person has to do first what minuet may not."""
    (office / "forbidden" / "delivery.deliver").mkdir(parents=True)
    refusal = "    not by minuet: a folder of this name forbids it. Remove the folder."
    unasked = minuet("run", "decided:asks", cwd=office, status=1).stderr.splitlines()
    assert unasked[1:3] == [MISSING, refusal]
    assert unasked[3].startswith("Nothing was changed. See to what minuet leaves to you; ")
    asked = minuet("run", "decided:asks", "--provision", cwd=office, status=1)
    assert asked.stdout.splitlines() == ["Provisioning depot://:", MISSING, refusal]
    assert asked.stderr == "depot:// leaves alone what somebody has forbidden: group delivery.deliver.\n"
    assert planned(office) == ["group delivery.deliver: create it, to read LetterPosted."]
    advice = minuet("doctor", "decided:asks", cwd=office, status=1).stdout
    assert "a folder of this name forbids it. Remove the folder." in advice


def test_from_python_it_is_done_unless_the_app_says_otherwise(office):
    """Tests and scripts need not ask; App(provision=False) asks a person."""
    error = minuet("run", "decided:never", cwd=office, status=1).stderr
    assert "Nothing was changed." in error
    with pytest.raises(AssertionError, match="StartupError: depot:// is not as these services need it"):
        python(START.format(app="never"), cwd=office)
    assert planned(office)
    assert python(START.format(app="asks"), cwd=office) == "started\n"
    assert python(START.format(app="never"), cwd=office) == "started\n"


def test_an_app_that_says_so_is_provisioned_by_every_run(office):
    """Whoever wrote App(provision=True) has decided; the plan is shown all the same."""
    assert minuet("run", "decided:always", "--drain", cwd=office).stdout.startswith("Provisioning depot://:\n")


def test_doctor_looks_at_the_topology_also_before_the_first_run(office):
    """What is missing is wrong, with what does it; once there, it is well, and looking changed nothing."""
    before = answer("doctor", "decided:asks", cwd=office, status=1)
    assert [one for one in before["findings"] if one["subject"] == "broker.topology"] == [
        {
            "subject": "broker.topology",
            "well": False,
            "found": "group delivery.deliver: create it, to read LetterPosted.",
            "advice": "`minuet run --provision` does it.",
        }
    ]
    assert planned(office)
    minuet("run", "decided:asks", "--provision", "--drain", cwd=office)
    after = minuet("doctor", "decided:asks", cwd=office).stdout
    assert "depot:// has what these services need." in after


def test_a_broker_that_provisions_by_itself_needs_no_leave(office):
    """SQLite's groups are made at any start, and nothing of them is told."""
    assert minuet("run", "post:app", "--drain", cwd=office).stdout.startswith("boxes, delivery on sqlite:///post.db")
    again = minuet("run", "post:app", "--provision", "--drain", "--broker", "sqlite:///new.db", cwd=office).stdout
    assert "Provisioning" not in again
