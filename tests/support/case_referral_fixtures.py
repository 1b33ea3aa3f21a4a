"""A referral that one agency received, as it refers the case to another."""

from __future__ import annotations

import json
from uuid import UUID

from shared.core.contracts.case_referral import PassedAct, ReferralPassedOnClear
from shared.core.contracts.registry import REFERRAL_PASSED_ON
from shared.core.ids import uuid4
from shared.core.protocol.accept import accept
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Draft, Received, compose
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import AnswerState
from tests.support.exchange_world import World

INSTANCE = "law_enforcement"


def offered_to(here: World, agency: str) -> Received:
    """Return a referral as the agency received it."""
    return accept(here.anew().records([here.offered(agency)])[0], here.reader(INSTANCE))


def passable(here: World, offered: Received) -> CaseFile:
    """Return the content that the agency can pass on after it has accepted the case."""
    decision = json.loads(offered.carried.decision.model_dump_json())
    history = [PassedAct(number=1, answer=AnswerState.ACCEPTED, at=here.at)]
    return CaseFile(uuid4(), decision, offered.carried.salt, offered.spelt, 1, history)


def passed_on(here: World, offered: Received, sealed: bytes, *, sender: str, to: str) -> Draft:
    """Return the message from one agency to another, with this sealed part."""
    clear = ReferralPassedOnClear(referral_id=UUID(offered.subject), revision=1, act=uuid4(), edge_id=uuid4())
    return compose(REFERRAL_PASSED_ON, clear, here.address(UUID(offered.subject), sender, to), sealed=sealed)


def genuine(here: World, agency: str, to: str) -> Draft:
    """Return the genuine message from one agency to another."""
    offered = offered_to(here, agency)
    sealed = passable(here, offered).sealed(CaseReferReason.SUSPECT_ELSEWHERE)
    return passed_on(here, offered, sealed, sender=agency, to=to)
