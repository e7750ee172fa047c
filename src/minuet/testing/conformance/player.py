"""The program of a second process: it finds the suite again and plays the scene that it is told to."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import msgspec

from minuet.testing.conformance.process import Part, Prompter
from minuet.testing.conformance.suite import Suite


def suite_of(part: Part) -> type[Suite]:
    """The suite's class, imported as the test imported it, or from its file."""
    try:
        module = importlib.import_module(part.module)
    except ImportError:
        module = _from_file(part.module, Path(part.file))
    suite = getattr(module, part.suite)
    assert isinstance(suite, type)
    assert issubclass(suite, Suite)
    return suite


def _from_file(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


async def play(part: Part) -> None:
    """Play the scene to its end."""
    suite = suite_of(part)()
    if part.url is not None:
        suite.url = part.url
    async with suite.on_stage(Path(part.folder)):
        await getattr(suite, part.scene)(Prompter(), *part.arguments)


if __name__ == "__main__":
    asyncio.run(play(msgspec.json.decode(sys.argv[1], type=Part)))
