"""Peer sync at an origin: missing edges are sent again, and unknown acts of a peer put the referral on the work list.

The database is real and shared by the tests of this service, so each test reads only its own referrals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from shared.core.contracts.registry import NOTICE_WITHDRAWN
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.locations import OriginTracks
from tests.services.hotline.origin import APPLYING, Origin, applied
from tests.services.hotline.test_amending import amended, filed
from tests.services.hotline.test_moves import NEW, acknowledged, follow, removed
from tests.support.builders import AT, PROVIDER, settlement
from tests.support.exchange_world import move, opened, told_to_audit

INDUSTRY = "industry"
_MISSING = "SELECT count(*) FROM edge WHERE is_missing OR unnotified_instances IS NOT NULL"
_LINES = "SELECT kind, peer, subject FROM operator_line WHERE closed_at IS NULL ORDER BY subject"


@pytest.fixture(autouse=True)
async def _nothing_else_is_here(origin: Origin) -> None:
    """Clear the edges and listed lines of other tests."""
    await origin.sql("UPDATE edge SET state = 'superseded', is_missing = false WHERE state = 'emitted'")
    await origin.sql("DELETE FROM operator_line")
    await origin.sql("UPDATE referral SET unrouted_reason = NULL WHERE unrouted_reason = 'recipient_ahead'")


async def delivered(origin: Origin) -> tuple[UUID, Draft]:
    """Submit a referral; return it and the provider's notice.

    All instances accepted it, and sent messages are forgotten.
    """
    referral_id = await origin.file()
    [notice] = await to_provider(origin)
    await origin.relayed()
    await origin.forget()
    return referral_id, notice


async def to_provider(origin: Origin) -> list[Draft]:
    return [each for each in await origin.waiting() if each.recipient == PROVIDER]


async def lacks(origin: Origin, *items: UUID, peer: str = INDUSTRY) -> list[Draft]:
    """Return the outgoing messages after a peer reports that it lacks these subjects of the provider."""
    async with origin.database.transaction(APPLYING) as session:
        await OriginTracks(session.driver).mark_missing([(item, PROVIDER) for item in items], peer)
    return await made_up(origin)


async def made_up(origin: Origin) -> list[Draft]:
    """Send what peers lack; return the outgoing messages to others than audit."""
    await origin.bus.missing(APPLYING)
    return [each for each in await origin.waiting() if each.recipient != "audit"]


async def holds(origin: Origin, *items: UUID, peer: str = INDUSTRY) -> list[Draft]:
    """Return the outgoing messages after a peer reports that it does not know the withdrawal of these subjects."""
    async with origin.database.transaction(APPLYING) as session:
        await OriginTracks(session.driver).mark_untold([(item, PROVIDER) for item in items], peer)
    return await made_up(origin)


async def has_withdrawal(origin: Origin, *items: UUID, peer: str = INDUSTRY) -> None:
    async with origin.database.transaction(APPLYING) as session:
        await OriginTracks(session.driver).taken_back_there([(item, PROVIDER) for item in items], peer)


async def lines(origin: Origin) -> list[tuple[str, str, UUID]]:
    return [tuple(row) for row in await origin.database.fetch(_LINES)]


def messages(rows: Sequence[Draft]) -> list[tuple[str, str]]:
    return [(each.recipient, str(each.clear["edge_id"])) for each in rows]


async def test_an_edge_that_a_peer_lacks_is_issued_anew_under_its_own_ids(origin: Origin) -> None:
    _, notice = await delivered(origin)
    [again] = await lacks(origin, UUID(notice.subject))
    assert messages([again]) == messages([notice])
    assert (again.subject, again.message_id == notice.message_id) == (notice.subject, False)
    assert opened(origin.world, again)["again"] == {"restored": True, "answer": "none", "number": 0}
    [fact] = [row for row in await origin.waiting() if row.recipient == "audit"]
    assert told_to_audit(origin.world, fact)["superseded"] == [notice.clear["edge_id"]]


async def test_an_edge_whose_message_waits_for_the_relay_is_not_issued_twice(origin: Origin) -> None:
    await origin.file()
    [notice] = await to_provider(origin)
    await origin.forget()
    assert await lacks(origin, UUID(notice.subject)) == []
    await origin.relayed(taken=False)
    assert messages(await lacks(origin, UUID(notice.subject))) == messages([notice]), "control"


async def test_acts_that_a_recipient_has_forgotten_are_told_with_its_edge(origin: Origin) -> None:
    _, notice = await delivered(origin)
    assert await applied(origin, acknowledged(notice, by=INDUSTRY)) == [None]
    [again] = await lacks(origin, UUID(notice.subject))
    assert opened(origin.world, again)["again"] == {"restored": True, "answer": "acknowledged", "number": 1}
    assert await origin.work("recipient_ahead") == []


async def test_acts_are_told_also_where_the_message_that_waits_tells_fewer(origin: Origin) -> None:
    """The recipient has forgotten the notice and its acts. The waiting message would restart it without them."""
    await origin.file()
    [notice] = await to_provider(origin)
    await origin.forget()
    assert await applied(origin, acknowledged(notice, by=INDUSTRY)) == [None]
    [again] = await lacks(origin, UUID(notice.subject))
    assert opened(origin.world, again)["again"] == {"restored": True, "answer": "acknowledged", "number": 1}
    assert len(await lacks(origin, UUID(notice.subject))) == 1, "the message that waits now tells of it"
    assert await applied(origin, removed(notice, by=INDUSTRY, number=2)) == [None]
    [_, last] = await lacks(origin, UUID(notice.subject))
    assert opened(origin.world, last)["again"]["number"] == 2, "not an hour later"


async def test_another_peer_says_nothing_of_what_lies_elsewhere(origin: Origin) -> None:
    _, notice = await delivered(origin)
    subject = UUID(notice.subject)
    assert await lacks(origin, subject, peer="law_enforcement") == []
    await has_withdrawal(origin, subject, peer="law_enforcement")
    assert await origin.work("recipient_ahead") == []


async def test_a_withdrawal_that_a_recipient_has_forgotten_is_told_again(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    subject = UUID(notice.subject)
    assert await holds(origin, subject) == [], "it is open"
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.relayed()
    await origin.forget()
    assert await lacks(origin, subject) == [], "where the edge is forgotten there is nothing to take back"
    [again] = await holds(origin, subject)
    assert (again.message, again.subject) == (NOTICE_WITHDRAWN, notice.subject)


async def test_what_an_amendment_took_back_is_taken_back_again_where_that_was_forgotten(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    taken = "UPDATE edge SET is_retracted = true WHERE referral_id = $1 AND notice_id IS NOT NULL"
    await origin.sql(taken, referral_id)
    await has_withdrawal(origin, UUID(notice.subject))
    assert await origin.work("recipient_ahead") == [], "both sides know it"
    [again] = await holds(origin, UUID(notice.subject))
    assert (again.message, again.clear["reason"]) == (NOTICE_WITHDRAWN, "other")


async def test_what_was_taken_back_is_so_again_where_its_recipient_was_before_it_moved(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    subject = UUID(notice.subject)
    move(origin.world, PROVIDER)
    await follow(origin)
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.relayed()
    await origin.forget()
    shown = await origin.show(referral_id)
    [again] = await holds(origin, subject)
    assert (again.message, again.subject) == (NOTICE_WITHDRAWN, notice.subject)
    assert again.recipient_instance == INDUSTRY
    assert await origin.show(referral_id) == shown, "it is shown where it lies"
    [_, there] = await holds(origin, subject, peer=NEW)
    assert there.recipient_instance == NEW, "to each its own"


async def test_what_was_taken_back_is_so_where_its_recipient_is_by_now(
    origin: Origin,
) -> None:
    """The origin was restored to a state before it followed the move."""
    referral_id, notice = await delivered(origin)
    move(origin.world, PROVIDER)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    [again] = await holds(origin, UUID(notice.subject), peer=NEW)
    assert (again.message, again.recipient_instance) == (NOTICE_WITHDRAWN, NEW)


async def test_what_nobody_can_be_told_any_more_is_let_be(origin: Origin) -> None:
    """The recipient has left the directory."""
    referral_id, notice = await delivered(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    document = origin.world.document
    others = tuple(each for each in document.parties if each.id != PROVIDER)
    origin.world.place(document.model_copy(update={"version": 2, "parties": others}), AT)
    async with asyncio.timeout(30):
        assert await holds(origin, UUID(notice.subject)) == []
    assert (await origin.database.fetch(_MISSING))[0][0] == 0


async def test_a_withdrawal_that_is_not_known_here_puts_the_referral_on_the_work_list(origin: Origin) -> None:
    """Nothing is withdrawn automatically: a statement of one recipient must not affect the others."""
    (referral_id, notice), (withdrawn, other) = await delivered(origin), await delivered(origin)
    await origin.withdraw(withdrawn, WithdrawalReason.FILED_IN_ERROR)
    before = len(await origin.waiting())
    await has_withdrawal(origin, UUID(notice.subject), UUID(other.subject))
    assert await origin.work("recipient_ahead") == [referral_id]
    assert len(await origin.waiting()) == before
    assert (await origin.show(referral_id))["state"] == "routed"


async def test_a_subject_that_is_forgotten_here_is_listed_once(origin: Origin) -> None:
    forgotten = uuid7()
    for _ in range(2):
        assert await lacks(origin, forgotten) == []
        assert await holds(origin, forgotten) == []
    assert await lines(origin) == [("undecidable", INDUSTRY, forgotten)]


async def test_an_erased_referral_is_not_issued_anew_and_needs_a_person(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    await origin.erase(referral_id)
    assert await lacks(origin, UUID(notice.subject)) == []
    assert referral_id in await origin.work("undeliverable")


async def test_many_are_issued_in_batches(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.features.filing.effects.DUE_MAX", 2)
    notices = [(await delivered(origin))[1] for _ in range(5)]
    sent = await lacks(origin, *(UUID(each.subject) for each in notices))
    assert sorted(messages(sent)) == sorted(messages(notices))
    assert (await origin.database.fetch(_MISSING))[0][0] == 0


async def deliveries(origin: Origin, referral_id: UUID) -> tuple[str, str | None, str | None]:
    """Return delivery, code and withdrawal of the notice as its party sees them."""
    edge = await origin.edge(referral_id)
    return edge["delivery"], edge.get("code"), edge.get("withdrawal")


async def test_delivery_follows_the_place_of_the_message(origin: Origin) -> None:
    referral_id = await origin.file()

    async def stands() -> tuple[tuple[str, str | None, str | None], int]:
        """Return the notice's delivery, and the number of edges that the tick of delivery counts."""
        return await deliveries(origin, referral_id), (await origin.show(referral_id))["ticks"]["delivered"]["done"]

    assert await stands() == (("queued", None, None), 0)
    await origin.relayed(taken=False)
    assert await stands() == (("sent", None, None), 0)
    await origin.relayed()
    assert await stands() == (("applied", None, None), 5)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await stands() == (("applied", None, "queued"), 0), "then it counts the withdrawals"
    await origin.relayed(taken=False)
    assert await stands() == (("applied", None, "sent"), 0)
    await origin.relayed()
    assert await stands() == (("applied", None, "applied"), 5)


