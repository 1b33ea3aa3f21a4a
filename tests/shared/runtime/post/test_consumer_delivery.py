"""What instances say about delivery itself is handed to the conversation, and never receipted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import create_model

from deploy.artifacts import example_values
from deploy.artifacts.example_delivery import ACCEPTED
from shared.contracts.base import Contract
from shared.contracts.facts import MessagesReceiptedClear, ReceiptEntry
from shared.contracts.registry import (
    GONE,
    MARKS,
    MESSAGES_RECEIPTED,
    READS_ANNOUNCED,
    STANDING,
    WANTED,
    MessageType,
)
from shared.exchange import accept as accepting
from shared.exchange.compose import Addressing, compose, compose_receipts
from shared.exchange.message import Record
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Cursor, Step
from shared.runtime.post.ports import Settled, Settlement, Unit
from shared.runtime.post.stamping import UNNUMBERED
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.code import Code
from tests.shared.exchange.wrong_records import PARTY_KEYS
from tests.support.builders import POLICE, verdict
from tests.support.consuming import Desk
from tests.support.exchange_world import World, world
from tests.support.memory_stores import MemoryUnit

LATER_MARKS = MARKS.schema.replace(".v1.", ".v2.")


@pytest.fixture(scope="module")
def here() -> World:
    return world(party_keys=PARTY_KEYS)


def stated(here: World, message: MessageType) -> Record:
    """The first accepted example, from the hotlines' instance to the agencies'."""
    (value, *_) = (example_values.ACCEPTED | ACCEPTED)[f"{message.name}.v{message.version}"].values()
    addressing = Addressing(
        subject=uuid7(),
        sender="hotline",
        recipient="law_enforcement",
        directory=here.documents.directory,
        exercise=False,
        at=here.at,
    )
    return here.records([compose(message, json.loads(json.dumps(value))["clear"], addressing)])[0]


@pytest.mark.parametrize("message", [READS_ANNOUNCED, MARKS, WANTED, GONE, STANDING], ids=lambda each: each.name)
async def test_what_is_said_about_delivery_is_heard_without_a_receipt(here: World, message: MessageType) -> None:
    desk = Desk(here)
    await desk.consumer.consume([stated(here, message)])
    assert (desk.parked(), desk.handler.types, desk.told) == ([], [], [])
    assert desk.conversation.types == [message.type]


async def test_a_standing_is_held_against_what_came_before_it_and_nothing_else(here: World) -> None:
    desk, (first, second) = Desk(here), here.records([here.offered(POLICE) for _ in range(2)])
    steps = [Step(0, Cursor(first.topic, 0, uuid7(), 3))]
    desk.database.state.cursors[first.topic, 0] = replace(steps[0].after, following=0)
    await desk.consumer.consume([first, stated(here, STANDING), second, stated(here, MARKS)], steps)
    assert (desk.conversation.types, desk.conversation.behind) == ([STANDING.type, MARKS.type], [1, 2])
    assert desk.database.state.cursors[first.topic, 0] == steps[0].after


async def test_one_that_is_not_what_its_schema_says_is_parked_without_a_receipt(here: World) -> None:
    desk = Desk(here)
    await desk.consumer.consume([here.resigned(stated(here, MARKS), clear={"asking": "yes"})])
    assert [(each.reason, desk.told) for each in desk.parked()] == [("body_invalid", [])]


async def test_marks_of_a_later_version_are_counted_and_nobody_is_told(here: World) -> None:
    """They have no number in any version: taken for numbered they would be a message whose number is used again."""
    desk, later = Desk(here), MARKS.type.removesuffix("1") + "2"
    for _ in range(3):
        marks = here.resigned(stated(here, MARKS), type=later, dataschema=LATER_MARKS, sequence=UNNUMBERED)
        await desk.consumer.consume([marks])
    assert (desk.told, desk.conversation.types, desk.database.state.inbox) == ([], [], {})
    assert [(first.reason, count) for first, count in desk.database.state.quarantine.values()] == [
        ("version_unknown", 3)
    ]
    async with desk.inbox.unit() as unit:
        assert await unit.taken.taken_marks("hotline") == []


@pytest.mark.parametrize("later", ["causeway.{}.v2", "causeway.{}_told.v1"], ids=["version", "name"])
@pytest.mark.parametrize(
    "message", [READS_ANNOUNCED, WANTED, GONE, STANDING, MESSAGES_RECEIPTED], ids=lambda each: each.name
)
async def test_what_a_later_release_states_is_counted_and_noted_and_nobody_is_told(
    here: World, message: MessageType, later: str
) -> None:
    """Receipted, each would come again with each answer; taken in, it would stay without a last word for good."""
    desk, type_ = Desk(here), later.format(message.name)
    for _ in range(3):
        one = here.resigned(stated(here, message), type=type_, dataschema=LATER_MARKS)
        await desk.consumer.consume([one])
    assert (desk.told, desk.conversation.types, desk.database.state.inbox) == ([], [], {})
    assert desk.conversation.unread_of.keys() == {"hotline"}
    assert [count for _, count in desk.database.state.quarantine.values()] == [3]


async def test_it_is_noted_too_where_a_message_beside_it_breaks_its_handler(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(here)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.handler, "apply", broken)
    [offer] = here.records([here.offered(POLICE)])
    later = MESSAGES_RECEIPTED.type.removesuffix("1") + "2"
    await desk.consumer.consume(
        [offer, here.resigned(stated(here, MESSAGES_RECEIPTED), type=later, dataschema=LATER_MARKS)]
    )
    assert desk.conversation.unread_of.keys() == {"hotline"}


@pytest.mark.parametrize("outcome", ReceiptOutcome)
async def test_every_word_is_looked_for_among_what_was_sent(here: World, outcome: ReceiptOutcome) -> None:
    """Nothing was sent here: no word fits anything."""
    desk = Desk(here)
    directory = here.documents.directory
    drafts = compose_receipts("hotline", "law_enforcement", [verdict(outcome)], directory=directory, at=here.at)
    await desk.consumer.consume(here.records(drafts))
    reasons = [each.reason for each in desk.parked()]
    assert reasons == ["receipt_unmatched"]
    applied = [outcome] if outcome is ReceiptOutcome.APPLIED else []
    assert len(desk.conversation.unknown_ids) == len(applied), "what is held there without our knowing is told again"


async def test_what_is_applied_after_all_is_handed_on(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been taken back meanwhile: who sent it looks."""
    desk, handed = Desk(here), list[Settlement]()

    async def late(_: MemoryUnit, settlements: Sequence[Settlement]) -> Settled:
        return Settled([], [], list(settlements))

    async def settled(_: Unit, settlements: Sequence[Settlement]) -> None:
        handed.extend(settlements)

    monkeypatch.setattr(MemoryUnit, "settle", late)
    monkeypatch.setattr(desk.handler, "settled", settled)
    one = verdict(ReceiptOutcome.APPLIED)
    drafts = compose_receipts("hotline", "law_enforcement", [one], directory=here.documents.directory, at=here.at)
    await desk.consumer.consume(here.records(drafts))
    assert [(each.message_id, each.outcome) for each in handed] == [(one.message_id, ReceiptOutcome.APPLIED)]


