"""Services that react to each other's events, with no conductor: the public names."""

from typing import TYPE_CHECKING

from minuet.contracts.contract import contract
from minuet.contracts.deprecation import Deprecated
from minuet.contracts.event import Event
from minuet.errors import (
    CapacityError,
    DeclarationError,
    InvalidEmission,
    MinuetError,
    Rejected,
    StartupError,
    UndeclaredEmission,
)
from minuet.policies.retry import NEVER, Retry, retry
from minuet.service.context import Context, Parameters, Transaction, Writes
from minuet.service.service import Service
from minuet.service.workflow import Workflow

if TYPE_CHECKING:
    from minuet.app import App
else:

    def __getattr__(name: str) -> object:
        """Load `App` on first use: it brings the runtime and asyncio, which declarations do without."""
        if name != "App":
            raise AttributeError(f"module 'minuet' has no attribute {name!r}")
        from minuet.app import App  # noqa: PLC0415  # the point of it

        globals()["App"] = App
        return App


__all__ = [
    "NEVER",
    "App",
    "CapacityError",
    "Context",
    "DeclarationError",
    "Deprecated",
    "Event",
    "InvalidEmission",
    "MinuetError",
    "Parameters",
    "Rejected",
    "Retry",
    "Service",
    "StartupError",
    "Transaction",
    "UndeclaredEmission",
    "Workflow",
    "Writes",
    "contract",
    "retry",
]
