"""Inbound messages over a real database: the judgement before the features, and messages that stay an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from deploy.directory.approval import document_body
from shared.core.contracts.registry import (
    CASE_ACCEPTED,
    CASE_DECLINED,
    HOLD_ENDED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    MessageType,
)
from shared.core.envelope.keys import SigningKey
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft, Received
from shared.core.routing.documents import DocumentStore, read_directory
from shared.delivery.inbound import translate
from shared.delivery.sending import Unit
from shared.delivery.subjects import PartySubjects
from shared.delivery.tracks import TrackKey, TrackRow, TrackSide, load_tracks
from shared.messaging.exceptions import Outcome, OutcomeKind, RefusalCode
from shared.messaging.ports import DayDigest, OperatorKind, OperatorLine, Side
from shared.messaging.tracks import act_of, track_of
from shared.messaging.upkeep import retry_exceptions
from shared.platform.database.journal import ErasureNote
from shared.platform.database.transactions import GatheringConnection, gather
from tests.shared.delivery.sites import send_from
from tests.support.builders import HOTLINE, POLICE, draft, withdrawal
from tests.support.consuming import Applied, Site
from tests.support.exchange_world import SINCE, World
from tests.support.wire_records import write_segment


def told(outcomes: Sequence[Outcome]) -> list[tuple[str, str | None]]:
    return [(each.kind.value, each.code) for each in outcomes]


def handler_of(site: Site) -> Applied:
    assert isinstance(site.handler, Applied)
    return site.handler


def taken_back(offer: Draft) -> Draft:
    """Return the message with which the origin withdraws a referral."""
    referral_id = UUID(offer.subject)
    return draft(referral_id, message=REFERRAL_WITHDRAWN, clear=withdrawal(referral_id))


def again(offer: Draft) -> Draft:
    """Return the same edge in another message."""
    assert offer.context is not None
    message_id = uuid7()
    return replace(offer, message_id=message_id, context=replace(offer.context, message_id=message_id))


def hold_ended(offer: Draft) -> Draft:
    """Return an act of the origin on a referral, which is no edge."""
    clear = {"referral_id": offer.subject, "revision": 1, "hold": str(uuid4()), "end": "lapsed"}
    return draft(UUID(offer.subject), message=HOLD_ENDED, clear=clear)


async def row_of(site: Site, offer: Draft, side: TrackSide = TrackSide.HELD, peer: str = "hotline") -> TrackRow | None:
    subject = track_of(offer.message, offer.sender, offer.recipient, subject=UUID(offer.subject))
    assert subject is not None
    async with site.database.transaction() as session:
        return (await load_tracks(session.driver, [TrackKey(peer, side, subject)])).get(TrackKey(peer, side, subject))


async def test_a_good_message_is_applied_and_its_act_is_on_the_track(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    assert told(await agencies.take(here.written([offer]))) == [("applied", None)]
    row = await row_of(agencies, offer)
    assert row is not None
    assert (row.item, row.owner, row.other) == (UUID(offer.subject), HOTLINE, POLICE)
    assert row.acts == (act_of(offer.message_id, offer.clear),)
    assert await agencies.exceptions() == []


async def test_the_same_edge_told_again_has_no_second_effect(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    await agencies.take(here.written([offer]))
    for _ in range(2):
        assert told(await agencies.take(here.written([again(offer), again(offer)]))) == [("applied", None)] * 2
    assert handler_of(agencies).types == [REFERRAL_OFFERED.type]


async def test_after_an_erasure_the_same_edge_has_no_second_effect(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    await agencies.take(here.written([offer]))
    async with agencies.database.transaction() as session:
        gather(session.driver, [ErasureNote(UUID(offer.subject), POLICE)])
    assert told(await agencies.take(here.written([again(offer)]))) == [("applied", None)]
    assert handler_of(agencies).types == [REFERRAL_OFFERED.type]


async def test_an_erasure_in_the_transaction_of_an_edge_erases_its_track(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)

    async def erase(unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        gather(unit.connection.driver, [ErasureNote(UUID(offer.subject), POLICE)])
        return {}

    handler_of(agencies).apply = erase  # type: ignore[method-assign]
    await agencies.take(here.written([offer]))
    row = await row_of(agencies, offer)
    assert row is not None
    assert (row.is_erased, row.acts) == (True, ())


async def test_the_answer_to_a_resync_states_a_message_of_the_same_batch(
    hotline: Site, agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated: dict[Side, list[DayDigest]] = {}
    list_held_days = PartySubjects.list_held_days

    async def noted(self: PartySubjects, side: Side, peer: str) -> list[DayDigest]:
        stated[side] = await list_held_days(self, side, peer)
        return stated[side]

    monkeypatch.setattr(PartySubjects, "list_held_days", noted)
    await send_from(hotline, replace(here.offered(POLICE), is_p0=True))
    # The first message of a stream asks for a resync.
    await agencies.take(await hotline.relay(agencies.instance))
    assert [len(stated[side]) for side in (Side.HELD, Side.ANSWERED)] == [1, 0]


async def test_a_higher_revision_of_an_edge_replaces_the_one_on_the_track(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    await agencies.take(here.written([offer]))
    row = await row_of(agencies, offer)
    async with agencies.database.transaction() as session:
        await session.driver.execute("UPDATE track SET track_edges = replace(track_edges::text, '1 ', '0 ')::jsonb")
    assert await row_of(agencies, offer) != row
    await agencies.take(here.written([again(offer)]))
    assert await row_of(agencies, offer) == row


async def test_the_same_edge_twice_in_one_batch_has_the_outcome_of_the_first(agencies: Site, here: World) -> None:
    handler_of(agencies).codes = {REFERRAL_OFFERED.type: "edge_exists"}
    offer = here.offered(POLICE)
    outcomes = await agencies.take(here.written([offer, again(offer)]))
    assert told(outcomes) == [("refused", "edge_exists")] * 2
    assert len(handler_of(agencies).types) == 1


async def test_what_the_features_refuse_leaves_no_trace_on_the_track(agencies: Site, here: World) -> None:
    handler_of(agencies).codes = {REFERRAL_OFFERED.type: "edge_exists"}
    offer = here.offered(POLICE)
    await agencies.take(here.written([offer]))
    assert await row_of(agencies, offer) is None
    assert await agencies.exceptions() == []
    handler_of(agencies).codes = {}
    assert told(await agencies.take(here.written([again(offer)]))) == [("applied", None)]


async def test_a_withdrawal_ends_its_subject_and_has_no_second_effect(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    outcomes = await agencies.take(here.written([offer, taken_back(offer)]))
    assert told(outcomes) == [("applied", None)] * 2
    assert told(await agencies.take(here.written([again(offer)]))) == [("refused", "subject_withdrawn")]
    assert told(await agencies.take(here.written([taken_back(offer)]))) == [("applied", None)]
    row = await row_of(agencies, offer)
    assert row is not None
    assert (row.is_withdrawn, row.acts) == (True, ())
    assert handler_of(agencies).types == [REFERRAL_OFFERED.type, REFERRAL_WITHDRAWN.type]


async def test_the_withdrawal_of_an_unheld_subject_is_applied_and_leaves_a_tombstone(
    agencies: Site, here: World
) -> None:
    handler_of(agencies).codes = {REFERRAL_WITHDRAWN.type: "case_unknown"}
    offer = here.offered(POLICE)
    assert told(await agencies.take(here.written([taken_back(offer)]))) == [("applied", None)]
    assert told(await agencies.take(here.written([offer]))) == [("refused", "subject_withdrawn")]
    assert REFERRAL_OFFERED.type not in handler_of(agencies).types


async def test_a_withdrawal_does_not_end_what_another_party_holds_of_the_referral(agencies: Site, here: World) -> None:
    prepared = here.prepared()
    others = [each for each in prepared.drafts if each.recipient_instance == "law_enforcement"]
    assert len(others) > 1
    first = next(each for each in others if each.recipient == POLICE)
    await agencies.take(here.written([taken_back(first), *others]))
    outcomes = dict(zip([each.message_id for each in others], told(agencies.outcomes)[-len(others) :], strict=True))
    assert outcomes.pop(first.message_id) == ("refused", "subject_withdrawn")
    assert set(outcomes.values()) == {("applied", None)}


async def test_a_withdrawal_ends_what_waits_of_its_subject(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    handler_of(agencies).cursed = {offer.message_id}
    assert told(await agencies.take(here.written([offer]))) == [("dead", "handler_defect")]
    assert len(await agencies.exceptions()) == 1
    await agencies.take(here.written([taken_back(offer)]))
    assert await agencies.exceptions() == []


@pytest.mark.timing
@pytest.mark.parametrize(("count", "hangs"), [(1, False), (1, True), (16, True)])
async def test_a_message_that_breaks_the_features_is_dead_alone(
    agencies: Site, here: World, count: int, hangs: bool
) -> None:
    """Sixteen messages that hang take longer than the transaction may without a finished step."""
    offers = [here.offered(POLICE) for _ in range(count + 4)]
    handler_of(agencies).cursed, handler_of(agencies).hangs = {each.message_id for each in offers[2:-2]}, hangs
    agencies.database.work_s_max = 4 * 0.5
    outcomes = await agencies.take(here.written(offers))
    applied = [("applied", None)] * 2
    assert told(outcomes) == [*applied, *[("dead", "handler_defect")] * count, *applied]
    assert {each.taken.named.message_id for each in await agencies.exceptions()} == handler_of(agencies).cursed
    handler_of(agencies).cursed = set()
    assert told(await agencies.try_again(OutcomeKind.DEAD)) == [("applied", None)] * count
    assert await agencies.exceptions() == []


async def test_an_answer_waits_for_the_act_before_it_and_is_applied_in_the_transaction_of_that(
    hotline: Site, here: World
) -> None:
    referral_id = uuid7()
    first, second = answer(CASE_ACCEPTED, referral_id, 1), answer(CASE_DECLINED, referral_id, 2)
    handler = InOrder()
    hotline.handler = handler
    outcomes = await hotline.take(here.written([second], "law_enforcement"))
    assert told(outcomes) == [("waiting", "act_awaited")]
    outcomes = await hotline.take(here.written([first], "law_enforcement"))
    assert [(each.named.message_id, each.kind.value) for each in outcomes] == [
        (second.message_id, "applied"),
        (first.message_id, "applied"),
    ]
    assert await hotline.exceptions() == []
    row = await row_of(hotline, first, TrackSide.ANSWERS, "law_enforcement")
    assert row is not None
    assert row.acts == tuple(UUID(str(each.clear["act"])) for each in (first, second))


async def test_the_same_act_told_again_has_no_second_effect(hotline: Site, here: World) -> None:
    accepted = answer(CASE_ACCEPTED, uuid7(), 1)
    await hotline.take(here.written([accepted], "law_enforcement"))
    repeated = replace(accepted, message_id=uuid7())
    assert told(await hotline.take(here.written([repeated, repeated], "law_enforcement"))) == [("applied", None)] * 2
    assert handler_of(hotline).types == [CASE_ACCEPTED.type]


async def test_of_a_subject_that_is_unknown_the_writer_hears_the_code_of_the_features(
    hotline: Site, here: World
) -> None:
    handler_of(hotline).codes = {CASE_ACCEPTED.type: "offer_unknown"}
    (outcome,) = await hotline.take(here.written([answer(CASE_ACCEPTED, uuid7(), 1)], "law_enforcement"))
    assert told([outcome]) == [("refused", "offer_unknown")]
    assert translate(outcome).code == RefusalCode.UNKNOWN


async def test_an_edge_of_an_unknown_document_waits_and_is_applied_once_that_has_come(
    agencies: Site, here: World
) -> None:
    agencies.shelf = DocumentStore()
    agencies.shelf.directories.place(read_directory(document_body(here.document)), SINCE)
    offer = here.offered(POLICE)
    assert told(await agencies.take(here.written([offer]))) == [("waiting", "document_unknown")]
    agencies.shelf = None
    assert told(await agencies.try_again(OutcomeKind.WAITING)) == [("applied", None)]
    assert await agencies.exceptions() == []


async def test_a_content_signature_that_does_not_hold_makes_a_dead_letter(agencies: Site, here: World) -> None:
    segments = here.segments([here.offered(POLICE)], key=SigningKey.generate())
    own = here.keys["hotline"].signing
    outcomes = await agencies.take([each for segment in segments for each in write_segment(segment, own)])
    assert told(outcomes) == [("dead", "signature_invalid")]
    assert handler_of(agencies).types == []


async def test_a_withdrawal_that_is_not_its_senders_is_refused_and_not_kept(agencies: Site, here: World) -> None:
    segments = here.segments([taken_back(here.offered(POLICE))], key=SigningKey.generate())
    own = here.keys["hotline"].signing
    outcomes = await agencies.take([each for segment in segments for each in write_segment(segment, own)])
    assert told(outcomes) == [("refused", "signature_invalid")]
    assert await agencies.exceptions() == []


async def test_an_act_waits_while_the_edge_before_it_is_an_exception(agencies: Site, here: World) -> None:
    agencies.shelf = DocumentStore()
    agencies.shelf.directories.place(read_directory(document_body(here.document)), SINCE)
    offer = here.offered(POLICE)
    checked = [hold_ended(offer) for _ in range(2)]
    handler_of(agencies).codes = {HOLD_ENDED.type: "case_unknown"}
    assert told(await agencies.take(here.written([offer, checked[0]]))) == [
        ("waiting", "document_unknown"),
        ("waiting", "act_awaited"),
    ]
    assert told(await agencies.take(here.written([checked[1]]))) == [("waiting", "act_awaited")]
    assert told(await agencies.try_again(OutcomeKind.WAITING))[1:] == [("waiting", "act_awaited")] * 2
    agencies.shelf = None
    handler_of(agencies).codes = {}
    (edge,) = [each for each in await agencies.exceptions() if each.taken.named.message_id == offer.message_id]
    async with agencies.scopes.open() as scope:
        await retry_exceptions(scope, [edge])
    assert await agencies.exceptions() == []
    row = await row_of(agencies, offer)
    assert row is not None
    assert len(row.acts) == 3


async def test_an_act_on_an_unknown_subject_is_refused_and_its_writer_lists_it(
    hotline: Site, agencies: Site, here: World
) -> None:
    handler_of(agencies).codes = {HOLD_ENDED.type: "case_unknown"}
    checked = hold_ended(here.offered(POLICE))
    await send_from(hotline, checked)
    assert told(await agencies.take(await hotline.relay("law_enforcement"))) == [("refused", "case_unknown")]
    await hotline.take(await agencies.relay("hotline"))
    served = here.documents.directory.reached_at("law_enforcement")
    assert [(each.by, each.parties) for each in handler_of(hotline).settlements] == [("law_enforcement", served)]
    async with hotline.scopes.read() as tx:
        lines = await tx.list_operator_lines()
    subject = track_of(checked.message, checked.sender, checked.recipient, subject=UUID(checked.subject))
    act = act_of(checked.message_id, checked.clear)
    assert lines == [OperatorLine(OperatorKind.ACT, "law_enforcement", subject, act)]


async def test_a_batch_takes_no_more_statements_than_a_message(
    agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "fetchval"):
        _note_statements(monkeypatch, name, statements)
    await agencies.take(here.written([here.offered(POLICE)]))
    counts = []
    for size in (1, 40):
        written = here.written([here.offered(POLICE) for _ in range(size)])
        statements.clear()
        await agencies.take(written)
        counts.append(len(statements))
    assert counts[0] == counts[1] < 20, statements


class InOrder(Applied):
    """A handler that applies the acts of a track in the order of their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        codes = {}
        for message in messages:
            number = getattr(message.clear, "number", 0)
            if number == self.last + 1:
                self.last = number
            else:
                codes[message.message_id] = "act_awaited"
        return codes


def answer(message: MessageType, referral_id: UUID, number: int) -> Draft:
    """Return an answer of the agency with this number on its track."""
    clear: dict[str, object] = {"referral_id": str(referral_id), "revision": 1, "act": str(uuid4()), "number": number}
    if message is CASE_DECLINED:
        clear["reason"] = "insufficient_information"
    return draft(
        referral_id, message=message, sender=POLICE, recipient=HOTLINE, recipient_instance="hotline", clear=clear
    )


def _note_statements(monkeypatch: pytest.MonkeyPatch, name: str, statements: list[str]) -> None:
    """Record the statements of one method of the driver's connections."""
    method = getattr(asyncpg.Connection, name)

    async def noted(self: asyncpg.Connection, text: str, *arguments: object, **options: object) -> object:
        statements.append(text)
        return await method(self, text, *arguments, **options)

    monkeypatch.setattr(GatheringConnection, name, noted)
