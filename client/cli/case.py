"""`causeway case …`: what an agency makes of the referrals offered to it."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App

from client.cli import output
from client.cli.answer_many import add_answer_many
from client.cli.questions import add_raising
from client.cli.settings import Options
from shared.vocabulary.agencies import LEASE_H, CaseReferReason
from shared.vocabulary.answers import CaseDeclineReason, CaseOutcome, CloseReason, YesNoUnknown

app = App(name="case", help="Take up the referrals offered to you as cases, and say what comes of them.")
_OPTIONS = Options()
add_answer_many(app, "case")


@app.command
async def accept(referral_id: UUID, /, *, case_reference: str | None = None, options: Options = _OPTIONS) -> int:
    """Take a referral up as a case.

    Parameters
    ----------
    case_reference
        Your own reference for it; it reaches the origin alone, sealed.
    """
    async with output.service(options) as client:
        output.moved(await client.accept_case(referral_id, case_reference=case_reference), options)
        return output.DONE


@app.command
async def decline(referral_id: UUID, /, *, reason: CaseDeclineReason, options: Options = _OPTIONS) -> int:
    """Decline a referral, with the reason."""
    async with output.service(options) as client:
        output.moved(await client.decline_case(referral_id, reason), options)
        return output.DONE


@app.command
async def claim(referral_id: UUID, /, *, hours: int = LEASE_H, options: Options = _OPTIONS) -> int:
    """Have a case for yourself, for a term: nobody else of your agency acts on it until then.

    Parameters
    ----------
    hours
        For how many, 12 at most. Claim it again for longer.
    """
    async with output.service(options) as client:
        from shared.contracts.leases import Claim

        output.moved(await client.act_on_case("claim", referral_id, Claim(hours=hours)), options)
        return output.DONE


@app.command
async def hand_over(
    referral_id: UUID, /, *, to: str | None = None, hours: int = LEASE_H, options: Options = _OPTIONS
) -> int:
    """Give a case that you have claimed to another officer; to nobody, and anybody may claim it.

    Parameters
    ----------
    to
        Their opaque id, as `claimed_by` in `causeway inbox --json` shows it.
    hours
        For how many they have it, 12 at most.
    """
    async with output.service(options) as client:
        from shared.contracts.leases import HandOver

        output.moved(await client.act_on_case("hand_over", referral_id, HandOver(to=to, hours=hours)), options)
        return output.DONE


@app.command
async def refer(referral_id: UUID, /, *, to: str, reason: CaseReferReason, options: Options = _OPTIONS) -> int:
    """Pass a case on to another agency, with its record and what you have made of it. That one answers from then on.

    Parameters
    ----------
    to
        The agency, by its id in the directory.
    reason
        Why it is theirs.
    """
    async with output.service(options) as client:
        from shared.contracts.passing import Referring

        said = Referring(agency=to, reason=reason)
        output.moved(await client.act_on_case("refer", referral_id, said), options)
        return output.DONE


@app.command
async def outcome(
    referral_id: UUID,
    reached: CaseOutcome,
    /,
    *,
    child_identified: YesNoUnknown,
    child_safeguarded: YesNoUnknown,
    close_reason: CloseReason | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Say what has come of a case so far; a conviction or a closing ends it.

    Parameters
    ----------
    reached
        What has come of it.
    child_identified
        Whether a child was identified.
    child_safeguarded
        Whether a child was brought to safety.
    close_reason
        Goes with `closed`, always, and with nothing else.
    """
    async with output.service(options) as client:
        state = await client.report_outcome(
            referral_id,
            reached,
            child_identified=child_identified,
            child_safeguarded=child_safeguarded,
            close_reason=close_reason,
        )
        output.moved(state, options)
        return output.DONE


add_raising(app, "case")
