"""`causeway audit`: check from outside that the counts add up."""

from __future__ import annotations

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending

audit_app = App(name="audit", help="Check from outside what the exchange says of itself.")
_OPTIONS = Options()


@audit_app.command
def reconcile(*, options: Options = _OPTIONS) -> int:
    """Compare the senders', the recipients' and audit's books with Kafka; exit code 1 if they differ.

    Each database is read as its accountant. Messages that are on their way are counted as such; a difference that a
    second reading does not confirm is none.
    """
    with ending(options):
        import asyncio

        from rich.console import Console

        from deploy.accounting.report import print_accounts
        from deploy.accounting.run import reconciled
        from deploy.site.open import site

        accounts = asyncio.run(reconciled(site(options).endpoints)).as_json()
        if options.json:
            output.document(accounts)
        else:
            print_accounts(Console(), accounts)
        return output.FAILED if accounts["differences"] else output.DONE
