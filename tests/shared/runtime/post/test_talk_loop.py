"""What is said of delivery: to whom, when, and what of it is said again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.delivery import (
    SentMark,
    StandingClear,
    TakenMark,
)
from shared.contracts.registry import GONE, MARKS, READS_ANNOUNCED, STANDING, WANTED
from shared.exchange.message import Draft
from shared.exchange.topics import AUDIT
from shared.kernel.errors import CausewayError, Refused, Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post import talk_loop
from shared.runtime.post.talk_loop import peers_of
from shared.runtime.post.turns import TalkSettings
from tests.support.exchange_world import World, world
from tests.support.talking import PAIR, Desk, marks


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture
def desk(here: World) -> Desk:
    return Desk(here)


async def test_at_a_start_every_peer_and_audit_is_told_what_is_read_and_asked_once(desk: Desk) -> None:
    peers = peers_of("hotline", desk.here.documents.directory)
    assert peers == ["audit", "hotline", "industry", "law_enforcement"]
    for _ in range(3):
        await desk.speaker.turn()
    announced = [draft for draft in desk.books.outgoing if draft.message is READS_ANNOUNCED]
    assert sorted(draft.recipient for draft in announced) == peers
    assert sorted(draft.recipient for draft in desk.said) == peers
    assert all(json.loads(draft.body)["clear"]["asking"] for draft in desk.said)
    assert not [draft for draft in desk.books.outgoing if draft.message is MARKS], "marks are numbered by nobody"
    restarted = desk.started()
    await restarted.turn()
    assert len([draft for draft in desk.books.outgoing if draft.message is READS_ANNOUNCED]) == 2 * len(peers)


async def test_what_asks_is_answered_by_its_nonce_and_once(desk: Desk) -> None:
    await desk.speaker.turn()
    (first,) = desk.told()
    asking = marks(asking=True, answers=UUID(first["nonce"]))
    await desk.hear(MARKS, asking)
    desk.clock.advance(11)
    await desk.speaker.turn()
    (answer,) = desk.told()
    assert (answer["answers"], answer["asking"]) == (str(asking.nonce), False)
    for _ in range(20):
        desk.clock.advance(11)
        await desk.speaker.turn()
    assert desk.told() == []


async def test_another_database_asks_everybody_anew(desk: Desk) -> None:
    await desk.speaker.turn()
    (first,) = desk.told()
    await desk.hear(MARKS, marks(answers=UUID(first["nonce"])))
    desk.clock.advance(100)
    await desk.speaker.turn()
    assert desk.told() == []
    desk.books.another = True
    desk.clock.advance(100)
    await desk.speaker.turn()
    (again,) = desk.told()
    assert again["asking"]
    assert again["nonce"] != first["nonce"]
    # At the first turn, and now: what waits may have been applied since the database was put away.
    assert desk.books.asked.count(("ask_for_what_waits", ())) == 2


async def test_what_the_broker_did_not_take_is_said_at_the_next_turn(desk: Desk) -> None:
    desk.refusing = dict.fromkeys(peers_of("hotline", desk.here.documents.directory), Unavailable("broker_unavailable"))
    await desk.speaker.turn()
    assert desk.said == []
    desk.refusing.clear()
    desk.clock.advance(11)
    await desk.speaker.turn()
    assert len(desk.told()) == 1


@pytest.mark.parametrize("error", [Unavailable("broker_refuses"), Refused("record_too_large")])
async def test_a_topic_that_takes_nothing_keeps_nobody_elses_marks(desk: Desk, error: CausewayError) -> None:
    desk.refusing["audit"] = error
    await desk.speaker.turn()
    assert [len(desk.told(to)) for to in ("hotline", "industry", "law_enforcement", "audit")] == [1, 1, 1, 0]
    desk.refusing.clear()
    desk.clock.advance(11)
    await desk.speaker.turn()
    assert len(desk.told("audit")) == 1


async def test_what_cannot_be_made_of_one_peer_keeps_nobody_elses_marks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = talk_loop.next_marks

    def fails(turn: Any, view: Any, word: Any, **given: Any) -> Any:
        if turn is desk.speaker._turns.get("industry"):
            raise ZeroDivisionError
        return made(turn, view, word, **given)

    with monkeypatch.context() as defect:
        defect.setattr(talk_loop, "next_marks", fails)
        await desk.speaker.turn()
    assert [len(desk.told(to)) for to in ("hotline", "industry", "law_enforcement", "audit")] == [1, 0, 1, 1]
    desk.clock.advance(100)
    await desk.speaker.turn()
    assert len(desk.told("industry")) == 1


@pytest.mark.parametrize("book", ["taken_marks", "sent_marks"])
async def test_what_cannot_be_read_of_one_peer_keeps_nobody_elses_marks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, book: str
) -> None:
    read = getattr(desk.books, book)

    async def fails(of: str) -> Any:
        if of == "industry":
            raise ZeroDivisionError
        return await read(of)

    with monkeypatch.context() as defect:
        defect.setattr(desk.books, book, fails)
        await desk.speaker.turn()
    assert [len(desk.told(to)) for to in ("hotline", "industry", "law_enforcement", "audit")] == [1, 0, 1, 1]
    desk.clock.advance(100)
    await desk.speaker.turn()
    assert len(desk.told("industry")) == 1


async def test_what_is_wanted_of_one_peer_and_cannot_be_said_keeps_nobody_elses_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.books.wants = {"industry": [uuid7()], "law_enforcement": [uuid7()]}
    enqueue = desk.books.enqueue

    async def fails(drafts: Sequence[Draft]) -> None:
        if any(each.message is WANTED and each.recipient == "industry" for each in drafts):
            raise ZeroDivisionError
        await enqueue(drafts)

    monkeypatch.setattr(desk.books, "enqueue", fails)
    await desk.speaker.turn()
    assert [each.recipient for each in desk.books.outgoing if each.message is WANTED] == ["law_enforcement"]
    assert [len(desk.told(to)) for to in ("industry", "law_enforcement")] == [1, 1]


async def test_a_turn_that_fails_ends_no_relay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = list[int]()

    async def fails() -> None:
        turns.append(1)
        if len(turns) == 3:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    monkeypatch.setattr(desk.speaker, "turn", fails)
    monkeypatch.setattr(desk.speaker, "_settings", TalkSettings(poll_s=0))
    with pytest.raises(asyncio.CancelledError):
        await desk.speaker.run()
    assert len(turns) == 3


@pytest.mark.timing
async def test_a_topic_that_does_not_answer_keeps_nobody_elses_marks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.speaker, "_settings", TalkSettings(poll_s=0.01))
    desk.hangs.add("audit")
    for turn in range(3):
        async with asyncio.timeout(5):
            await desk.speaker.turn()
        others = [len(desk.told(to)) for to in ("hotline", "industry", "law_enforcement")]
        assert others == [1, 1, 1], f"turn {turn}"
        desk.clock.advance(61)
    assert desk.asked_of == {"audit": 1}, "it is asked once, as long as it does not answer"


@pytest.mark.timing
async def test_a_topic_that_answers_late_is_told_on_from_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.speaker, "_settings", TalkSettings(poll_s=0.01))
    desk.hangs.add("audit")
    await desk.speaker.turn()
    desk.answers.set()
    desk.clock.advance(61)
    for told in (1, 1):
        await asyncio.sleep(0)
        desk.hangs.clear()
        await desk.speaker.turn()
        assert len(desk.told("audit")) == told
        desk.clock.advance(61)


@pytest.mark.timing
async def test_who_speaks_no_more_says_nothing_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is another's then."""
    monkeypatch.setattr(desk.speaker, "_settings", TalkSettings(poll_s=0.01))
    desk.hangs.add("audit")
    speaking = asyncio.create_task(desk.speaker.run())
    while "audit" not in desk.asked_of:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    speaking.cancel()
    await asyncio.wait([speaking])
    desk.answers.set()
    await asyncio.sleep(0.05)
    assert desk.told("audit") == []


