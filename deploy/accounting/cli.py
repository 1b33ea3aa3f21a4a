"""`causeway audit`: check from outside that the counts add up."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

audit_app = App(name="audit", help="Check from outside what the exchange says of itself.")


@audit_app.command
def reconcile(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compare the senders', the recipients' and audit's books with Kafka; exit code 1 if they differ.

    Reads the stack of CAUSEWAY_DEV_STATE_DIR, each database as its accountant. Messages that are on their way are
    counted as such; a difference that a second reading does not confirm is none.

    Parameters
    ----------
    json
        Print one JSON document instead of a table.
    """
    import asyncio
    from json import dumps

    from rich.console import Console

    from deploy.accounting.report import print_accounts
    from deploy.accounting.run import reconciled
    from deploy.site.endpoints import load
    from deploy.site.settings import SiteSettings

    endpoints = load(SiteSettings().causeway_dev_state_dir)
    accounts = asyncio.run(reconciled(endpoints)).as_json()
    if json:
        print(dumps(accounts, indent=2))
    else:
        print_accounts(Console(), accounts)
    return 1 if accounts["differences"] else 0
