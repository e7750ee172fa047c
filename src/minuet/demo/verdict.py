"""The verdict: what the services' own tables say, against what the input says must have happened."""

from __future__ import annotations

from dataclasses import dataclass

from minuet.demo.settling import Settling
from minuet.examples.order_fulfilment.audit import Audit, Expectation, audit
from minuet.examples.order_fulfilment.books import BOOKS, effects_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run ended: the audit, and durable counts, which outlive the processes that were killed."""

    audit: Audit
    retries: int
    dead_letters: int
    duplicates_absorbed: int
    kills: int
    seconds: float

    @property
    def findings(self) -> tuple[str, ...]:
        """What does not balance, in sentences."""
        return self.audit.findings

    @property
    def balanced(self) -> bool:
        """Whether the books balance to the penny and to the unit."""
        return not self.findings

    @property
    def status(self) -> int:
        """The exit status: 0 only if the audit holds."""
        return 0 if self.balanced else 1

    def fields(self) -> dict[str, object]:
        """What `--json` prints."""
        found = self.audit.found
        return {
            "orders": found.orders,
            "returns": found.returns,
            "rejected_invoices": found.rejected_invoices,
            "rejected_lines": found.rejected_lines,
            "rejected_by_reason": found.rejected_by_reason,
            "charged_pence": found.charged_pence,
            "refunded_pence": found.refunded_pence,
            "units_shipped": found.units_shipped,
            "units_restocked": found.units_restocked,
            "declined": found.declined,
            "short": found.short,
            "cancelled": found.cancelled,
            "retries": self.retries,
            "dead_letters": self.dead_letters,
            "duplicates_absorbed": self.duplicates_absorbed,
            "kills": self.kills,
            "lost": self.audit.lost,
            "doubled": self.audit.doubled,
            "balanced": self.balanced,
            "seconds": round(self.seconds, 3),
        }


async def judge(settling: Settling, expectation: Expectation, kills: int, seconds: float) -> Verdict:
    """Read the books of a run that is over, and compare."""
    dead_letters = len(await settling.dead_letters())
    return Verdict(
        audit=audit(expectation, effects_of(await settling.read(BOOKS)), dead_letters),
        retries=await settling.count("retries"),
        dead_letters=dead_letters,
        duplicates_absorbed=await settling.count("duplicates_absorbed"),
        kills=kills,
        seconds=seconds,
    )