async def test_what_can_be_taken_now_is_wanted(desk: Desk) -> None:
    ids = [uuid7() for _ in range(301)]
    desk.books.wants = {"law_enforcement": ids}
    await desk.speaker.turn()
    wanted = [draft for draft in desk.books.outgoing if draft.message is WANTED]
    assert [each for draft in wanted for each in json.loads(draft.body)["clear"]["ids"]] == [str(each) for each in ids]


def standings(desk: Desk, to: str = "law_enforcement") -> list[dict[str, Any]]:
    """What `to` was told of its edges since the last look."""
    told = [each for each in desk.books.outgoing if each.message is STANDING and each.recipient == to]
    desk.books.outgoing = [each for each in desk.books.outgoing if each not in told]
    return [json.loads(each.body)["clear"] for each in told]


async def test_a_peer_is_told_what_is_held_once_all_that_it_had_sent_is_here(desk: Desk) -> None:
    """Nothing before its mark has named our nonce, and nothing while a number of its is missing."""
    desk.holding.edges = [uuid7()]
    await desk.speaker.turn()
    (asked,) = desk.told()
    assert standings(desk) == [], "another database, and nothing of the peer is here yet"
    await desk.hear(MARKS, marks(answers=UUID(asked["nonce"])))
    desk.books.taken_of = [TakenMark(**PAIR, through=3, holes=((4, 5),))]
    await desk.speaker.turn()
    assert standings(desk) == []
    desk.books.taken_of = []
    lost = ("receipts_lost", "law_enforcement")
    assert lost not in desk.books.asked
    await desk.speaker.turn()
    assert lost in desk.books.asked, "what they had deferred before we were restored, they may have given up since"
    (told,) = standings(desk)
    assert ([each["edge_id"] for each in told["held"]], "above" in told, "upto" in told) == (
        [str(desk.holding.edges[0])], False, False,
    )  # fmt: skip
    await desk.speaker.turn()
    assert standings(desk) == [], "said once"


