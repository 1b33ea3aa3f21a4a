"""A referral is withdrawn once. A repeated request gets the same answer, and no recipient is informed twice."""

from __future__ import annotations

import asyncio

import pytest

from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.vocabulary.referral import WithdrawalReason
from tests.services.hotline.origin import Origin

REASON, OTHER = WithdrawalReason.FILED_IN_ERROR, WithdrawalReason.CONSENT_WITHDRAWN


async def tombstones(origin: Origin) -> list[str]:
    return [row.recipient for row in await origin.waiting() if row.message.type.endswith("withdrawn.v1")]


async def test_a_second_withdrawal_changes_nothing_and_tells_nobody(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.forget()
    await origin.withdraw(referral_id, REASON)
    told, shown = await tombstones(origin), await origin.show(referral_id)
    assert len(told) == 5
    assert shown["state"] == "withdrawn"

    await origin.withdraw(referral_id, REASON)
    await origin.withdraw(referral_id, OTHER)
    assert await tombstones(origin) == told
    assert await origin.show(referral_id) == shown


async def test_two_withdrawals_at_once_tell_each_recipient_once(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.forget()
    await asyncio.gather(origin.withdraw(referral_id, REASON), origin.withdraw(referral_id, OTHER))
    told = await tombstones(origin)
    assert len(told) == len({*told}) == 5


@pytest.mark.parametrize("times", [0, 1])
async def test_who_may_not_withdraw_is_refused_whatever_the_state(origin: Origin, times: int) -> None:
    referral_id = await origin.file()
    for _ in range(times):
        await origin.withdraw(referral_id, REASON)
    with pytest.raises(Refused) as viewer:
        await origin.withdraw(referral_id, REASON, role=Role.VIEWER)
    with pytest.raises(Refused) as stranger:
        await origin.withdraw(referral_id, REASON, party="hotline-nl.example")
    assert (viewer.value.code, stranger.value.code) == ("forbidden", "not_found")


async def test_an_absent_referral_is_not_taken_for_a_withdrawn_one(origin: Origin) -> None:
    with pytest.raises(Refused, match="not_found"):
        await origin.withdraw(uuid7(), REASON)
