"""How the command line writes times, lengths and tracebacks."""

import json
import re

import pytest

from minuet.cli.output import clock_time, date_time, length, pairs, users_frames
from minuet.core.editing import merge_patch


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 ms"), (0.0124, "12 ms"), (0.999, "999 ms"), (1, "1.0 s"), (3.24, "3.2 s"), (119, "119.0 s"),
        (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d"), (1e9, "11574 d"),
    ],
)  # fmt: skip
def test_lengths_are_as_exact_as_people_want_them(seconds, written):
    """The unit grows with the length."""
    assert length(seconds) == written


def test_instants_are_written_by_the_local_clock():
    """With milliseconds beside an event, with the date in a list."""
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", clock_time(1_700_000_000.5))
    assert re.fullmatch(r"2023-11-1\d \d\d:\d\d:\d\d", date_time(1_700_000_000.5))


def test_pairs_stand_under_each_other_and_leave_out_what_is_not_known():
    """Names are padded to the longest."""
    assert pairs([("id", 7), ("because", None), ("reason", "payload")]).plain == "id      7\nreason  payload"


def test_a_traceback_begins_where_the_users_code_does():
    """What led there is left out, libraries that the user's code called are not, and minuet's own frames are."""

    def called(contract):
        return json.loads("no")

    try:
        merge_patch({}, Calling(called))
    except ValueError as error:
        told = users_frames(error)
    assert told.startswith(f'  File "{__file__}"')
    assert "editing.py" not in told
    assert "decoder.py" in told
    assert told.splitlines()[-1].startswith("json.decoder.JSONDecodeError")


class Calling(dict):
    """A patch of a user's making, whose members are what a function returns."""

    def __init__(self, function):
        self.function = function

    def items(self):
        return self.function(self)
