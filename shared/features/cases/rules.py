"""The rules of agencies: permits for acts on cases, and referrals that arrive for a further purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.core.acts import states
from shared.core.acts.act import CaseState, Subject, Track
from shared.core.acts.states import WITHDRAWAL_NOTED, permits
from shared.core.authority import Authority
from shared.core.contracts.registry import REFERRAL_PASSED_ON
from shared.core.errors import Refused
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import CaseOutcome, CloseReason
from shared.features.received.rules import HeldItem, RecipientKind, revision_of

#: The code for an edge of a case that the agency already has on another edge.
EDGE_EXISTS: Final = "edge_exists"
_ASKS: Final = tuple(permits(Subject.PRESERVATION, Track.OFFER))
AUTHORITY: Final = Authority((*permits(Subject.CASE), *_ASKS, states.PERMIT, *states.PERMITS))
_TAKEN_BACK: Final = frozenset({CaseState.WITHDRAWN.value, *WITHDRAWAL_NOTED})


def further_purpose(case: HeldItem, message: Received) -> HeldItem:
    """Return the case with a further purpose. Raises `Refused` if it is not from the origin, withdrawn or a repetition.

    The origin may offer a referral to one agency for several purposes, each once, until it withdraws the referral.
    """
    assert message.edge is not None
    purpose = message.edge.purpose.value
    if message.message is REFERRAL_PASSED_ON:
        # An agency that has the case already answers on its own edge.
        raise Refused(EDGE_EXISTS)
    if case.sender != message.sender:
        raise Refused("origin_is_not_sender")
    if case.state in _TAKEN_BACK:
        raise Refused("referral_withdrawn")
    if purpose in case.purposes:
        raise Refused(EDGE_EXISTS)
    revision = revision_of(message)
    return replace(case, purposes={**case.purposes, purpose: revision}, revision=max(case.revision, revision))


AGENCY: Final = RecipientKind(subject=Subject.CASE, audience="agencies", authority=AUTHORITY, again=further_purpose)


def check_close_reason(outcome: CaseOutcome, close_reason: CloseReason | None) -> None:
    """Check that a reason for closing is given with the outcome `closed`, and only then."""
    if (close_reason is not None) != (outcome is CaseOutcome.CLOSED):
        raise Refused(
            "close_reason_needs_closed", "give a reason if the outcome is closed, and only then", field="/close_reason"
        )
