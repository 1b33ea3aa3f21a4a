"""What was answered elsewhere is handed to the service also where nothing else of the edge is new."""

from __future__ import annotations

from shared.exchange.origin import Answered
from shared.vocabulary.answers import AnswerState, ReceiptOutcome
from tests.support.builders import PROVIDER
from tests.support.consuming import Desk
from tests.support.exchange_world import move, world


async def test_an_answer_that_came_late_is_told_on_beside_the_edge_that_is_held() -> None:
    """The same edge with the same words again has no second effect: the control is the one that is told twice."""
    here = world()
    first = here.prepared()
    move(here, PROVIDER)
    told = [Answered(AnswerState.NONE), Answered(AnswerState.ACKNOWLEDGED, acts=1)]
    records = here.records([here.issued_anew(first, PROVIDER, each) for each in told])
    desk = Desk(here, instance="industry_two", shelf=here.shelf)
    for record in (*records, records[1]):
        (verdict,) = await desk.consume([record])
        assert verdict.outcome is ReceiptOutcome.APPLIED
    assert [each.again.number for each in desk.handler.messages if each.again is not None] == [0, 1]