async def test_a_message_of_an_earlier_incarnation_counts_as_delivered(origin: Origin) -> None:
    referral_id = await origin.file()
    earlier = "UPDATE edge SET incarnation = $2, number = number + 1000 WHERE referral_id = $1"
    await origin.sql(earlier, referral_id, uuid7())
    assert await deliveries(origin, referral_id) == ("applied", None, None)


@pytest.mark.parametrize("outcome", [*set(ReceiptOutcome) - {ReceiptOutcome.APPLIED}])
async def test_an_open_outcome_is_shown_until_the_message_is_applied(origin: Origin, outcome: ReceiptOutcome) -> None:
    referral_id, notice = await delivered(origin)
    await origin.heard(settlement(notice.message_id, outcome, "sample_code", by=INDUSTRY))
    assert await deliveries(origin, referral_id) == (outcome.value, "sample_code", None)
    await origin.heard(settlement(notice.message_id, by=INDUSTRY))
    assert await deliveries(origin, referral_id) == ("applied", None, None)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    [withdrawal] = [each for each in await to_provider(origin) if each.message is NOTICE_WITHDRAWN]
    await origin.relayed()
    await origin.heard(settlement(withdrawal.message_id, outcome, "sample_code", by=INDUSTRY))
    assert await deliveries(origin, referral_id) == ("applied", None, outcome.value)
    await origin.heard(settlement(withdrawal.message_id, by=INDUSTRY))
    assert await deliveries(origin, referral_id) == ("applied", None, "applied")


