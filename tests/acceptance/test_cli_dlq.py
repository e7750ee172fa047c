"""`minuet dlq`: dead letters found, shown, handed back and given up."""

import json

import pytest

from tests.acceptance.command import answer, minuet
from tests.acceptance.post_office import copied, post, post_office, work

HERE = ("--db", "post.db")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A post office with three letters that could not be delivered, and one that waits behind the first."""
    office = post_office(tmp_path_factory.mktemp("prepared"))
    post(
        office,
        ("Main Street", 99, "l1"),
        ("Main Street", 1, "l2"),
        ("Side Street", 98, "l3"),
        ("Back Street", 97, "l4"),
    )
    work(office)
    return office


@pytest.fixture
def office(prepared, tmp_path):
    """A copy of the prepared post office."""
    return copied(prepared, tmp_path)


def delivered(office):
    """The instances that have ended."""
    return [id for id in ("l1", "l2", "l3", "l4") if answer("trace", id, *HERE, cwd=office)["state"] == "ended"]


def test_a_list_counts_by_reason_and_names_the_set(office):
    """The hash is the one that a redrive of the same filter would show."""
    listed = answer("dlq", "list", *HERE, cwd=office)
    assert (listed["count"], listed["reasons"]) == (3, {"permanent_error": 3})
    assert [letter["correlation_id"] for letter in listed["letters"]] == ["l1", "l3", "l4"]
    assert listed["letters"][0]["consumer"] == "delivery.deliver"
    said = minuet("dlq", "list", *HERE, cwd=office).stdout
    assert "NoSuchHouse: Main Street 99" in said
    assert said.endswith("\n3: 3 permanent_error\n")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--service", "delivery"], ["l1", "l3", "l4"]),
        (["--service", "deliver"], []),
        (["--reaction", "delivery.deliver"], ["l1", "l3", "l4"]),
        (["--topic", "LetterPosted"], ["l1", "l3", "l4"]),
        (["--topic", "LetterDelivered"], []),
        (["--reason", "permanent_error"], ["l1", "l3", "l4"]),
        (["--reason", "payload"], []),
        (["--correlation", "l3"], ["l3"]),
        (["--key", "Back Street"], ["l4"]),
        (["--state", "resolved"], []),
        (["--state", "all"], ["l1", "l3", "l4"]),
    ],
)
def test_a_list_can_be_filtered(office, options, found):
    """Every given word must match."""
    listed = answer("dlq", "list", *options, *HERE, cwd=office)
    assert [letter["correlation_id"] for letter in listed["letters"]] == found


def test_a_letter_shows_everything_that_is_kept_of_it(office):
    """Error, trace, attempts, what waits behind it, and the original event."""
    shown = answer("dlq", "show", "1", *HERE, cwd=office)
    letter = shown["letter"]
    assert (letter["event_id"], letter["reason"], letter["attempts"]) == ("l1", "permanent_error", 1)
    assert 'post.py", line' in letter["trace"]
    assert json.loads(letter["body"])["data"] == {"street": "Main Street", "number": 99}
    assert shown["waiting_behind"] == 1
    assert shown["first_behind"][0]["delivery"]["event_id"] == "l2"
    said = minuet("dlq", "show", "1", *HERE, cwd=office).stdout
    assert "Behind it, 1 later of key Main Street waits:\n  LetterPosted l2 (behind)\n" in said
    assert '    "number": 99' in said
    assert minuet("dlq", "show", "99", *HERE, cwd=office, status=1).stderr.startswith("There is no dead letter 99")


def test_one_letter_is_handed_back_and_what_waited_goes_on(office):
    """It is handled under its own id by the one consumer that failed, and the next of its street after it."""
    assert answer("dlq", "redrive", "1", "--yes", *HERE, cwd=office)["redriven"] == [1]
    work(office, houses=100)
    assert delivered(office) == ["l1", "l2"]
    assert answer("dlq", "list", "--state", "resolved", *HERE, cwd=office)["count"] == 1


def test_nothing_is_redriven_without_consent(office):
    """The set is shown, with its count and hash; what was agreed to is exactly that set."""
    listed = answer("dlq", "list", "--reason", "permanent_error", *HERE, cwd=office)
    asked = minuet("dlq", "redrive", "--reason", "permanent_error", *HERE, cwd=office, status=2)
    assert f"3 open dead letters, hash {listed['hash']}" in asked.stderr
    assert f"--expect {listed['hash']}" in " ".join(asked.stderr.split())
    agreed = answer("dlq", "redrive", "--reason", "permanent_error", "--expect", listed["hash"], *HERE, cwd=office)
    assert agreed["redriven"] == [1, 2, 3]


def test_a_set_that_has_changed_is_not_redriven(office):
    """A hash agrees to the letters as they were."""
    listed = answer("dlq", "list", *HERE, cwd=office)
    minuet("dlq", "discard", "3", "--because", "moved", "--yes", *HERE, cwd=office)
    error = minuet("dlq", "redrive", "--all", "--expect", listed["hash"], *HERE, cwd=office, status=1).stderr
    assert "it has changed since it was looked at" in error
    assert answer("dlq", "list", *HERE, cwd=office)["count"] == 2


def test_everything_must_be_said(office):
    """A redrive without a filter needs --all."""
    minuet("dlq", "redrive", "--yes", *HERE, cwd=office, status=2)
    assert answer("dlq", "redrive", "--all", "--yes", "--rate", "1000/s", *HERE, cwd=office)["count"] == 3


def test_canaries_that_nobody_handles_keep_the_rest_where_it_is(office):
    """Without a process of the service the canary does not end in time: status 1, and the others are left alone."""
    done = answer("dlq", "redrive", "--all", "--yes", "--canary", "1", "--wait", "50ms", *HERE, cwd=office, status=1)
    assert (done["redriven"], done["left"]) == ([1], [2, 3])


def test_an_edit_is_kept_within_the_contract(office):
    """The consumer gets the edited event under the same id; the difference stays with the letter."""
    edit = ("dlq", "redrive", "2", "--app", "post:app", "--yes")
    refused = minuet(*edit, "--edit", '{"number": "one"}', cwd=office, status=1).stderr
    assert "would not satisfy LetterPosted.v1 (post.py:" in refused
    moved = minuet(*edit, "--edit", '{"street": "Main Street"}', cwd=office, status=1).stderr
    assert "it would leave the order that it stands in" in moved
    assert answer(*edit, "--edit", '{"number": 3}', cwd=office)["redriven"] == [2]
    work(office)
    assert "l3" in delivered(office)
    shown = answer("dlq", "show", "2", *HERE, cwd=office)["letter"]
    assert (shown["state"], shown["event_id"]) == ("resolved", "l3")
    assert '-  "number": 98\n+  "number": 3\n' in shown["difference"]
    assert json.loads(shown["body"])["data"]["number"] == 98


def test_a_whole_payload_may_come_from_a_file(office):
    """`--edit-file` replaces the payload."""
    (office / "payload.json").write_text('{"street": "Side Street", "number": 4}')
    done = answer("dlq", "redrive", "2", "--app", "post:app", "--yes", "--edit-file", "payload.json", cwd=office)
    assert done["redriven"] == [2]
    work(office)
    assert "l3" in delivered(office)


@pytest.mark.parametrize(
    "options",
    [
        ["--edit", "{"],
        ["--edit", "[1]"],
        ["--edit-file", "nowhere.json"],
        ["--edit", "{}", "--edit-file", "nowhere.json"],
        ["--edit", '{"number": 3}', *HERE],
        ["--rate", "fast"],
        ["--wait", "long"],
    ],
)
def test_options_that_make_no_sense_are_usage_errors(office, options):
    """Nothing is touched."""
    where = HERE if "--edit" not in " ".join(options) or "--db" in options else ("--app", "post:app")
    minuet("dlq", "redrive", "2", "--yes", *options, *(where if "--db" not in options else ()), cwd=office, status=2)
    assert answer("dlq", "list", *HERE, cwd=office)["count"] == 3


def test_a_letter_that_dies_again_ends_with_status_1_when_waited_for(office):
    """With --wait the outcome is known: a service at work hands the letter back dead."""
    from tests.acceptance.command import running

    with running("post:app", cwd=office) as services:
        services.until("started")
        done = answer("dlq", "redrive", "2", "--yes", "--wait", "30s", *HERE, cwd=office, status=1)
        assert done["died_again"] == [2]
    shown = answer("dlq", "show", "2", *HERE, cwd=office)["letter"]
    assert (shown["state"], shown["attempts"], len(shown["history"])) == ("open", 2, 2)


def test_a_discarded_letter_keeps_why_and_lets_go_of_its_key(office):
    """What waited behind it goes on; the letter is not open any more."""
    minuet("dlq", "discard", "1", "--yes", *HERE, cwd=office, status=2)
    done = answer("dlq", "discard", "1", "--because", "the house is gone", "--yes", *HERE, cwd=office)
    assert done["discarded"] == [1]
    assert answer("dlq", "show", "1", *HERE, cwd=office)["letter"]["because"] == "the house is gone"
    work(office)
    assert "l2" in delivered(office)
    assert answer("trace", "l1", *HERE, cwd=office)["events"][0]["handlings"][0]["state"] == "discarded"


def test_a_letter_that_is_not_open_cannot_be_acted_on(office):
    """Redriving twice is redriving once, and says so with status 1."""
    minuet("dlq", "redrive", "2", "--yes", *HERE, cwd=office)
    again = minuet("dlq", "redrive", "2", "--yes", *HERE, cwd=office, status=1)
    assert "0 open dead letters" in again.stderr
