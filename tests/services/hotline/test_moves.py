"""A provider moves while its notices are open. The origin issues them again, once each, and accepts late answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.catalog import CATALOG
from shared.core.contracts.registry import NOTICE_ISSUED, NOTICE_WITHDRAWN, MessageType
from shared.core.errors import Unavailable
from shared.core.protocol.message import Draft, Received
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.core.vocabulary.routing import PartyStatus
from shared.delivery.sending import Settlement
from shared.features.filing import effects
from shared.features.filing.store.edges import PostgresEdges
from shared.platform.database.transactions import Database
from tests.services.hotline.origin import APPLYING, Origin, answered, applied, said
from tests.services.hotline.test_attention import about
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.exchange_world import move, opened, told_to_audit, world

OLD, NEW = "industry", "industry_two"
OWN = Reads.of(own_reads(CATALOG))


@pytest.fixture(autouse=True)
async def _nothing_is_left_behind(database: Database) -> None:
    """Move the notices that other tests submitted in this database to another instance."""
    other = Origin(database, world())
    move(other.world, PROVIDER)
    await follow(other)
    await other.forget()


async def outgoing(origin: Origin, message: MessageType = NOTICE_ISSUED) -> list[Draft]:
    """Return all sent messages of a type, oldest first."""
    return [row for row in await origin.waiting() if row.message is message]


async def filed(origin: Origin) -> tuple[UUID, Draft]:
    """Submit a referral; return it and the provider's notice. Sent messages are forgotten."""
    referral_id = await origin.file()
    [notice] = await outgoing(origin)
    await origin.forget()
    return referral_id, notice


async def follow(origin: Origin) -> None:
    await origin.bus.follow(origin.world.documents.directory)


async def moved_late(origin: Origin) -> tuple[UUID, Draft]:
    """Submit a notice whose provider then moves without an answer. Forget the sent messages."""
    referral_id, notice = await filed(origin)
    move(origin.world, PROVIDER)
    await follow(origin)
    await origin.forget()
    return referral_id, notice


async def issue_anew(origin: Origin) -> None:
    await origin.bus.issue(APPLYING)


def acknowledged(notice: Draft, *, by: str, number: int = 1) -> Received:
    return said("notice_acknowledged", UUID(notice.subject), PROVIDER, number, instance=by)


def removed(notice: Draft, *, by: str, number: int) -> Received:
    return replace(answered(UUID(notice.subject), number, {"action": "removed"}), sender_instance=by)


async def settled(origin: Origin, notice: Draft, outcome: ReceiptOutcome, code: str) -> None:
    await origin.heard(Settlement(notice.message_id, outcome, code, notice.recipient_instance, [PROVIDER]))


async def shown(origin: Origin, referral_id: UUID) -> str:
    return str((await origin.edge(referral_id))["answer"])


async def test_an_open_edge_is_issued_anew_under_its_own_ids_and_once(origin: Origin) -> None:
    _, before = await filed(origin)
    assert await applied(origin, acknowledged(before, by=NEW)) == ["answer_unmatched"], "it never got the edge"
    move(origin.world, PROVIDER)
    await follow(origin)
    [fact] = [row for row in await origin.waiting() if row.recipient == "audit"]
    told = told_to_audit(origin.world, fact)
    assert (told["superseded"], len(told["edges"])) == ([before.clear["edge_id"]], 1)
    [after] = await outgoing(origin)
    assert (after.subject, after.clear["edge_id"]) == (before.subject, before.clear["edge_id"])
    assert (before.recipient_instance, after.recipient_instance) == (OLD, NEW)
    assert after.message_id != before.message_id
    assert after.clear["commitment"] != before.clear["commitment"]
    assert opened(origin.world, after)["again"] == {"moved": True, "answer": "none", "number": 0}
    await origin.forget()
    await follow(origin)
    assert await outgoing(origin) == []


async def behind(origin: Origin) -> tuple[UUID, Draft]:
    """Submit a referral whose provider then moves to an instance that cannot read notices."""
    referral_id, notice = await filed(origin)
    behind = {name: version for name, version in OWN.messages.items() if name != "notice_issued"}
    origin.world.reads = PeerReads({NEW: replace(OWN, messages=behind)})
    move(origin.world, PROVIDER)
    await follow(origin)
    return referral_id, notice


async def test_what_its_new_place_cannot_read_keeps_its_ids_and_goes_once_it_can(origin: Origin) -> None:
    """The new instance may run an older release. It must not receive a second edge besides the known one."""
    referral_id, before = await behind(origin)
    assert await outgoing(origin) == []
    [fact] = [row for row in await origin.waiting() if row.recipient == "audit"]
    assert told_to_audit(origin.world, fact)["superseded"] == []
    assert await origin.work("recipient_cannot_read") == [referral_id]
    assert await applied(origin, acknowledged(before, by=OLD)) == [None], "its old place may still answer"
    await origin.forget()
    await issue_anew(origin)
    # A peer may change its announced versions every minute. That alone sends no messages to audit.
    assert await origin.waiting() == []
    origin.world.reads = PeerReads({NEW: OWN})
    await issue_anew(origin)
    [after] = await outgoing(origin)
    assert (after.subject, after.clear["edge_id"]) == (before.subject, before.clear["edge_id"])
    assert opened(origin.world, after)["again"]["number"] == 1
    assert await origin.work("recipient_cannot_read") == []
    await origin.forget()
    await issue_anew(origin)
    await follow(origin)
    assert await outgoing(origin) == []


