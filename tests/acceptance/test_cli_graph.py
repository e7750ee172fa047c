"""`minuet graph`: the choreography drawn, from the app or from what its services left in a store."""

import json

import pytest

from tests.acceptance.command import answer, minuet
from tests.acceptance.post_office import post, post_office, work


def test_the_drawing_is_mermaid_unless_said_otherwise(tmp_path):
    """Mermaid goes into Markdown; DOT into Graphviz."""
    post_office(tmp_path)
    assert minuet("graph", "post:app", cwd=tmp_path).stdout.startswith("flowchart LR\n")
    assert minuet("graph", "post:app", "--format", "dot", cwd=tmp_path).stdout.startswith("digraph choreography {\n")


def test_the_manifest_is_json(tmp_path):
    """`--json` and `--format json` are the same document."""
    post_office(tmp_path)
    manifest = answer("graph", "post:app", cwd=tmp_path)
    assert manifest == json.loads(minuet("graph", "post:app", "--format", "json", cwd=tmp_path).stdout)
    assert manifest["services"][1]["reactions"][0]["id"] == "delivery.deliver"


@pytest.mark.parametrize("option", [["--db", "post.db"], ["--store", "sqlite:///post.db"]], ids=["--db", "--store"])
def test_a_store_alone_can_be_drawn(tmp_path, option):
    """Services leave their manifests where they run; no code is needed to draw them."""
    post_office(tmp_path)
    declared = answer("graph", "post:app", cwd=tmp_path)
    post(tmp_path, ("Main Street", 1, "l1"))
    work(tmp_path)
    (tmp_path / "post.py").unlink()
    assert answer("graph", *option, cwd=tmp_path) == declared


def test_a_store_that_nobody_used_is_refused_and_not_made(tmp_path):
    """Looking leaves nothing behind."""
    error = minuet("graph", "--db", "no.db", cwd=tmp_path, status=1).stderr
    assert error.startswith("There is no file ")
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_somebody_elses_is_left_as_it_is(tmp_path):
    """A file without minuet's tables does not get them by being looked at."""
    import sqlite3

    with sqlite3.connect(tmp_path / "photos.db") as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = (tmp_path / "photos.db").read_bytes()
    error = minuet("graph", "--db", "photos.db", cwd=tmp_path, status=1).stderr
    assert "no minuet app has used" in error
    assert (tmp_path / "photos.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["photos.db"]


def test_an_app_and_a_store_are_two_sources(tmp_path):
    """One of them at a time."""
    minuet("graph", "post:app", "--db", "post.db", cwd=post_office(tmp_path), status=2)
