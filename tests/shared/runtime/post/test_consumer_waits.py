"""A record that lacks something holds up nothing: it waits here, within bounds, or with its sender."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic_core import to_json

from shared.contracts.registry import CASE_ACCEPTED, REFERRAL_OFFERED, REFERRAL_WITHDRAWN
from shared.exchange.compose import Addressing, compose
from shared.exchange.message import Received, Record
from shared.exchange.needs import Need
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid4, uuid7
from shared.routing.shelf import DocumentShelf
from shared.runtime.post.arrivals import Cursor, Step
from shared.runtime.post.awaiting import Room
from shared.runtime.post.ports import Unit
from shared.vocabulary.answers import ReceiptOutcome
from tests.shared.exchange.wrong_records import PARTY_KEYS, Change, resealed, signed, stating
from tests.support.builders import AT, HOTLINE, POLICE, TOPIC, draft, withdrawal
from tests.support.consuming import Desk
from tests.support.exchange_world import World, move, world

APPLIED, REFUSED, WAITING, DEFERRED, PARKED, MOVED = (
    ReceiptOutcome(word) for word in ("applied", "refused", "waiting", "deferred", "parked", "moved")
)


@pytest.fixture(scope="module")
def here() -> World:
    return world(party_keys=PARTY_KEYS)


@pytest.fixture(scope="module")
def newer(here: World) -> World:
    """The same instances under a policy that has not come to everybody."""
    policy = here.policy.model_copy(update={"version": here.policy.version + 1})
    return replace(here, policy=policy, shelf=DocumentShelf())


def offers(here: World, count: int = 1) -> list[Record]:
    return here.records([here.offered(POLICE) for _ in range(count)])


def withdrawn(here: World, of: Record) -> Record:
    subject = UUID((of.key or b"").decode())
    return here.records([draft(subject, message=REFERRAL_WITHDRAWN, body=withdrawal(subject))])[0]


def comes(desk: Desk, newer: World) -> None:
    """The newer policy comes at last: in force since the broker took the first record that names it."""
    replace(newer, shelf=desk.shelf).place(newer.policy, AT)


async def test_what_names_a_document_that_has_not_come_holds_up_nothing(here: World, newer: World) -> None:
    desk = Desk(here)
    (waiting,), good = offers(newer), offers(here, 50)
    batch = [*good[:25], waiting, *good[25:]]
    cursor = Cursor(TOPIC, 0, uuid7(), batch[0].offset)
    desk.database.state.cursors[TOPIC, 0] = cursor
    after = replace(cursor, following=999)
    await desk.consumer.consume(batch, [Step(cursor.following, after)])
    told = [(each.outcome, each.code) for each in desk.told]
    assert (len(desk.handler.types), told.count((WAITING, "document_unknown"))) == (50, 1)
    assert told.count((APPLIED, None)) == 50
    assert desk.database.state.cursors[TOPIC, 0] == after
    assert desk.parked() == []


async def test_it_is_taken_up_when_its_document_comes_and_its_sender_is_told(here: World, newer: World) -> None:
    desk = Desk(here)
    (waiting,) = offers(newer)
    await desk.consume([waiting])
    assert await desk.take_up() == []
    comes(desk, newer)
    (verdict,) = await desk.take_up()
    assert (verdict.outcome, verdict.judged.offset) == (APPLIED, waiting.offset)
    assert desk.handler.types == [REFERRAL_OFFERED.type]
    assert await desk.take_up() == []


async def test_what_waited_is_judged_as_of_the_life_of_its_topic(here: World, newer: World) -> None:
    desk, life = Desk(here), uuid7()
    (waiting,) = offers(newer)
    desk.database.state.cursors[TOPIC, 0] = Cursor(TOPIC, 0, life, waiting.offset)
    await desk.consumer.consume([waiting], [Step(waiting.offset, Cursor(TOPIC, 0, life, waiting.offset + 1))])
    comes(desk, newer)
    assert [each.judged.topic_id for each in [*desk.told, *await desk.take_up()]] == [life, life]


async def test_a_flood_of_them_waits_with_its_sender_and_is_asked_for(here: World, newer: World) -> None:
    """Twenty a second for a minute."""
    room = Room(rows_max=100)
    desk, flood = Desk(here, room=room), offers(newer, 1_200)
    outcomes = []
    for start in range(0, len(flood), 20):
        good = offers(here, 1)
        outcomes += [each.outcome for each in await desk.consume([*flood[start : start + 20], *good])]
    assert len(desk.database.state.awaiting) == room.rows_max
    assert [outcomes.count(each) for each in (APPLIED, WAITING, DEFERRED)] == [60, 100, 1_100]
    comes(desk, newer)
    assert len(await desk.take_up()) == room.rows_max
    assert len(await desk.wanted()) == 300  # as many as one message names
    again = await desk.consume(flood[room.rows_max :])
    assert {each.outcome for each in again} == {APPLIED}
    desk.clock.advance(3600)
    assert await desk.wanted() == []


async def test_without_a_bound_all_of_the_flood_would_wait_here(here: World, newer: World) -> None:
    # Negative control of the flood: with room for everything everything is kept.
    desk, flood = Desk(here), offers(newer, 120)
    await desk.consume(flood)
    assert len(desk.database.state.awaiting) == len(flood)


async def test_a_withdrawal_waits_for_nothing_and_ends_what_waits_behind_it(here: World, newer: World) -> None:
    desk = Desk(here)
    (waiting,) = offers(newer)
    await desk.consume([waiting])
    desk.handler.codes[REFERRAL_WITHDRAWN.type] = "case_unknown"
    told = await desk.consume([withdrawn(here, waiting)])
    assert [(each.outcome, each.code) for each in told] == [(APPLIED, None), (REFUSED, "subject_withdrawn")]
    assert told[1].judged.offset == waiting.offset
    comes(desk, newer)
    assert await desk.take_up() == []
    assert [each.code for each in await desk.consume([waiting])] == ["subject_withdrawn"]
    assert desk.handler.types == [REFERRAL_WITHDRAWN.type]


@pytest.mark.parametrize("together", [True, False])
async def test_what_comes_after_its_withdrawal_is_refused(here: World, together: bool) -> None:
    desk = Desk(here)
    desk.handler.codes[REFERRAL_WITHDRAWN.type] = "case_unknown"
    (offer,) = offers(here)
    batches = [[withdrawn(here, offer), offer]] if together else [[withdrawn(here, offer)], [offer]]
    told = [each for batch in batches for each in await desk.consume(batch)]
    assert [(each.outcome, each.code) for each in told] == [(APPLIED, None), (REFUSED, "subject_withdrawn")]
    assert desk.handler.types == [REFERRAL_WITHDRAWN.type]


async def test_an_offer_and_its_withdrawal_in_one_batch_take_effect_one_after_the_other(here: World) -> None:
    desk = Desk(here)
    (offer,) = offers(here)
    told = await desk.consume([offer, withdrawn(here, offer)])
    assert [each.outcome for each in told] == [APPLIED, APPLIED]
    assert desk.handler.types == [REFERRAL_OFFERED.type, REFERRAL_WITHDRAWN.type]


async def test_a_second_withdrawal_has_no_second_effect(here: World) -> None:
    desk = Desk(here)
    (offer,) = offers(here)
    await desk.consume([offer, withdrawn(here, offer)])
    assert [each.outcome for each in await desk.consume([withdrawn(here, offer)])] == [APPLIED]
    assert desk.handler.types == [REFERRAL_OFFERED.type, REFERRAL_WITHDRAWN.type]


def with_unknown_code(plaintext: bytes) -> bytes:
    return plaintext.replace(b'"csam"', b'"not_invented_yet"')


UNREAD: list[tuple[str, Change, str]] = [
    ("type_unknown", signed(type="causeway.referral_admired.v1"), "message causeway.referral_admired.v1"),
    ("version_unknown", signed(type="causeway.referral_offered.v2"), "message causeway.referral_offered.v2"),
    ("engine_unknown", stating(decision={"engine": 99}), "engine 99"),
    ("guard_unknown", signed(guard=f"{'5' * 32} normal"), f"guard {'5' * 32}"),
    ("code_unknown", resealed(with_unknown_code), ""),
]


@pytest.mark.parametrize(("code", "change", "need"), UNREAD, ids=[code for code, *_ in UNREAD])
async def test_what_a_newer_release_sends_stays_with_its_sender(
    here: World, code: str, change: Change, need: str
) -> None:
    desk = Desk(here)
    (offer,) = offers(here)
    (verdict,) = await desk.consume([change(here, offer)])
    assert (verdict.outcome, verdict.code) == (DEFERRED, code)
    (row,) = desk.database.state.inbox.values()
    assert row.need
    assert row.need.startswith(need)
    # No body of it is anywhere.
    assert (desk.parked(), desk.database.state.awaiting, desk.handler.types) == ([], {}, [])
    assert await desk.wanted() == []


@pytest.mark.parametrize(("code", "change", "need"), UNREAD, ids=[code for code, *_ in UNREAD])
async def test_a_release_that_reads_it_asks_for_it_and_takes_it(
    here: World, code: str, change: Change, need: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(here)
    (offer,) = offers(here)
    await desk.consume([change(here, offer)])
    monkeypatch.setattr(Need, "met", lambda self, shelf: True)
    (wanted,) = await desk.wanted()
    (row,) = desk.database.state.inbox.values()
    assert wanted == row.arrival.message_id


async def test_what_was_deferred_is_judged_again_when_it_comes_again(here: World, newer: World) -> None:
    desk = Desk(here, room=Room(rows_max=0))
    (offer,) = offers(newer)
    assert [each.outcome for each in await desk.consume([offer])] == [DEFERRED]
    comes(desk, newer)
    again = replace(offer, offset=offer.offset + 100, broker_time=offer.broker_time + timedelta(seconds=30))
    (verdict,) = await desk.consume([again])
    assert (verdict.outcome, verdict.judged.offset) == (APPLIED, again.offset)
    # From then on its last word is said again, about the copy that was judged.
    (repeated,) = await desk.consume([replace(offer, offset=offer.offset + 200)])
    assert (repeated.outcome, repeated.judged) == (verdict.outcome, verdict.judged)
    assert desk.handler.types == [REFERRAL_OFFERED.type]


def told_anew(here: World, offer: Record, *, items: int = 1, answers: int = 0) -> Record:
    """The same edge under another message id and another number; with fewer or as many items.

    With `answers`, so many of its recipient are told with it, which that may have forgotten.
    """
    message_id = uuid7()

    def said(plaintext: bytes) -> bytes:
        told = json.loads(plaintext)
        told["record"]["items"][0]["locator"]["value"] += "" if items == 1 else "/other"
        again = {"again": {"answer": "accepted", "number": answers, "restored": True}} if answers else {}
        return to_json({"decision": told.pop("decision"), **again, **told})

    sealed = resealed(said, context={"message_id": message_id})(here, offer)
    return signed(id=message_id, sequence=10**6 + here.at.microsecond + len(message_id.hex))(here, sealed)


@pytest.mark.parametrize(("anew", "rows"), [(told_anew, 2), (signed(sequence=10**6), 1)], ids=["id", "number"])
async def test_the_same_edge_under_another_has_no_second_effect(here: World, anew: Change, rows: int) -> None:
    """Under another number: its sender had signed it again, and was restored since to before that."""
    desk = Desk(here)
    (offer,) = offers(here)
    told = await desk.consume([offer]) + await desk.consume([anew(here, offer)])
    assert [(each.outcome, each.code) for each in told] == [(APPLIED, None), (APPLIED, None)]
    assert (len(desk.handler.types), len(desk.database.state.inbox), desk.parked()) == (1, rows, [])


async def test_what_was_signed_again_and_is_refused_by_now_is_refused_and_not_parked(here: World) -> None:
    """Its sender was restored, and the law has changed: parked it would be for ever, refused it is decided again."""
    desk = Desk(here)
    (offer,) = offers(here)
    late = replace(signed(sequence=10**6)(here, offer), broker_time=offer.broker_time - timedelta(days=1))
    told = await desk.consume([offer]) + await desk.consume([late])
    assert [(each.outcome, each.code) for each in told] == [(APPLIED, None), (REFUSED, "decision_time_off")]
    assert desk.parked() == []


async def test_what_was_signed_again_and_has_a_recipient_that_moved_is_told_so_and_not_parked() -> None:
    """Its sender was restored to before it signed it again: parked it would be for ever, moved it goes on."""
    here = world(party_keys=PARTY_KEYS)
    (offer,) = offers(here)
    again = signed(sequence=10**6)(here, offer)
    move(here, POLICE)
    desk = Desk(here, shelf=here.shelf)
    told = await desk.consume([offer]) + await desk.consume([again])
    assert [(each.outcome, each.code) for each in told] == [(MOVED, "recipient_moved")] * 2
    assert desk.parked() == []


@pytest.mark.parametrize("together", [True, False])
async def test_what_was_answered_elsewhere_is_told_with_the_same_edge_and_taken_up(here: World, together: bool) -> None:
    """It has no other content, and its recipient's new place must hear of it: the service knows what it has of it."""
    desk = Desk(here)
    (offer,) = offers(here)
    told = told_anew(here, offer, answers=2)
    verdicts = (
        [*await desk.consume([offer, told])]
        if together
        else [*await desk.consume([offer]), *await desk.consume([told])]
    )
    assert [each.outcome for each in verdicts] == [APPLIED, APPLIED]
    assert [each.again and each.again.number for each in desk.handler.messages] == [None, 2]


