"""An origin opens what its referral said before beside what it says now: for a reason, which audit is told."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic_core import from_json

from shared.contracts.facts import RecordRevealedClear
from shared.kernel.errors import not_found
from shared.party.compared import Comparison, compared
from shared.party.opened import tell_opened
from shared.party.origin.store.revisions import PostgresRevisions
from shared.party.origin.use_cases.referrals import Acting
from shared.vocabulary.reveal import RevealReason


async def compare_revisions(
    referral_id: UUID, acting: Acting, *, actor: str, reason: RevealReason, revisions: PostgresRevisions
) -> Sequence[Comparison]:
    """What each amendment has changed. That it was opened is told to audit, or it is not opened.

    Raises `Refused("not_found")` for absent and foreign referrals alike.
    """
    acting.require("read")
    filed = await acting.referrals.find(referral_id)
    if filed is None:
        raise not_found()
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=actor, reason=reason)
    directory, at = acting.directory(), acting.at
    await tell_opened(referral_id, opened, revisions, exercise=filed.exercise, directory=directory, at=at)
    said = await revisions.said(referral_id)
    return compared([(f"revision {each.revision}", from_json(each.content)) for each in said])
