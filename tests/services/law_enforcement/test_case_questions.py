"""An agency's questions and disputes name items of its case, known only from its record.

Otherwise nothing is stored.
"""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.contracts.base import Contract
from shared.contracts.questions import Dispute, DisputeStatement, Question
from shared.kernel.errors import Refused
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.questions import DisputeReason, NeedsInfo
from tests.services.deliveries import HOTLINE
from tests.services.law_enforcement.agency import Agencies
from tests.services.outgoing import about
from tests.support.builders import settlement


def asking(*about: int) -> Question:
    return Question(needs=(NeedsInfo.STILL_THERE,), about=about)


def contesting(*numbers: int) -> Dispute:
    return Dispute(disputed=tuple(DisputeStatement(n=n, reason=DisputeReason.DUPLICATE) for n in numbers))


@pytest.mark.parametrize(
    ("act", "said", "field"),
    [("ask", asking(1, 99), "/about/1"), ("dispute", contesting(1, 99), "/disputed/1/n")],
    ids=["ask", "dispute"],
)
async def test_an_item_that_there_is_not_is_refused_before_anything_is_kept(
    agencies: Agencies, act: str, said: Contract, field: str
) -> None:
    referral_id = await agencies.offer()
    with pytest.raises(Refused) as refused:
        await agencies.act(act, said, referral_id)
    assert (refused.value.code, refused.value.field) == ("item_unknown", field)
    assert await agencies.sent(referral_id) == []
    right = asking(1) if act == "ask" else contesting(1)
    assert await agencies.act(act, right, referral_id) == "offered"
    assert len(await agencies.sent(referral_id)) == 1


@pytest.mark.parametrize(("act", "said"), [("ask", asking(1)), ("dispute", contesting(1))], ids=["ask", "dispute"])
async def test_what_its_origin_refuses_was_never_raised_and_another_may_follow(
    agencies: Agencies, act: str, said: Contract
) -> None:
    referral_id = await agencies.offer()
    await agencies.act(act, said, referral_id)
    (first,) = await about(agencies.database, referral_id)
    for _ in range(2):  # a repeated receipt does not apply to the next message
        refused = settlement(first.message_id, ReceiptOutcome.REFUSED, "message_time_off", parties=[HOTLINE])
        await agencies.receipted(refused)
        with suppress(Refused):
            await agencies.act(act, said, referral_id)
    assert len(await about(agencies.database, referral_id)) == 2
