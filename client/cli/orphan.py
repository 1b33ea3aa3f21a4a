"""`causeway orphan …`: a hotline takes over a referral that its origin cannot keep, as the only one."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options

app = App(name="orphan", help="Take over referrals that their origins cannot keep.")
_OPTIONS = Options()
_CLAIMABLE = "claimable"


@app.command(name="list")
async def list_(*, limit: PositiveInt = 50, options: Options = _OPTIONS) -> int:
    """List the referrals that you may claim, those with a child at risk first.

    Parameters
    ----------
    limit
        How many at most.
    """
    async with output.service(options) as client:
        found = await output.first(client.inbox(state=_CLAIMABLE, limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document({"items": [item.model_dump(mode="json") for item in found]})
        else:
            rows = [(item.referral_id, item.origin, f"{item.received_at:%Y-%m-%d %H:%M}") for item in found]
            output.table(("referral_id", "origin", "received_at"), rows)
        return output.DONE


@app.command
async def claim(referral_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Claim a referral that was transferred. One claim is granted: you are told whether it is yours, or gone."""
    async with output.service(options) as client:
        output.moved(await client.act_on_offer("claim", referral_id), options)
        return output.DONE


@app.command
async def draft(referral_id: UUID, /, *, reference: str | None = None, options: Options = _OPTIONS) -> int:
    """Print what to file of your own for a referral that you have claimed: a file for `referral submit`.

    Parameters
    ----------
    reference
        Your own reference; without it, the id of the first referral.
    """
    async with output.service(options) as client:
        drafted = await client.draft_of(referral_id)
        output.document(drafted | ({} if reference is None else {"external_ref": reference}))
        return output.DONE
