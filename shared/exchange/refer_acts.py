"""The rows of cases that go from one agency to another: what the origin is told, and what the other agency is sent.

`pass_on` begins a case at the other agency as an offer does; its writer is the agency that had it. From then on the
other's answers go to the origin. The first has answered for good; unless the other's instance refuses what it is sent:
then the case is the first's again, as it stood (`come_back`).
"""

from __future__ import annotations

from typing import Final

from shared.contracts import passing, registry
from shared.exchange.act import Act, Cause, Move, Offered, Subject, Track
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.code import Code

_ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
_OPEN: Final = frozenset({Offered.OPEN.value})
_UNDER_WAY: Final = frozenset(state.value for state in (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING))

REFER: Final = Act(
    "refer",
    Subject.CASE,
    Track.ANSWER,
    Cause.PERSON,
    _ACTORS,
    (Move(_UNDER_WAY, AnswerState.REFERRED.value),),
    _OPEN,
    registry.CASE_REFERRED,
    passing.Referring,
)
PASS_ON: Final = Act(
    "pass_on",
    Subject.CASE,
    Track.OFFER,
    Cause.ACT,
    frozenset({Role.SERVICE}),
    (Move(frozenset(), Offered.OPEN.value),),
    message=registry.REFERRAL_PASSED_ON,
)
#: By the agency's instance, in the transaction that brings the refusal.
COME_BACK: Final = Act(
    "come_back",
    Subject.CASE,
    Track.ANSWER,
    Cause.ACT,
    frozenset({Role.SERVICE}),
    tuple(
        Move(frozenset({AnswerState.REFERRED.value}), answer.value, frozenset[Code]({answer}))
        for answer in (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING)
    ),
    _OPEN,
    registry.CASE_CAME_BACK,
)
REFER_ACTS: Final[tuple[Act, ...]] = (REFER, PASS_ON, COME_BACK)
