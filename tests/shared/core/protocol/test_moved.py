"""A party that moves to another instance: its numbers begin again, and none of its messages is refused.

The old instance still answers messages that it received before, and it receives withdrawals. It answers `moved` to all
others.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.contracts.directory import Instance
from shared.core.contracts.items import TRACK_NUMBER_MAX, AnswerTrack
from shared.core.contracts.registry import NOTICE_ACKNOWLEDGED, NOTICE_WITHDRAWN, MessageType
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol import outgoing_messages
from shared.core.protocol.accept import RejectedRecord, accept
from shared.core.protocol.message import Draft, Received, Record, compose
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.prepare import Prepared
from shared.core.protocol.record_table import Fate, row_for
from shared.core.vocabulary.answers import AnswerState
from shared.messaging.placement import parse_place
from shared.messaging.streams import Lane, StreamPlace
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import SINCE, World, later, move, world
from tests.support.manual_clock import ManualClock

NEW, NEW_INDUSTRY = "hotline_two", "industry_two"
LATER = AT + timedelta(minutes=1)


def received(here: World, instance: str) -> list[Received]:
    """Return three referrals that the party files at `instance`, as the agency reads them."""
    drafts = [here.offered(POLICE, external_ref=f"{instance}-{number}") for number in range(3)]
    return [accept(record, here.reader("law_enforcement")) for record in here.records(drafts, instance)]


def test_the_first_three_after_a_move_are_accepted_under_numbers_of_their_own() -> None:
    here = world()
    before = received(here, "hotline")
    move(here)
    after = received(here, NEW)
    assert [message.sender_instance for message in after] == [NEW] * 3
    places = [place_of(message.record) for message in before + after]
    assert [place.number for place in places] == [1, 2, 3] * 2
    assert len({place.incarnation for place in places}) == 2


def place_of(record: Record) -> StreamPlace:
    place = parse_place(dict(record.headers)["place"], Lane(record.partition))
    assert place is not None
    return place


def notice(here: World) -> Record:
    """Return a notice to the provider, as its origin sends it under its directory."""
    return here.records([here.offered(PROVIDER)])[0]


def said(here: World, message: MessageType, *, sender: str, recipient: str, place: str | None = None) -> Draft:
    """Return a message about a notice."""
    notice_id = uuid7()
    clear: dict[str, Any] = {"notice_id": str(notice_id), "act": str(uuid4())}
    clear |= {"number": 1} if message is NOTICE_ACKNOWLEDGED else {"reason": "filed_in_error"}
    return compose(message, clear, here.address(notice_id, sender, recipient, place=place))


def read_at(here: World, record: Record, instance: str, now: datetime) -> Received:
    return accept(record, here.reader(instance, clock=ManualClock(now)))


@pytest.mark.parametrize("taken_after_s", [0, 61])
def test_the_old_instance_answers_moved_whenever_the_record_came(taken_after_s: int) -> None:
    """This includes records that arrived before the move and are read after it.

    Before the move they are accepted as usual.
    """
    here = world()
    record = later(notice(here), timedelta(seconds=taken_after_s))
    move(here, PROVIDER, at=LATER)
    with pytest.raises(RejectedRecord, match="recipient_moved"):
        read_at(here, record, "industry", LATER)
    assert row_for("recipient_moved").fate is Fate.MOVE
    if not taken_after_s:
        assert read_at(here, record, "industry", AT).edge is not None


def test_the_old_instance_takes_a_withdrawal() -> None:
    here = world()
    move(here, PROVIDER)
    withdrawn = said(here, NOTICE_WITHDRAWN, sender=HOTLINE, recipient=PROVIDER, place="industry")
    assert withdrawn.recipient_instance == "industry"
    taken = read_at(here, here.records([withdrawn])[0], "industry", LATER)
    assert (taken.message, taken.moved) == (NOTICE_WITHDRAWN, True)


def test_the_new_instance_waits_for_the_directory_that_moves_the_party_to_it() -> None:
    """The sender had that directory earlier. The record is neither a dead letter nor refused in the meantime."""
    here, behind = world(), world()
    behind.document, behind.keys = here.document, here.keys
    behind.shelf = type(here.shelf)()
    move(here, PROVIDER)
    behind.place(behind.document, SINCE)
    instances = {"version": 2, "instances": (*here.document.instances, _second(here))}
    behind.place(here.document.model_copy(update=instances), SINCE + timedelta(days=1))
    record = notice(here)
    behind.keys = here.keys
    with pytest.raises(RejectedRecord, match="recipient_awaited"):
        read_at(behind, record, NEW_INDUSTRY, AT)
    assert read_at(here, record, NEW_INDUSTRY, AT).recipient == PROVIDER


def _second(here: World) -> Instance:
    return Instance(id=NEW_INDUSTRY, kind="industry", keys=here.keys[NEW_INDUSTRY].public())


def test_a_late_answer_of_the_old_instance_is_accepted_and_nothing_else_is() -> None:
    here = world()
    answer = said(here, NOTICE_ACKNOWLEDGED, sender=PROVIDER, recipient=HOTLINE)
    filed = here.prepared(PROVIDER).drafts[0]
    move(here, PROVIDER)
    late, spoken = here.records([answer], "industry")[0], here.records([filed], "industry")[0]
    assert read_at(here, late, "hotline", LATER).sender_instance == "industry"
    with pytest.raises(Refused, match="sender_unknown"):
        read_at(here, spoken, filed.recipient_instance, LATER)


def test_an_instance_that_never_served_the_party_answers_nothing_for_it() -> None:
    """The control: the old instance may answer because the directory says that it served the party."""
    here = world()
    answer = said(here, NOTICE_ACKNOWLEDGED, sender=PROVIDER, recipient=HOTLINE)
    move(here, PROVIDER)
    forgotten = tuple(
        each.model_copy(update={"instance": NEW_INDUSTRY}) if each.id == PROVIDER else each
        for each in here.document.parties
    )
    changes = {"version": 3, "instances": (*here.document.instances, _second(here)), "parties": forgotten}
    here.place(here.document.model_copy(update=changes), AT - timedelta(seconds=30))
    with pytest.raises(Refused, match="sender_unknown"):
        read_at(here, here.records([answer], "industry")[0], "hotline", LATER)


ANSWERED = EdgeAnswer(AnswerState.ACKNOWLEDGED, acts=1)
TOLD = AnswerTrack(moved=True, answer=AnswerState.ACKNOWLEDGED, number=1)


@pytest.mark.parametrize("recipient", [PROVIDER, POLICE])
def test_nobody_is_told_what_it_has_answered_unless_it_was_elsewhere_before(recipient: str) -> None:
    """Otherwise an origin could answer for its recipients, e.g. send a notice as already actioned."""
    here = world()
    first = here.prepared()
    forged = here.records([here.issued_anew(first, recipient, ANSWERED)])[0]
    instance = here.documents.directory.instance_of(recipient)
    assert instance is not None
    with pytest.raises(RejectedRecord) as turned:
        read_at(here, forged, instance.id, LATER)
    assert (turned.value.code, turned.value.field) == ("statement_not_yours", "/sealed/again")
    move(here, recipient)
    issued = here.records([here.issued_anew(first, recipient, ANSWERED)])[0]
    assert read_at(here, issued, f"{instance.id}_two", LATER).again == TOLD


def test_what_was_forgotten_before_a_move_is_told_at_the_new_place_as_what_has_moved() -> None:
    """A place that was never restored refuses a message that says it was."""
    here = world()
    first = here.prepared()
    again = here.records([here.issued_anew(first, PROVIDER, ANSWERED, restored=True)])[0]
    assert read_at(here, again, "industry", LATER).again == TOLD.model_copy(update={"moved": False, "restored": True})
    move(here, PROVIDER)
    again = here.records([here.issued_anew(first, PROVIDER, ANSWERED, restored=True)])[0]
    assert read_at(here, again, NEW_INDUSTRY, LATER).again == TOLD


@pytest.mark.parametrize(
    "said",
    [
        {"items": [{"n": 20, "round": 1, "action": "removed"}]},
        {"disowned": [{"n": 20}]},
        {"disowned": [{"n": 1, "suggested": "free-text.and-more-of-it"}]},
    ],
)
def test_what_was_answered_is_told_again_of_items_and_hosts_that_there_are(
    said: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an origin could bypass its recipient's guard, and the recipient's people would see the content."""
    here = world()
    first = here.prepared()
    move(here, PROVIDER)
    answered = replace(ANSWERED, detail=said)
    issued = here.records([here.issued_anew(first, PROVIDER, answered)])[0]
    told = read_at(here, issued, NEW_INDUSTRY, LATER).again
    assert told is not None
    assert "20" not in str(told.items + told.disowned)
    assert "free-text" not in str(told)
    forge(said, monkeypatch)
    assert_turned_away(here, first, answered)


