"""`minuet graph`: the choreography, drawn from an app's declarations or from what its services left in a store."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import Annotated

import typer

from minuet.choreography.manifest import Manifest
from minuet.choreography.render import dot, mermaid
from minuet.cli.opening import Place, opened_store, place_of
from minuet.cli.options import AppReference, AsJson, Database, StoreUrl
from minuet.cli.reference import load_app
from minuet.errors import StoreUnavailable
from minuet.instances.reading import read_manifest


class Format(StrEnum):
    """In which language."""

    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


EXAMPLES = """
minuet graph shop.app:app                              Mermaid, for Markdown
minuet graph shop.app:app --format dot | dot -Tsvg     a picture
minuet graph shop.app:app --json                       the manifest, for programs
minuet graph --db shop.db                              as the services that ran there declared it
"""


def graph(
    app: AppReference = None,
    form: Annotated[Format, typer.Option("--format", help="The language of the drawing.")] = Format.MERMAID,
    store: StoreUrl = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Draw the choreography: who takes which event, and what each reaction may emit."""
    if store is not None or db is not None:
        if app is not None:
            raise typer.BadParameter("Give an app or a store, not both.", param_hint="--store")
        manifest = asyncio.run(kept(place_of(db=db, store=store)))
    else:
        manifest = load_app(app).manifest
    match Format.JSON if as_json else form:
        case Format.MERMAID:
            sys.stdout.write(mermaid(manifest))
        case Format.DOT:
            sys.stdout.write(dot(manifest))
        case Format.JSON:
            sys.stdout.write(manifest.to_json().decode())


async def kept(place: Place) -> Manifest:
    """The manifest that the services of a store have kept there."""
    async with opened_store(place) as store:
        manifest = await read_manifest(store)
    if not manifest.services:
        raise StoreUnavailable(f"{store!r} holds no manifest yet: no service has run on it.")
    return manifest
