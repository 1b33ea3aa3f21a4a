"""Draft of a hotline's own referral after a transfer, built from the record that it received. Pure.

A correlation links the two: under the system `causeway` the draft names the first referral's id. Hotlines and agencies
receive correlations, providers do not.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from shared.core.canonical import Json
from shared.core.contracts.referral import Correlation, ReferralRecord, ReferralSubmission
from shared.core.vocabulary.referral import CorrelationSystem

_CORRELATIONS_MAX: Final = 8


def draft(referral_id: UUID, record: ReferralRecord, *, exercise: bool) -> ReferralSubmission:
    """Return the referral that a hotline could submit from a received record; items count from 1.

    Its reference is the first referral's id, until the hotline replaces it. Addresses are as in the received record.
    """
    stated = record.model_dump(mode="json", exclude_none=True, exclude={"external_ref"})
    for item in stated["items"]:
        del item["n"]
        item["locator"].pop("cut", None)
    first = Correlation(system=CorrelationSystem.CAUSEWAY, ref=str(referral_id))
    others = [each for each in record.correlations if each.system is not CorrelationSystem.CAUSEWAY]
    stated["correlations"] = [first, *others[: _CORRELATIONS_MAX - 1]]
    return ReferralSubmission.model_validate(stated | {"external_ref": str(referral_id), "exercise": exercise})


def derived_from(record: Json) -> list[UUID]:
    """Return the ids of the referrals from which a stored record was derived."""
    named = [each["ref"] for each in record.get("correlations", ()) if each["system"] == CorrelationSystem.CAUSEWAY]
    return [UUID(ref) for ref in named if _is_id(ref)]


def _is_id(ref: str) -> bool:
    try:
        return str(UUID(ref)) == ref
    except ValueError:
        return False