CHECKED: dict[str, object] = {"n": 1, "found": "reappeared", "by": "person", "at": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "said",
    [
        {"number": TRACK_NUMBER_MAX},
        {"items": [{"n": 1, "round": 10, "action": "removed"}]},
        {"checked": [CHECKED | {"round": 99}]},
        {"checked": [CHECKED | {"round": 9}]},
        {"reinstated": [{"n": 1, "round": 9, "reason": "acted_in_error"}]},
    ],
)
def test_nobody_is_told_of_so_much_that_it_cannot_answer(
    said: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an origin could make a notice that its provider can never answer: no number or round would be left."""
    here = world()
    first = here.prepared()
    move(here, PROVIDER)
    forge(said, monkeypatch)
    assert_turned_away(here, first, ANSWERED)


def forge(said: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an origin repeat answers that no party gave."""
    forging = AnswerTrack.model_validate(TOLD.model_dump(mode="json") | said)
    monkeypatch.setattr(outgoing_messages, "told_again", lambda *_: forging)


def assert_turned_away(here: World, first: Prepared, answered: EdgeAnswer) -> None:
    """Check that the new instance refuses the edge that repeats the answers."""
    forged = here.records([here.issued_anew(first, PROVIDER, answered)])[0]
    with pytest.raises(RejectedRecord) as turned:
        read_at(here, forged, NEW_INDUSTRY, LATER)
    assert (turned.value.code, turned.value.field) == ("edge_not_reproducible", "/sealed/again")


def test_nothing_is_said_without_an_answer() -> None:
    """A restored place gets its earlier answers with the number of the newest one. Without a number it gave none."""
    for said in (
        {"answer": "closed"},
        {"items": [{"n": 1, "round": 1, "action": "removed"}]},
        {"disowned": [{"n": 1}]},
    ):
        with pytest.raises(ValueError, match="answer_needs_number"):
            AnswerTrack.model_validate({"restored": True, "number": 0, "answer": "none"} | said)
