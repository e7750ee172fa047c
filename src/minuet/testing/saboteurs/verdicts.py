"""What a suite finds about an adapter, without pytest: which tests fail, and why."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from minuet.testing.conformance.claims import names_of_tests
from minuet.testing.conformance.suite import Suite

AT_ONCE = 6
"""How many tests are performed at a time."""


async def failures(suite: type[Suite]) -> dict[str, str]:
    """The tests that fail, each with its error, of those that are about what the adapter claims."""
    places = asyncio.Semaphore(AT_ONCE)
    found: dict[str, str] = {}

    async def perform(test: str) -> None:
        async with places:
            with tempfile.TemporaryDirectory(prefix="minuet-", ignore_cleanup_errors=True) as folder:
                try:
                    await suite().perform(test, Path(folder))
                except Exception as error:  # noqa: BLE001  # whatever an adapter's lie leads to
                    found[test] = f"{type(error).__name__}: {error}"

    await asyncio.gather(*(perform(test) for test in names_of_tests(suite) if not suite().missing(test)))
    return found
