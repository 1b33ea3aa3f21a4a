"""The accounts as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

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


def print_topics(console: Console, states: Sequence[AuditedTopic]) -> None:
    """Print how audit stands to each topic, the troubled first."""
    table = Table(title="Topics that audit reads", title_justify="left")
    for column in ("topic", "state", "since", "next offset", "losses", "holes"):
        table.add_column(column)
    for each in states:
        table.add_row(each.topic, each.state, each.since, str(each.next_offset), str(each.losses), str(each.holes))
    console.print(table)
