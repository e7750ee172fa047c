"""The servers' URLs: given in the environment, written for tests and benchmarks, shown to people.

The file `urls.env` has one line `name=url` for each server that can be reached, and is for its owner's eyes only,
since URLs carry passwords.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

FILE = "urls.env"


def variable(name: str) -> str:
    """The environment variable that gives a server's URL: `MINUET_KAFKA_URL`."""
    return f"MINUET_{name.upper()}_URL"


def given(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The URLs that the environment gives for these names. An empty variable gives none."""
    urls = {name: environment.get(variable(name), "").strip() for name in names}
    return {name: url for name, url in urls.items() if url}


def lines(urls: Mapping[str, str]) -> str:
    """The text of `urls.env`."""
    return "".join(f"{name}={url}\n" for name, url in urls.items())


def parsed(text: str) -> dict[str, str]:
    """The URLs in the text of a `urls.env`; empty lines and comments are passed over."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): url.strip() for name, _, url in pairs}


def write(directory: Path, urls: Mapping[str, str]) -> Path:
    """Writes `urls.env` in the directory, whole or not at all, and returns its path. Without URLs there is no file."""
    file = directory / FILE
    if not urls:
        file.unlink(missing_ok=True)
        return file
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(lines(urls), encoding="utf-8")
    return fresh.replace(file)


def read(directory: Path) -> dict[str, str]:
    """The URLs in the directory's `urls.env`; none if there is no such file."""
    file = directory / FILE
    return parsed(file.read_text(encoding="utf-8")) if file.exists() else {}


def masked(url: str) -> str:
    """The URL without its password and without its query, where clients put others."""
    return re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", url.partition("?")[0])