@pytest.mark.parametrize("code", [None, "case_exists"])
async def test_of_two_in_one_batch_the_second_has_the_outcome_of_the_first(here: World, code: str | None) -> None:
    desk = Desk(here)
    if code:
        desk.handler.codes[REFERRAL_OFFERED.type] = code
    (offer,) = offers(here)
    told = await desk.consume([offer, told_anew(here, offer)])
    assert {(each.outcome, each.code) for each in told} == {(REFUSED if code else APPLIED, code)}
    assert len(desk.handler.types) == 1


async def test_what_lies_behind_a_refused_revision_is_for_the_service_to_say(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(here)
    (offer,) = offers(here)
    apply = desk.handler.apply

    async def refuses_the_first(unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        first = not desk.handler.messages
        await apply(unit, messages)
        return {messages[0].message_id: "case_exists"} if first else {}

    monkeypatch.setattr(desk.handler, "apply", refuses_the_first)
    told = await desk.consume([offer, told_anew(here, offer, items=2)])
    assert [(each.outcome, each.code) for each in told] == [(REFUSED, "case_exists"), (APPLIED, None)]
    assert [each.message_id for each in desk.handler.messages] == [each.message_id for each in told]


@pytest.mark.parametrize("together", [True, False])
async def test_other_content_of_an_edge_is_refused_with_the_revision_that_is_held(here: World, together: bool) -> None:
    """Also where both lie side by side in a topic that was refilled: a batch is no place to overtake in."""
    desk = Desk(here)
    (offer,) = offers(here)
    other = told_anew(here, offer, items=2)
    told = (
        await desk.consume([offer, other]) if together else [*await desk.consume([offer]), *await desk.consume([other])]
    )
    assert [(each.outcome, each.code, each.revision) for each in told] == [
        (APPLIED, None, 1),
        (REFUSED, "revision_not_above", 1),
    ]


def accepted(here: World, subject: UUID, number: int) -> Record:
    """An agency's answer to a referral, the `number`-th of its track."""
    clear = {"referral_id": str(subject), "revision": 1, "act": str(uuid4()), "number": number}
    addressing = Addressing(
        subject=subject,
        sender=POLICE,
        recipient=HOTLINE,
        directory=here.documents.directory,
        exercise=True,
        at=here.at,
    )
    return here.records([compose(CASE_ACCEPTED, clear, addressing)], "law_enforcement")[0]


@pytest.mark.parametrize("room", [1_000, 0], ids=["here", "with its sender"])
async def test_an_act_that_comes_before_the_one_before_it_waits_for_that(
    here: World, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    desk = Desk(here, instance="hotline", room=Room(rows_max=room))
    taken: list[int] = []

    async def in_order(_: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        refused = {}
        for message in messages:
            number = getattr(message.clear, "number", 0)
            if number > len(taken) + 1:
                refused[message.message_id] = "act_awaited"
            else:
                taken.append(number)
        return refused

    monkeypatch.setattr(desk.handler, "apply", in_order)
    subject = uuid7()
    first, second, third = (accepted(here, subject, number) for number in (1, 2, 3))
    told = await desk.consume([third, second])
    assert {each.outcome for each in told} == {WAITING if room else DEFERRED}
    assert await desk.take_up() == []
    assert [each.outcome for each in await desk.consume([first])] == [APPLIED]
    while await desk.take_up():
        pass
    if not room:
        async with desk.inbox.unit() as unit:
            assert len((await unit.taken.wanted(desk.clock.now()))["law_enforcement"]) == 2
        await desk.consume([second, third])
    assert taken == [1, 2, 3]


async def test_an_instance_without_any_directory_takes_nothing(here: World) -> None:
    """The lack is its own: it can tell nobody's signature."""
    desk = Desk(here, shelf=DocumentShelf())
    with pytest.raises(Unavailable, match="document_unknown"):
        await desk.consume(offers(here))
    assert (desk.parked(), desk.database.state.inbox) == ([], {})


async def test_a_record_older_than_every_directory_holds_up_nobody(here: World) -> None:
    desk = Desk(here)
    ancient = replace(offers(here)[0], broker_time=AT - timedelta(days=4_000))
    told = await desk.consume([ancient, *offers(here)])
    assert [each.outcome for each in told] == [APPLIED]
    assert [each.reason for each in desk.parked()] == ["sender_unknown"]
