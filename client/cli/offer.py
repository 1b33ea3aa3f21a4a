"""`causeway offer …`: what a hotline makes of the referrals that others offer to it."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App

from client.cli import output
from client.cli.answer_many import add_answer_many
from client.cli.questions import add_raising
from client.cli.settings import Options
from shared.vocabulary.answers import CaseDeclineReason

app = App(name="offer", help="Take up the referrals that other hotlines offer to you, and say what you find.")
_OPTIONS = Options()
add_answer_many(app, "offer")


@app.command
async def accept(referral_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Take an offered referral up: from now on you assess its items."""
    async with output.service(options) as client:
        output.moved(await client.act_on_offer("accept", referral_id), options)
        return output.DONE


@app.command
async def decline(referral_id: UUID, /, *, reason: CaseDeclineReason, options: Options = _OPTIONS) -> int:
    """Decline an offered referral, with the reason."""
    async with output.service(options) as client:
        from shared.contracts.answers import Declination

        output.moved(await client.act_on_offer("decline", referral_id, Declination(reason=reason)), options)
        return output.DONE


@app.command
async def assess(referral_id: UUID, /, *words: str, reason: str | None = None, options: Options = _OPTIONS) -> int:
    """Say what items are, and what you have done about them.

    Parameters
    ----------
    words
        What an item is: baseline, national, not_illegal. What was done or has become of it: reported_to_police,
        reported_to_provider, removed, unavailable. A word is said of every item, unless it names one: 1=baseline.
    reason
        Goes with not_illegal and unavailable, always, and with nothing else: one of those in docs/answers.md.
    """
    async with output.service(options) as client:
        from client.statements import findings

        output.moved(await client.act_on_offer("assess", referral_id, findings(words, reason)), options)
        return output.DONE


add_raising(app, "offer")
