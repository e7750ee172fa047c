"""`MODULE:ATTRIBUTE`, and everything that can be wrong with it, said in prose."""

import pytest

from tests.acceptance.command import answer, minuet
from tests.acceptance.post_office import post_office


def test_the_working_directory_can_be_imported_from(tmp_path):
    """An app lies where the command is run; nothing needs to be installed."""
    manifest = answer("graph", "post:app", cwd=post_office(tmp_path))
    assert [service["name"] for service in manifest["services"]] == ["boxes", "delivery"]


def test_pyproject_names_the_app_once(tmp_path):
    """Without a reference, `[tool.minuet] app` of the working directory counts."""
    post_office(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.minuet]\napp = "post:app"\n')
    assert answer("graph", cwd=tmp_path)["workflows"][0]["name"] == "letter"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("office:app", "There is no module office."),
        ("post.office:app", "There is no module post.office."),
        ("post:shop", "post has no 'shop'. It has post:app."),
        ("post:boxes", "post:boxes is a Service, not an App. It has post:app."),
        ("post", "Did you mean post:app?"),
        ("post.py", "Did you mean post:app?"),
        (":app", "Write MODULE:ATTRIBUTE"),
        ("empty:app", "It has no App at all"),
        (None, "No app was given."),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_usage_error(tmp_path, reference, said):
    """Each says what is missing and what to write instead."""
    post_office(tmp_path)
    (tmp_path / "empty.py").write_text("")
    arguments = [reference] if reference is not None else []
    error = " ".join(minuet("run", *arguments, cwd=tmp_path, status=2).stderr.split())
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("def (", "SyntaxError"),
    ],
    ids=["raises", "needs what is missing", "is no Python"],
)
def test_an_error_at_import_shows_the_users_own_lines(tmp_path, code, said):
    """The frames are the user's; minuet's and the import system's are left out."""
    (tmp_path / "broken.py").write_text(f"\n{code}\n")
    error = minuet("run", "broken:app", cwd=tmp_path, status=1).stderr
    assert error.startswith("Importing broken failed:")
    assert 'broken.py", line 2' in error
    assert said in error
    assert "importlib" not in error
    assert "reference.py" not in error


def test_a_wrong_declaration_is_prose_without_a_traceback(tmp_path):
    """It names the line, and what to write."""
    (tmp_path / "wrong.py").write_text("from minuet import Event\n\nclass A(Event, key='b'):\n    a: str\n")
    error = minuet("run", "wrong:app", cwd=tmp_path, status=1).stderr
    assert error.startswith("wrong.py:3: ")
    assert "Traceback" not in error


def test_an_app_that_must_not_start_is_prose_without_a_traceback(tmp_path):
    """A need that nobody provides names the function, the line and the parameter."""
    post_office(tmp_path)
    (tmp_path / "needy.py").write_text(
        "from minuet import App, Service\nfrom post import LetterPosted, boxes\n\nclass Van: ...\n\n"
        "needy = Service('needy')\n\n@needy.reaction\nasync def drive(letter: LetterPosted, van: Van) -> None: ...\n\n"
        "app = App([boxes, needy])\n"
    )
    error = minuet("run", "needy:app", cwd=tmp_path, status=1).stderr
    assert "needy.drive" in error
    assert "needy.py:8" in error
    assert "'van'" in error
    assert "Traceback" not in error


def test_programs_get_the_error_as_json(tmp_path):
    """With --json the failure is a document on stdout, and prose on stderr."""
    (tmp_path / "broken.py").write_text("1 / 0\n")
    error = answer("graph", "broken:app", cwd=tmp_path, status=1)["error"]
    assert error["kind"] == "StartupError"
    assert "ZeroDivisionError" in error["message"]
