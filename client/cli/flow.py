"""`causeway flow ID`: an auditor's view of one referral's messages."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App

from client.cli import output
from client.cli.settings import Options

app = App(name="flow", help="The messages of one referral, as the log holds them.")
_OPTIONS = Options()


@app.default
async def flow(referral_id: UUID, /, *, purpose: str, options: Options = _OPTIONS) -> int:
    """List the messages of one referral, oldest first.

    Parameters
    ----------
    purpose
        Why you ask: 8 to 64 letters, digits, spaces and hyphens. It is logged with the query.
    """
    async with output.service(options) as client:
        found = await client.flow(referral_id, purpose=purpose)
        if options.json:
            output.document(found.model_dump(mode="json"))
            return output.DONE
        columns = ("position", "at", "sender", "recipient", "type", "outcome", "code", "digest")
        output.table(
            columns,
            [
                (of.position, of.at, of.sender, of.recipient, of.type, of.outcome, of.code, of.digest[:12])
                for of in found.messages
            ],
        )
        return output.DONE
