"""The rows of cases that go from one agency to another: what the origin is told, and what the other agency is sent.

`pass_on` begins a case at the other agency as an offer does; its writer is the agency that had it. From then on the
other's answers go to the origin. The first has answered for good; unless the other's instance refuses what it is sent:
then the case is the first's again, as it stood (`come_back`).
"""

from __future__ import annotations

from typing import Final

from shared.contracts import passing, registry
from shared.exchange.act import ACTORS, OPEN, SERVICE, WORKED_ON, Act, Cause, Move, Offered, Subject, Track, any_of
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.code import Code

REFER: Final = Act(
    "refer",
    Subject.CASE,
    Track.ANSWER,
    Cause.PERSON,
    ACTORS,
    (Move(any_of(*WORKED_ON[Subject.CASE]), AnswerState.REFERRED.value),),
    OPEN,
    registry.CASE_REFERRED,
    passing.Referring,
)
PASS_ON: Final = Act(
    "pass_on",
    Subject.CASE,
    Track.OFFER,
    Cause.ACT,
    SERVICE,
    (Move(frozenset(), Offered.OPEN.value),),
    message=registry.REFERRAL_PASSED_ON,
)
#: By the agency's instance, in the transaction that brings the refusal.
COME_BACK: Final = Act(
    "come_back",
    Subject.CASE,
    Track.ANSWER,
    Cause.ACT,
    SERVICE,
    tuple(
        Move(any_of(AnswerState.REFERRED), answer.value, frozenset[Code]({answer}))
        for answer in WORKED_ON[Subject.CASE]
    ),
    OPEN,
    registry.CASE_CAME_BACK,
)
ROWS: Final[tuple[Act, ...]] = (REFER, PASS_ON, COME_BACK)
