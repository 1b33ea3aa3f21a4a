"""The effects of a withdrawal: its recipients, who may acknowledge it, and when."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from shared.contracts.answers import RecordErasedClear, RetentionStatement, WithdrawalAcknowledgedClear
from shared.contracts.registry import RECORD_ERASED, WITHDRAWAL_ACKNOWLEDGED
from shared.kernel.authority import Role
from shared.party.list_filter import EVERYTHING
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.store.referrals import PostgresReferrals
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.runtime.database.transactions import RowScope
from shared.vocabulary.answers import KeptBasis, WithdrawalFate
from shared.vocabulary.judgement import RetentionClass
from shared.vocabulary.referral import WithdrawalReason
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER

REASON = WithdrawalReason.FILED_IN_ERROR


KEPT = RetentionStatement(retention=RetentionClass.MINIMAL, basis=KeptBasis.LEGAL_HOLD, until=date(2030, 1, 1))


async def acknowledged(
    origin: Origin, referral_id: UUID, sender: str, *, number: int = 1, kept: RetentionStatement | None = None
) -> str | None:
    """Apply an acknowledgement; return the code of its refusal, or None if it is applied."""
    fate = WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT
    clear = WithdrawalAcknowledgedClear(referral_id=referral_id, revision=1, fate=fate, kept=kept, **numbered(number))
    message = received(WITHDRAWAL_ACKNOWLEDGED, clear, subject=referral_id, sender=sender, recipient=HOTLINE)
    async with origin.database.transaction(RowScope([HOTLINE], Role.SERVICE, "apply")) as session:
        return (await EdgeAnswers(PostgresEdges(session.driver, KEK), AT).apply([message])).get(message.message_id)


async def erased(origin: Origin, referral_id: UUID, *, number: int) -> str | None:
    """Apply the erasure of a retained record; return the code of its refusal, or None if it is applied."""
    clear = RecordErasedClear(referral_id=referral_id, revision=1, fate=WithdrawalFate.ERASED, **numbered(number))
    message = received(RECORD_ERASED, clear, subject=referral_id, sender=POLICE, recipient=HOTLINE)
    async with origin.database.transaction(RowScope([HOTLINE], Role.SERVICE, "apply")) as session:
        return (await EdgeAnswers(PostgresEdges(session.driver, KEK), AT).apply([message])).get(message.message_id)


@pytest.mark.parametrize("gone", [POLICE, PROVIDER])
async def test_a_recipient_that_has_left_the_directory_keeps_nobody_from_being_told(origin: Origin, gone: str) -> None:
    referral_id = await origin.file()
    told = {edge["recipient"] for edge in (await origin.show(referral_id))["edges"]}
    await origin.forget()
    parties = tuple(each for each in origin.world.document.parties if each.id != gone)
    later = origin.world.document.model_copy(update={"version": 2, "parties": parties})
    origin.world.place(later, AT - timedelta(minutes=1))
    await origin.withdraw(referral_id, REASON)
    assert {row.recipient for row in await origin.waiting()} == told - {gone}
    shown = await origin.show(referral_id)
    assert shown["state"] == "withdrawn"
    assert {edge["recipient"]: edge["answer"] for edge in shown["edges"]}[gone] == "none"


async def test_a_withdrawal_is_acknowledged_once_it_has_been(origin: Origin) -> None:
    referral_id = await origin.file()
    assert await acknowledged(origin, referral_id, POLICE) == "answer_out_of_order"
    await origin.withdraw(referral_id, REASON)
    assert await acknowledged(origin, referral_id, POLICE) is None
    assert await acknowledged(origin, referral_id, POLICE, number=2) == "answer_out_of_order"
    assert await acknowledged(origin, referral_id, POLICE, kept=KEPT) == "answer_repeated"


async def test_who_was_restored_may_say_once_more_that_it_has_erased(origin: Origin) -> None:
    """The recipient's database has forgotten its answer, but its erasure journal has not.

    The repeat changes nothing.
    """
    first, second = await origin.file(), await origin.file()
    for each in (first, second):
        await origin.withdraw(each, REASON)
    assert await acknowledged(origin, first, POLICE) is None
    before = (await origin.show(first))["ticks"]
    assert await acknowledged(origin, first, POLICE) is None
    assert (await origin.show(first))["ticks"] == before
    assert await acknowledged(origin, second, POLICE, kept=KEPT) is None
    assert await acknowledged(origin, second, POLICE) == "answer_repeated", "another fate is another answer"


async def test_what_was_kept_is_erased_after_it_was_answered_and_stays_acknowledged(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.withdraw(referral_id, REASON)
    assert await erased(origin, referral_id, number=1) == "answer_out_of_order"
    assert await acknowledged(origin, referral_id, POLICE, number=2) is None
    before = (await origin.show(referral_id))["ticks"]
    assert await erased(origin, referral_id, number=3) is None
    shown = await origin.show(referral_id)
    assert {edge["answer"] for edge in shown["edges"] if edge["recipient"] == POLICE} == {"record_erased"}
    assert shown["ticks"] == before
    assert await erased(origin, referral_id, number=4) == "answer_out_of_order"


async def test_the_ticks_of_a_page_are_those_of_each_referral(origin: Origin) -> None:
    filed = [await origin.file() for _ in range(3)]
    await origin.withdraw(filed[1], REASON)
    assert await acknowledged(origin, filed[1], POLICE) is None
    async with origin.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
        referrals = PostgresReferrals(session.driver, KEK)
        page = await referrals.page(HOTLINE, EVERYTHING, state=None, cursor=None, limit=50)
        ticked = await referrals.ticked(page.items)
    assert set(filed) <= set(ticked) == {each.referral_id for each in page.items}
    for referral_id in filed:
        assert ticked[referral_id].model_dump() == (await origin.show(referral_id))["ticks"]