async def test_what_is_answered_for_good_meanwhile_waits_for_nobody(origin: Origin) -> None:
    """The old instance answers all items, so no person is needed and nothing is issued again."""
    referral_id, notice = await behind(origin)
    assert [row["reasons"] for row in await about(origin, referral_id)] == [["recipient_cannot_read"]]
    assert await applied(origin, removed(notice, by=OLD, number=1)) == [None]
    assert await shown(origin, referral_id) == "actioned"
    assert await about(origin, referral_id) == []
    assert referral_id not in await origin.work("recipient_cannot_read")
    origin.world.reads = PeerReads({NEW: OWN})
    await issue_anew(origin)
    assert notice.subject not in {each.subject for each in await outgoing(origin)}


async def test_what_ends_in_the_middle_goes_on_where_it_was(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction has one edge, and the second fails. The first notice stays issued; the others follow later."""
    notices = [(await filed(origin))[1] for _ in range(3)]
    move(origin.world, PROVIDER)
    monkeypatch.setattr(effects, "DUE_MAX", 1)
    replace, calls = PostgresEdges.replace, []

    async def failing(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise Unavailable("database_unavailable")
        await replace(*arguments)

    monkeypatch.setattr(PostgresEdges, "replace", failing)
    with pytest.raises(Unavailable):
        await follow(origin)
    first = await outgoing(origin)
    await follow(origin)
    subjects = [each.subject for each in await outgoing(origin)]
    assert len(first) == 1
    assert [subjects.count(notice.subject) for notice in notices] == [1, 1, 1]


async def test_what_is_answered_for_good_or_withdrawn_stays_where_it_is(origin: Origin) -> None:
    _, done = await filed(origin)
    withdrawn, taken_back = await filed(origin)
    assert await applied(origin, removed(done, by=OLD, number=1)) == [None]
    await origin.withdraw(withdrawn, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    move(origin.world, PROVIDER)
    await follow(origin)
    assert not {each.subject for each in await outgoing(origin)} & {done.subject, taken_back.subject}


async def test_while_its_origin_is_suspended_nothing_of_it_is_issued_anew(origin: Origin) -> None:
    """Messages for a suspended origin are refused permanently.

    They follow by the directory that ends the suspension.
    """
    _, before = await filed(origin)
    free = move(origin.world, PROVIDER)
    parties = tuple(
        each.model_copy(update={"status": PartyStatus.SUSPENDED}) if each.id == HOTLINE else each
        for each in free.parties
    )
    origin.world.place(free.model_copy(update={"version": 3, "parties": parties}), AT - timedelta(seconds=30))
    await follow(origin)
    assert await outgoing(origin) == []
    origin.world.place(free.model_copy(update={"version": 4}), AT - timedelta(seconds=20))
    await follow(origin)
    assert [each.subject for each in await outgoing(origin)] == [before.subject]


async def test_what_the_new_instance_refuses_as_stale_keeps_its_ids_again(origin: Origin) -> None:
    _, before = await filed(origin)
    move(origin.world, PROVIDER)
    await follow(origin)
    [after] = await outgoing(origin)
    await origin.forget()
    await settled(origin, after, ReceiptOutcome.REFUSED, "document_lapsed")
    assert await origin.due() == 1
    [once_more] = await outgoing(origin)
    assert (once_more.subject, once_more.recipient_instance) == (before.subject, NEW)
    assert opened(origin.world, once_more)["again"]["number"] == 0


async def test_a_withdrawal_goes_to_every_instance_that_ever_got_the_edge(origin: Origin) -> None:
    referral_id, notice = await moved_late(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    told = await outgoing(origin, NOTICE_WITHDRAWN)
    assert [(each.subject, each.recipient_instance) for each in told] == [(notice.subject, OLD), (notice.subject, NEW)]
    assert (await origin.edge(referral_id))["withdrawal"] == "queued"


async def test_a_late_answer_is_applied_once_and_told_on(origin: Origin) -> None:
    referral_id, notice = await moved_late(origin)
    late = acknowledged(notice, by=OLD)
    assert await applied(origin, late) == [None]
    assert await shown(origin, referral_id) == "acknowledged"
    assert await origin.due() == 1
    [again] = await outgoing(origin)
    assert (again.subject, again.recipient_instance) == (notice.subject, NEW)
    assert opened(origin.world, again)["again"] == {"answer": "acknowledged", "number": 1}
    await origin.forget()
    assert await applied(origin, late) == [None], "as the first time"
    assert await origin.due() == 0
    assert await outgoing(origin) == []


async def test_items_are_told_by_the_notices_own_numbers(origin: Origin) -> None:
    _, notice = await filed(origin)
    assert await applied(origin, acknowledged(notice, by=OLD)) == [None]
    move(origin.world, PROVIDER)
    await follow(origin)
    await origin.forget()
    assert await applied(origin, removed(notice, by=OLD, number=2)) == [None]
    assert await origin.due() == 1
    [again] = await outgoing(origin)
    said = opened(origin.world, again)["again"]
    assert (said["answer"], said["number"]) == ("actioned", 2)
    assert said["items"] == [{"n": 1, "round": 1, "action": "removed"}]


async def test_once_the_new_instance_has_answered_what_comes_late_moves_nothing(origin: Origin) -> None:
    referral_id, notice = await moved_late(origin)
    assert await applied(origin, acknowledged(notice, by=NEW), removed(notice, by=OLD, number=1)) == [None, None]
    assert await shown(origin, referral_id) == "acknowledged"
    assert await outgoing(origin) == []
