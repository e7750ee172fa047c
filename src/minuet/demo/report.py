"""The final table, and whether the books balance."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minuet.demo.verdict import Verdict

MOST_FINDINGS = 20


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what happened to orders, money and goods, what went wrong on the way, and the audit's answer."""
    found = verdict.audit.found
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    shipped = found.orders - found.cancelled
    table.add_row("Orders", f"{found.orders:,}", f"{found.rejected_invoices:,} further invoices rejected")
    table.add_row("  shipped", f"{shipped:,}")
    table.add_row("  payment declined", f"{found.declined:,}", "cancelled, nothing charged")
    table.add_row("  stock short", f"{found.short:,}", "cancelled, money paid back")
    table.add_row("Returns", f"{found.returns:,}")
    reasons = ", ".join(f"{number:,} for {reason}" for reason, number in found.rejected_by_reason.items())
    table.add_row("Lines rejected", f"{found.rejected_lines:,}", reasons)
    table.add_section()
    table.add_row("Charged", pounds(found.charged_pence))
    table.add_row("Refunded", pounds(found.refunded_pence), f"{pounds(found.refunded_orders_pence)} of it short stock")
    table.add_row("Units shipped", f"{found.units_shipped:,}")
    table.add_row("Units restocked", f"{found.units_restocked:,}")
    table.add_section()
    table.add_row("Processes killed", f"{verdict.kills:,}", "kill -9, each started again")
    table.add_row("Retries", f"{verdict.retries:,}")
    table.add_row("Dead letters", f"{verdict.dead_letters:,}", "mail that its address refuses for good")
    table.add_row("Duplicates absorbed", f"{verdict.duplicates_absorbed:,}")
    table.add_row("Effects lost", f"{verdict.audit.lost:,}")
    table.add_row("Effects doubled", f"{verdict.audit.doubled:,}")
    console.print()
    console.print(table)
    console.print()
    if verdict.balanced:
        console.print(
            Text(f"The books balance to the penny and to the unit, after {verdict.seconds:.1f} seconds.", "bold green")
        )
        return
    console.print(Text("The books do not balance:", "bold red"))
    for finding in verdict.findings[:MOST_FINDINGS]:
        console.print(Text(f"  {finding}", "red"))
    if (more := len(verdict.findings) - MOST_FINDINGS) > 0:
        console.print(Text(f"  and {more:,} more", "red"))


def pounds(pence: int) -> str:
    """Pence as pounds, exactly."""
    whole, rest = divmod(abs(pence), 100)
    return f"{'-' if pence < 0 else ''}£{whole:,}.{rest:02}"
