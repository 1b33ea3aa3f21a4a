"""What an agency decides: who may do what with its cases, and what a referral that comes again adds to one."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.exchange import events, webhooks
from shared.exchange.act import CaseState, Subject
from shared.exchange.message import Received
from shared.exchange.states import WITHDRAWAL_NOTED, permits
from shared.kernel.authority import Authority
from shared.kernel.errors import Refused
from shared.party.recipient.domain import Item, RecipientKind
from shared.vocabulary.answers import CaseOutcome, CloseReason

AUTHORITY: Final = Authority((*permits(Subject.CASE), events.PERMIT, *webhooks.PERMITS))
_TAKEN_BACK: Final = frozenset({CaseState.WITHDRAWN.value, *WITHDRAWAL_NOTED})


def further_purpose(case: Item, message: Received) -> Item:
    """A referral may be offered to one agency for several purposes, each once, by its origin, until it is withdrawn."""
    assert message.edge is not None
    purpose = message.edge.purpose.value
    if case.sender != message.sender:
        raise Refused("origin_is_not_sender")
    if case.state in _TAKEN_BACK:
        raise Refused("referral_withdrawn")
    if purpose in case.purposes:
        raise Refused("edge_exists")
    return replace(case, purposes=case.purposes | {purpose})


AGENCY: Final = RecipientKind(subject=Subject.CASE, audience="agencies", authority=AUTHORITY, again=further_purpose)


def check_close_reason(outcome: CaseOutcome, close_reason: CloseReason | None) -> None:
    """A reason for closing goes with `closed`, always, and with nothing else."""
    if (close_reason is not None) != (outcome is CaseOutcome.CLOSED):
        raise Refused("close_reason_needs_closed", "give it with closed, and only then", field="/close_reason")
