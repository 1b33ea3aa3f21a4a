"""The accounts as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from client.cli import output
from deploy.accounting.topics import AuditedTopic

DIFFERENCES_SHOWN_MAX: Final = 20


def print_accounts(console: Console, accounts: dict[str, Any]) -> None:
    """Print a reconciliation (`Reconciliation.as_json`): each equation, then each difference with its coordinates."""
    table = Table(title="Accounting", title_justify="left")
    for column in ("equation", "terms", "difference"):
        table.add_column(column)
    for name in ("I", "II", "III"):
        terms = {key: value for key, value in accounts[name].items() if key != "difference"}
        listed = ", ".join(f"{key} {value}" for key, value in terms.items())
        table.add_row(name, listed, str(accounts[name]["difference"]))
    console.print(table)
    for note in accounts["notes"]:
        console.print(f"  note: {note}", soft_wrap=True)
    for each in accounts["differences"][:DIFFERENCES_SHOWN_MAX]:
        console.print(f"  {each['equation']}: {each['what']}: {each['where']}", soft_wrap=True)
    if (more := len(accounts["differences"]) - DIFFERENCES_SHOWN_MAX) > 0:
        console.print(f"  and {more} more: --json lists them all")


def print_topics(states: Sequence[AuditedTopic]) -> None:
    """Print how audit reads each partition, the troubled first; each topic's name whole, to be copied."""
    output.table(("topic", "partition", "state", "since", "next offset", "losses", "holes"), states)