class OlderOutcome(Code):
    """The words of a receipt, as a release says them that never heard of messages that go elsewhere."""

    APPLIED = "applied"


class OlderEntry(ReceiptEntry):
    outcome: OlderOutcome  # type: ignore[assignment]


class OlderReceipts(MessagesReceiptedClear):
    entries: tuple[OlderEntry, ...]


async def test_a_receipt_with_a_word_of_a_later_release_is_counted_and_noted(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it comes: what it answers for is sent again, and answered again, until it is understood."""
    desk, directory = Desk(here), here.documents.directory
    word = verdict(ReceiptOutcome.MOVED)
    receipts = [
        here.records(compose_receipts("hotline", "law_enforcement", [word], directory=directory, at=here.at))[0]
        for _ in range(3)
    ]
    read = create_model("Older", __base__=Contract, clear=(OlderReceipts, ...))
    monkeypatch.setattr(accepting, "value_model", lambda message: read)
    assert await desk.consume(receipts) == []
    assert (desk.database.state.inbox, [each.reason for each in desk.parked()]) == ({}, ["code_unknown"])
    assert desk.conversation.unread_of.keys() == {"hotline"}
    assert await desk.wanted() == []


async def test_receipts_that_fit_nothing_are_one_row_and_one_fact_an_hour(here: World) -> None:
    """Else whoever may write one could fill the quarantine, the outbox and audit with them."""
    desk = Desk(here)
    directory = here.documents.directory
    for _ in range(3):
        drafts = compose_receipts(
            "hotline", "law_enforcement", [verdict(ReceiptOutcome.REFUSED)], directory=directory, at=here.at
        )
        await desk.consumer.consume(here.records(drafts))
    assert [each.reason for each in desk.parked()] == ["receipt_unmatched"]
