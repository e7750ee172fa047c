"""From `module:attribute` to an App, with everything that can go wrong said in prose."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import typer

from minuet.app import App
from minuet.cli.output import users_frames
from minuet.errors import MinuetError, StartupError

HOW = (
    "Write MODULE:ATTRIBUTE, such as shop.app:app, or name it in pyproject.toml of the working directory:\n"
    '[tool.minuet]\napp = "shop.app:app"'
)


def load_app(reference: str | None) -> App:
    """The app that a reference names, or, without one, pyproject.toml.

    A reference that leads nowhere is a usage error. Raises StartupError when the user's module cannot be imported,
    and what the module raises itself when that is a MinuetError.
    """
    named = reference or default_reference()
    if named is None:
        raise typer.BadParameter(f"No app was given. {HOW}", param_hint="APP")
    module_name, colon, attribute = named.partition(":")
    if not (colon and module_name and attribute):
        raise typer.BadParameter(f"{named!r} does not name an app. {suggestion(named)}", param_hint="APP")
    if "/" in module_name or module_name.startswith(".") or module_name.endswith(".py"):
        raise typer.BadParameter(f"{named!r} names a file. {of_file(module_name, attribute)}", param_hint="APP")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  # sys.path holds texts
        sys.path.insert(0, here)
    module = load_module(module_name)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise typer.BadParameter(f"{module_name} has no {attribute!r}. {apps_of(module)}", param_hint="APP")
        found = getattr(found, part)
    if not isinstance(found, App):
        raise typer.BadParameter(
            f"{named} is a {type(found).__qualname__}, not an App. {apps_of(module)}", param_hint="APP"
        )
    return found


def default_reference() -> str | None:
    """What pyproject.toml of the working directory says, None if it says nothing."""
    file = Path("pyproject.toml")
    if not file.is_file():
        return None
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{file} of the working directory cannot be read: {error}.") from error
    said: object = settings.get("tool", {}).get("minuet", {}).get("app")
    return said if isinstance(said, str) else None


def suggestion(named: str) -> str:
    """What may have been meant."""
    if named.endswith(".py"):
        path = named.removesuffix(".py").strip("./").replace("/", ".")
        return f"Did you mean {path}:app? A module is named with dots, without .py."
    if ":" not in named:
        return f"Did you mean {named}:app?"
    return HOW


def of_file(path: str, attribute: str) -> str:
    """How an app in a file is named."""
    parts = [part for part in path.removesuffix(".py").split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        return f"Write {parts[-1]}:{attribute}, and run the command in {os.path.dirname(path)}."  # noqa: PTH120
    module = ".".join(parts).strip(".")
    return f"Did you mean {module}:{attribute}? A module is named with dots, without .py."


def load_module(name: str) -> ModuleType:
    """The user's module, imported."""
    try:
        return importlib.import_module(name)
    except MinuetError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise typer.BadParameter(
                f"There is no module {error.name}. It was looked for in {os.getcwd()} and among what is "  # noqa: PTH109
                "installed. Run the command in the directory that holds it, or install it.",
                param_hint="APP",
            ) from None
        raise failed(name, error) from error
    except Exception as error:  # a user's module may raise anything
        raise failed(name, error) from error


def failed(name: str, error: Exception) -> StartupError:
    """The refusal for a module that raises while it is imported."""
    return StartupError(f"Importing {name} failed:\n\n{users_frames(error)}")


def apps_of(module: ModuleType) -> str:
    """Which apps a module has, as a sentence."""
    names = [name for name, value in vars(module).items() if isinstance(value, App)]
    if names:
        return f"It has {', '.join(f'{module.__name__}:{name}' for name in names)}."
    return f"It has no App at all: write `app = App([...])` in {module.__name__}."