async def test_many_edges_are_told_in_parts_that_each_say_all_of_a_range(desk: Desk) -> None:
    desk.holding.edges = sorted(uuid7() for _ in range(1501))
    desk.books.answered_parts = 3
    await desk.speaker.turn()
    (asked,) = desk.told()
    await desk.hear(MARKS, marks(answers=UUID(asked["nonce"])))
    for _ in range(2):
        await desk.speaker.turn()
        assert standings(desk) == [], "not before all that was answered is asked again, a part at each turn"
    told = []
    for turn in (4, 2, 0):
        await desk.speaker.turn()
        parts = standings(desk)
        assert len(parts) == turn
        told += parts
    assert desk.books.asked.count(("receipts_lost", "law_enforcement")) == 3, "as it begins, not at each part"
    bounds = [(part.get("above"), part.get("upto")) for part in told]
    assert bounds[0][0] is bounds[-1][1] is None
    assert [upto for _, upto in bounds[:-1]] == [above for above, _ in bounds[1:]]
    assert [UUID(each["edge_id"]) for part in told for each in part["held"]] == desk.holding.edges


async def test_a_standing_reaches_who_knows_our_edges(desk: Desk) -> None:
    standing = StandingClear(held=())
    await desk.hear(STANDING, standing)
    assert desk.holding.compared == [("law_enforcement", standing)]


@pytest.mark.parametrize(
    ("through", "holes", "known", "compared", "gone"),
    [
        (-1, (), None, 1, 0),
        (-1, ((0, 2),), 2, 1, 0),
        (0, (), None, 0, 0),
        (-1, ((0, 0),), 1, 0, 1),
        (-1, ((0, 0), (2, 2)), 2, 0, 1),
    ],
    ids=["in its turn", "before what is known to come", "again", "late", "late, with more to come"],
)
async def test_a_standing_is_compared_in_its_turn_alone(
    desk: Desk, *, through: int, holes: tuple[tuple[int, int], ...], known: int | None, compared: int, gone: int
) -> None:
    """Numbers are told from that of the standing on."""
    received = desk.heard(STANDING, StandingClear(held=()), by="law_enforcement", late=0)
    numbering = {"sender": received.sender, "recipient": received.recipient, "epoch": received.epoch}
    at = received.sequence
    mark = TakenMark(
        **numbering,
        through=at + through,
        holes=tuple((at + first, at + last) for first, last in holes),
        known=None if known is None else at + known,
    )
    desk.books.taken_of = [mark]
    await desk.talk.heard(desk.books, [received])  # type: ignore[arg-type]
    assert len(desk.holding.compared) == compared
    assert len([each for each in desk.books.outgoing if each.message is GONE]) == gone


async def test_after_an_upgrade_all_is_told_anew_by_and_to_whom_could_not_be_read(desk: Desk) -> None:
    """It may have been its standing, or the last word on what it had deferred: the process before knew neither."""
    lost = uuid7()
    desk.books.unread_of, desk.books.another = {"law_enforcement": lost}, False
    for times in range(2):
        await desk.speaker.turn()
        gone = [json.loads(each.body)["clear"]["ids"] for each in desk.books.outgoing if each.message is GONE]
        assert gone == [[str(lost)]], times
    assert desk.books.words_of["law_enforcement"].begins


async def test_audit_is_owed_no_standing_where_what_it_said_could_not_be_read(desk: Desk) -> None:
    """It has none to say itself; it may state one some day, in a later release."""
    desk.books.unread_of, desk.books.another = {AUDIT: uuid7()}, False
    await desk.speaker.turn()
    assert [each.recipient for each in desk.books.outgoing if each.message is GONE] == [AUDIT]
    assert AUDIT not in desk.books.stands_to


async def test_whatever_becomes_of_a_standing_marks_are_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(by: str, at: datetime) -> bool:
        raise Unavailable("database_unavailable")

    monkeypatch.setattr(desk.books, "receipts_lost", away)
    await desk.speaker.turn()
    (asked,) = desk.told()
    await desk.hear(MARKS, marks(answers=UUID(asked["nonce"])))
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.clock.advance(60)
    with pytest.raises(Unavailable):
        await desk.speaker.turn()
    await asyncio.sleep(0)
    assert desk.told(), "its marks were said all the same"
