"""The package's front door: every public name is there, and importing it stays cheap."""

import subprocess
import sys

import pytest

import minuet
from minuet.app import App


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_every_public_name_is_there():
    """What `__all__` lists can be imported, the lazily loaded App too."""
    assert {name: getattr(minuet, name) for name in minuet.__all__}["App"] is App


def test_an_unknown_name_is_an_attribute_error():
    """The lazy door opens for App alone."""
    with pytest.raises(AttributeError, match="module 'minuet' has no attribute 'Conductor'"):
        _ = minuet.Conductor


def test_declarations_load_no_runtime():
    """A module that only declares events and reactions pays for no event loop, adapter or database driver."""
    loaded = python("import sys, minuet; print(' '.join(sys.modules))").split()
    heavy = {"asyncio", "sqlite3", "logging", "pydantic", "attrs", "typer", "rich", "minuet.app", "minuet.runtime"}
    assert "minuet.service.service" in loaded
    assert heavy.isdisjoint(loaded)


def test_app_is_loaded_when_it_is_asked_for():
    """The first use of App brings the runtime, and keeps it."""
    code = "import sys, minuet; minuet.App; print('minuet.app' in sys.modules, 'App' in vars(minuet))"
    assert python(code) == "True True"
