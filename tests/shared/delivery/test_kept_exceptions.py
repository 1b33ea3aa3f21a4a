"""The stored part of a message that is an exception: its encrypted record, or nothing that its sender has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deploy.directory.approval import document_body
from shared.core.contracts.registry import CASE_ACCEPTED, CASE_DECLINED, REFERRAL_OFFERED
from shared.core.errors import Defect, Refused
from shared.core.ids import uuid7
from shared.core.routing.documents import DocumentStore, read_directory
from shared.delivery import inbound
from shared.delivery.arriving import open_kept, unpack
from shared.delivery.exception_desk import ExceptionDesk
from shared.messaging.exceptions import OutcomeKind, TakenMessage
from tests.shared.delivery.test_inbound import answer, handler_of, told
from tests.support.builders import POLICE
from tests.support.consuming import KEK, Site
from tests.support.exchange_world import SINCE, World

#: Text that no contract has a place for.
CONTENT = "hunter2"


@pytest.mark.parametrize("clear", [{"words": CONTENT}, {CONTENT: 1}], ids=["value", "name"])
async def test_a_dead_letter_that_the_guard_has_not_passed_keeps_no_content(
    agencies: Site, here: World, clear: Mapping[str, object]
) -> None:
    """An authentic sender could put any content where its contract has no place for it."""
    offer = here.offered(POLICE)
    outcomes = await agencies.take(here.written([replace(offer, clear={**offer.clear, **clear})]))
    assert told(outcomes) == [("dead", "body_invalid")]
    (kept,) = await agencies.exceptions()
    assert CONTENT.encode() not in kept.taken.record
    record = unpack(kept.taken.record)
    assert (record.value, record.headers, record.writer) == (None, (), "hotline")
    assert record.proof is not None, "the proof that it was sent stays"


@pytest.mark.parametrize("code", ["type_unknown", "version_unknown", "code_unknown", "guard_unknown"])
async def test_a_deferred_message_keeps_nothing_in_plain_and_is_applied_by_a_release_that_reads_it(
    agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """The guard has not checked it, so its sender could have put content into any part of it."""
    offer = here.offered(POLICE)
    with monkeypatch.context() as earlier:
        earlier.setattr(inbound, "accept_batch", lambda records, _: [Refused(code) for _ in records])
        assert told(await agencies.take(here.written([offer]))) == [("deferred", code)]
        (kept,) = await agencies.exceptions()
        assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [("deferred", code)]
        assert await agencies.exceptions() == [kept]
    assert offer.subject.encode() not in kept.taken.record
    assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [("applied", None)]
    assert await agencies.exceptions() == []


@pytest.mark.parametrize("together", [True, False])
async def test_an_answer_waits_behind_one_that_this_release_cannot_read(
    hotline: Site, here: World, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """The features see none of the track, in whatever order they could take it."""
    referral_id = uuid7()
    answers = [answer(CASE_ACCEPTED, referral_id, 1), answer(CASE_DECLINED, referral_id, 2)]
    batches = [answers] if together else [[each] for each in answers]
    unread, accept = str(answers[0].message_id).encode(), inbound.accept_batch
    with monkeypatch.context() as earlier:
        earlier.setattr(
            inbound,
            "accept_batch",
            lambda records, reader: [
                Refused("version_unknown") if dict(record.headers)["ce_id"] == unread else each
                for record, each in zip(records, accept(records, reader), strict=True)
            ],
        )
        outcomes = [each for batch in batches for each in await hotline.take(here.written(batch, "law_enforcement"))]
        assert told(outcomes) == [("deferred", "version_unknown"), ("waiting", "act_awaited")]
        assert told(await hotline.try_again(OutcomeKind.WAITING)) == [("waiting", "act_awaited")]
    assert handler_of(hotline).types == []
    await hotline.try_again(OutcomeKind.DEFERRED)
    assert handler_of(hotline).types == [CASE_ACCEPTED.type, CASE_DECLINED.type]
    assert await hotline.exceptions() == []


async def test_a_kept_record_opens_in_its_own_row_alone(agencies: Site, here: World) -> None:
    handler_of(agencies).codes = {REFERRAL_OFFERED.type: "handler_defect"}
    await agencies.take(here.written([here.offered(POLICE), here.offered(POLICE)]))
    first, second = [each.taken for each in await agencies.exceptions()]
    assert open_kept(first, KEK).value is not None
    with pytest.raises(Defect, match="data_key_unreadable"):
        open_kept(replace(first, record=second.record), KEK)


async def test_a_waiting_message_that_dies_keeps_no_content_and_cannot_be_tried_again(
    agencies: Site, here: World
) -> None:
    agencies.shelf = DocumentStore()
    agencies.shelf.directories.place(read_directory(document_body(here.document)), SINCE)
    await agencies.take(here.written([here.offered(POLICE)]))
    (waiting,) = await agencies.exceptions()
    assert open_kept(waiting.taken, KEK).value is not None
    agencies.shelf = None
    handler_of(agencies).codes = {REFERRAL_OFFERED.type: "body_invalid"}
    assert told(await agencies.try_again(OutcomeKind.WAITING)) == [("dead", "body_invalid")]
    (dead,) = await agencies.exceptions()
    assert (unpack(dead.taken.record).value, dead.since) == (None, waiting.since)
    desk = ExceptionDesk(agencies.scopes)
    await desk.retry([dead])
    assert [each.outcome for each in await agencies.exceptions()] == [dead.outcome]
    await desk.discard([dead])
    assert await agencies.exceptions() == []


async def test_a_kept_record_that_cannot_be_read_stops_no_other_message(
    agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record's bytes stay. When they are readable again, a person can retry it."""
    with monkeypatch.context() as earlier:
        earlier.setattr(inbound, "accept_batch", lambda records, _: [Refused("type_unknown") for _ in records])
        await agencies.take(here.written([here.offered(POLICE) for _ in range(3)]))
    first, second, third = [each.taken for each in await agencies.exceptions()]
    damaged = second.record[:-1] + bytes([second.record[-1] ^ 1])
    await set_record(agencies, second, damaged)
    outcomes = await agencies.try_again(OutcomeKind.DEFERRED)
    assert told(outcomes) == [("applied", None), ("dead", "handler_defect"), ("applied", None)]
    (kept,) = await agencies.exceptions()
    assert kept.taken == replace(second, record=damaged)
    await set_record(agencies, second, second.record)
    await ExceptionDesk(agencies.scopes).retry([kept])
    assert await agencies.exceptions() == []
    applied = [each.message_id for each in handler_of(agencies).messages]
    assert applied == [each.named.message_id for each in (first, third, second)]


async def set_record(site: Site, taken: TakenMessage, record: bytes) -> None:
    """Replace the stored bytes of a message."""
    async with site.database.transaction() as session:
        text = "UPDATE exception SET record = $2 WHERE message_id = $1"
        await session.driver.execute(text, taken.named.message_id, record)