async def test_an_exception_that_a_peer_lists_is_shown_and_not_issued_again(origin: Origin) -> None:
    """Also if its outcome was lost."""
    referral_id, notice = await delivered(origin)
    listed = "INSERT INTO outcome_open VALUES ($1, $2, 'dead', 'handler_defect', now())"
    await origin.sql(listed, INDUSTRY, notice.message_id)
    assert await deliveries(origin, referral_id) == ("parked", "handler_defect", None)
    assert await lacks(origin, UUID(notice.subject)) == []
    await origin.sql("DELETE FROM outcome_open WHERE message_id = $1", notice.message_id)
    assert messages(await lacks(origin, UUID(notice.subject))) == messages([notice]), "control"


async def test_a_referral_leaves_the_work_list_with_the_last_exception(
    origin: Origin,
) -> None:
    referral_id, notice = await delivered(origin)
    await origin.heard(settlement(notice.message_id, ReceiptOutcome.PARKED, "handler_defect", by=INDUSTRY))
    assert referral_id in await origin.work("parked")
    [again] = await lacks(origin, UUID(notice.subject))
    assert referral_id not in await origin.work("parked")
    await origin.heard(settlement(notice.message_id, ReceiptOutcome.DEFERRED, "type_unknown", by=INDUSTRY))
    assert await deliveries(origin, referral_id) == ("queued", None, None), "it is not the message that counts"
    await origin.heard(settlement(again.message_id, ReceiptOutcome.DEFERRED, "type_unknown", by=INDUSTRY))
    assert referral_id in await origin.work("deferred")


