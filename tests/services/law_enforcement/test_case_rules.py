"""Decisions of agencies alone: further purposes of one referral, and when closing needs a reason."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.law_enforcement.domain import check_close_reason, further_purpose
from shared.exchange.act import CaseState
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.party.recipient.domain import HeldItem
from shared.vocabulary.answers import CaseOutcome, CloseReason
from tests.services.deliveries import AGENCY, HOTLINE, OTHER_HOTLINE, offered

REFERRAL: UUID = uuid7()


def case(state: str, *, origin: str = HOTLINE) -> HeldItem:
    return HeldItem(
        subject_id=REFERRAL, party=AGENCY, sender=origin, exercise=True, state=state, purposes={"investigation": 1}
    )


@settings(deadline=None)
@given(st.sampled_from(CaseOutcome), st.none() | st.sampled_from(CloseReason))
def test_a_reason_for_closing_goes_with_closed_alone(outcome: CaseOutcome, reason: CloseReason | None) -> None:
    if (reason is not None) == (outcome is CaseOutcome.CLOSED):
        check_close_reason(outcome, reason)
    else:
        with pytest.raises(Refused, match="close_reason_needs_closed"):
            check_close_reason(outcome, reason)


@pytest.mark.parametrize("state", CaseState)
def test_a_withdrawn_referral_is_not_offered_for_another_purpose(state: CaseState) -> None:
    further = offered(REFERRAL, purpose="victim_identification")
    if state in (CaseState.WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED, CaseState.RECORD_ERASED):
        with pytest.raises(Refused, match="referral_withdrawn"):
            further_purpose(case(state), further)
    else:
        assert further_purpose(case(state), further).purposes.keys() == {"investigation", "victim_identification"}


def test_a_referral_is_offered_once_for_one_purpose() -> None:
    with pytest.raises(Refused, match="edge_exists"):
        further_purpose(case("offered"), offered(REFERRAL))


def test_only_the_origin_adds_a_purpose() -> None:
    with pytest.raises(Refused, match="origin_is_not_sender"):
        further_purpose(case("offered", origin=OTHER_HOTLINE), offered(REFERRAL, purpose="victim_identification"))
