"""Outcomes and answers are applied without sending their follow-up messages. Those are noted and sent separately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.contracts.registry import NOTICE_ISSUED
from shared.core.errors import Unavailable
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing import effects
from shared.features.filing.rules import PAUSES
from shared.platform.database.transactions import Database
from shared.platform.observability.retry_backoff import PAUSE_MAX
from tests.services.hotline import test_moves as moves
from tests.services.hotline.origin import APPLYING, Origin, applied
from tests.services.hotline.test_apart import EndOfTurn, run
from tests.services.hotline.test_deciding_again import offers
from tests.support.builders import PROVIDER
from tests.support.exchange_world import move, opened, world

_BREAK = "UPDATE referral SET content = set_byte(content, 20, get_byte(content, 20) # 1) WHERE referral_id = $1"


def expire(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a document pass its grace period; return a function that publishes another."""

    def expired() -> Any:
        raise Unavailable("documents_expired")

    monkeypatch.setattr(origin, "_documents", expired)
    return lambda: monkeypatch.delattr(origin, "_documents")


async def test_a_late_answer_without_documents_is_told_later(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    referral_id, notice = await moves.moved_late(origin)
    published = expire(origin, monkeypatch)
    assert await applied(origin, moves.acknowledged(notice, by=moves.OLD)) == [None]
    with pytest.raises(Unavailable):
        await origin.due()
    assert await moves.outgoing(origin) == []
    published()
    assert await moves.shown(origin, referral_id) == "acknowledged"
    assert await origin.due() == 1
    [again] = await moves.outgoing(origin)
    assert (again.subject, again.recipient_instance) == (notice.subject, moves.NEW)
    assert opened(origin.world, again)["again"] == {"answer": "acknowledged", "number": 1}
    assert await origin.due() == 0


async def test_a_moved_outcome_is_taken_while_documents_are_expired_and_followed_once_there_are_some(
    origin: Origin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same directory: the earlier directory's submission was committed after the move had been followed."""
    behind, turns, found = Origin(database, world()), list[int](), dict[str, Any]()
    move(origin.world, PROVIDER)

    async def later(_: float) -> None:
        turns.append(1)
        origin.clock.advance(effects.FOLLOWED.total_seconds())
        if len(turns) == 1:
            found["notice"] = (await moves.filed(behind))[1]
            found["published"] = expire(origin, monkeypatch)
            await moves.settled(origin, found["notice"], ReceiptOutcome.MOVED, "recipient_moved")
        if len(turns) == 4:
            assert await moves.outgoing(origin) == []
            found["published"]()
        if len(turns) >= 5:
            raise EndOfTurn

    monkeypatch.setattr("asyncio.sleep", later)
    with pytest.raises(EndOfTurn):
        await origin.bus.follow_moves()
    assert [(each.subject, each.recipient_instance) for each in await moves.outgoing(origin)] == [
        (found["notice"].subject, moves.NEW)
    ]


async def test_what_cannot_be_opened_keeps_no_other_outcome_from_its_edge(origin: Origin) -> None:
    """A flipped bit or a lost key. Its neighbours are decided again, and so is this referral after the repair."""
    bad, good = await origin.file(), await origin.file()
    rows = offers(await origin.waiting())
    await run(origin, _BREAK, bad)
    await origin.told_stale(rows)
    await origin.due()
    assert sorted(each.subject for each in offers(await origin.waiting())) == [str(good)]
    await run(origin, _BREAK, bad)
    origin.clock.advance(PAUSE_MAX.total_seconds())
    await origin.due()
    assert sorted(each.subject for each in offers(await origin.waiting())) == sorted([str(bad), str(good)])


async def test_what_cannot_be_opened_keeps_no_late_answer_untold(origin: Origin) -> None:
    (bad, first), (_, second) = await moves.filed(origin), await moves.filed(origin)
    move(origin.world, PROVIDER)
    await moves.follow(origin)
    await origin.forget()
    await run(origin, _BREAK, bad)
    late = [moves.acknowledged(each, by=moves.OLD) for each in (first, second)]
    assert await applied(origin, *late) == [None, None]
    await origin.due()
    assert [each.subject for each in await moves.outgoing(origin)] == [second.subject]
    await run(origin, _BREAK, bad)
    origin.clock.advance(PAUSE_MAX.total_seconds())
    await origin.due()
    assert {each.subject for each in await moves.outgoing(origin)} == {first.subject, second.subject}


async def test_what_is_withdrawn_before_it_was_told_on_stays_and_is_not_told(origin: Origin) -> None:
    """The recipient has the notice, so it answers the withdrawal on this edge."""
    referral_id, notice = await moves.moved_late(origin)
    assert await applied(origin, moves.acknowledged(notice, by=moves.OLD)) == [None]
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await origin.due() == 0
    assert await moves.outgoing(origin, NOTICE_ISSUED) == []
    state = "SELECT state FROM edge WHERE referral_id = $1 AND notice_id IS NOT NULL"
    assert await run(origin, state, referral_id) == "emitted"


async def test_an_edge_that_has_moved_is_decided_four_times_at_most_too(origin: Origin) -> None:
    """The edge keeps its ids, whichever instance refuses it. Only the number of refusals counts."""
    referral_id, _ = await moves.moved_late(origin)
    lacks = "UPDATE edge SET is_missing = true WHERE referral_id = $1 AND recipient = $2 AND state = 'emitted'"
    await run(origin, lacks, referral_id, PROVIDER)
    await origin.bus.missing(APPLYING)
    issued = 0
    for _ in range(9):
        rows = [each for each in await origin.waiting() if each.message is NOTICE_ISSUED]
        issued += len(rows)
        await origin.forget()
        await origin.refused(rows)
        origin.clock.advance(max(PAUSES).total_seconds())
        await origin.due()
    assert issued == 1 + len(PAUSES)
    assert referral_id in await origin.work("undeliverable")
