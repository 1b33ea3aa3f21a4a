"""`causeway audit`: check from outside that the counts add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending

if TYPE_CHECKING:
    from rich.console import Console

audit_app = App(name="audit", help="Check from outside what the exchange says of itself.")
_OPTIONS = Options()
_DIFFERENCES_SHOWN_MAX: Final = 20
_TOPIC: Final = ("topic", "partition", "state", "since", "next offset", "losses", "holes")


@audit_app.command
def reconcile(
    *, everything: Annotated[bool, Parameter(name="--all", negative="")] = False, options: Options = _OPTIONS
) -> int:
    """Compare the accounts of writers, recipients and audit with Kafka; exit code 1 if they differ.

    Each database is read as its accountant. Messages on their way are counted as in flight. A difference counts only
    if a second reading confirms it. Settled messages that are a day old are sealed, and not read again. Audit's console
    shows the result to auditors, within their scope.

    Parameters
    ----------
    everything
        Read the sealed messages too, and compare them with their seals.
    """
    with ending(options):
        import asyncio

        from rich.console import Console

        from deploy.accounting.run import keep, reconciled
        from deploy.site.open import site
        from shared.kernel.clock import SystemClock

        endpoints = site(options).endpoints

        async def told() -> dict[str, Any]:
            found = await reconciled(endpoints, everything=everything)
            await keep(endpoints, found, at=SystemClock().now())
            return found.as_json()

        accounts = asyncio.run(told())
        if options.json:
            output.document(accounts)
        else:
            print_accounts(Console(), accounts)
        return output.FAILED if accounts["differences"] else output.DONE


@audit_app.command
def topics(*, options: Options = _OPTIONS) -> int:
    """Show how audit reads each partition: reading, gap, truncated, forbidden, new; exit code 1 unless it reads all."""
    with ending(options):
        import asyncio

        from deploy.accounting.run import topic_states
        from deploy.site.open import site

        states = asyncio.run(topic_states(site(options).endpoints))
        if options.json:
            output.document(states)
        else:
            output.table(_TOPIC, [tuple(each.values()) for each in states])
        return output.DONE if all(each["state"] == "reading" for each in states) else output.FAILED


def print_accounts(console: Console, accounts: dict[str, Any]) -> None:
    """Print a reconciliation (`Reconciliation.as_json`): each equation, then each difference with its coordinates."""
    from rich.table import Table

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
    for each in accounts["differences"][:_DIFFERENCES_SHOWN_MAX]:
        console.print(f"  {each['equation']}: {each['what']}: {each['where']}", soft_wrap=True)
    if (more := len(accounts["differences"]) - _DIFFERENCES_SHOWN_MAX) > 0:
        console.print(f"  and {more} more: --json lists them all")