async def test_an_edge_is_issued_again_once_an_hour_whatever_its_peer_says(origin: Origin) -> None:
    _, notice = await delivered(origin)
    subject = UUID(notice.subject)
    [again] = await lacks(origin, subject)
    await origin.relayed()
    await origin.forget()
    repeated = "UPDATE edge SET repeated_at = now() - $2::interval WHERE message_id = $1"
    await origin.sql(repeated, again.message_id, timedelta(minutes=59))
    assert await lacks(origin, subject) == []
    await origin.sql(repeated, again.message_id, timedelta(minutes=61))
    [later] = await lacks(origin)
    assert messages([later]) == messages([notice]), "at the end of the hour, although nobody asks again"
    await origin.relayed()
    await origin.forget()
    assert await lacks(origin, subject) == []
    await origin.sql("UPDATE edge SET incarnation = uuidv7() WHERE message_id = $1", later.message_id)
    assert messages(await lacks(origin)) == messages([notice]), "its peer was restored again: a new incarnation"


async def test_an_edge_amended_within_the_hour_has_its_revision(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    [notice] = await to_provider(origin)
    await origin.relayed()
    await origin.forget()
    await amended(client, referral_id, body | {"media_kind": "video"})
    await origin.relayed()
    [change] = await to_provider(origin)
    await origin.forget()
    await origin.sql("UPDATE edge SET decided_at = now() WHERE message_id = $1", change.message_id)
    [again] = await lacks(origin, UUID(notice.subject))
    assert messages([again]) == messages([notice])
    assert again.clear["revision"] == 2


async def test_only_the_instance_where_an_edge_lies_states_its_outcome(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    refused = settlement(notice.message_id, ReceiptOutcome.REFUSED, "decision_time_off", by="law_enforcement")
    await origin.heard(refused)
    assert await deliveries(origin, referral_id) == ("applied", None, None)
    await origin.due()
    assert await to_provider(origin) == []
    await origin.heard(settlement(notice.message_id, ReceiptOutcome.PARKED, "handler_defect", by="law_enforcement"))
    assert referral_id not in await origin.work("parked")


async def test_the_outcome_of_a_withdrawal_counts_also_from_where_its_recipient_was_before(origin: Origin) -> None:
    referral_id, _ = await delivered(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    [withdrawal] = await to_provider(origin)
    await origin.relayed()
    moved = "UPDATE edge SET previous_instances = '{former}' WHERE withdrawal_id = $1"
    await origin.sql(moved, withdrawal.message_id)
    for by, shown in (("law_enforcement", "applied"), ("former", "parked")):
        await origin.heard(settlement(withdrawal.message_id, ReceiptOutcome.PARKED, "sample_code", by=by))
        assert await deliveries(origin, referral_id) == ("applied", None, shown)
