"""What is heard of delivery itself reaches the books, and what is not held any more is answered as gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.base import Contract
from shared.contracts.delivery import (
    GoneClear,
    GoneNumbers,
    HeldEdge,
    MarksClear,
    ReadsAnnouncedClear,
    SentMark,
    StandingClear,
    TakenMark,
    WantedClear,
)
from shared.contracts.registry import GONE, MARKS, READS_ANNOUNCED, STANDING, WANTED, MessageType
from shared.exchange.accept import accept
from shared.exchange.message import Draft, Received
from shared.exchange.reads import own_reads
from shared.kernel.clock import ManualClock
from shared.kernel.errors import CausewayError, Refused, Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.peers import HOLES_A_MINUTE, MARKS_A_MINUTE, Spoken, Word
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.talk import Stating, Talk
from shared.runtime.post.talk_loop import Speaker, peers_of
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.builders import AT
from tests.support.exchange_world import World, later, world

EPOCH = uuid7()
PAIR: dict[str, Any] = {"sender": "hotline-nl.example", "recipient": "police-nl.example", "epoch": EPOCH}


@dataclass
class Books:
    """All books of one instance; what is asked of them is kept in `asked`. It stands for a unit as well."""

    sent: list[SentMark] = field(default_factory=list)
    taken_of: list[TakenMark] = field(default_factory=list)
    held: set[UUID] = field(default_factory=set)
    not_held: list[GoneNumbers] = field(default_factory=list)
    wants: dict[str, list[UUID]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    outgoing: list[Draft] = field(default_factory=list)
    read: dict[str, ReadsAnnouncedClear] = field(default_factory=dict)
    words_of: dict[str, Word] = field(default_factory=dict)
    marked_at: dict[str, Spoken] = field(default_factory=dict)
    #: Whether the database is another one than before.
    another: bool = True
    stands_to: dict[str, UUID] = field(default_factory=dict)
    #: How many records each topic holds, and how many marks were said in this minute.
    records: int = 100
    count: int = 0

    @property
    def sent_book(self) -> Books:
        return self

    @property
    def taken(self) -> Books:
        return self

    async def sent_marks(self, to: str) -> list[SentMark]:
        return self.sent

    async def appended(self, to: str) -> int:
        return self.records

    async def take_marks(self, by: str, taken: Sequence[TakenMark], at: object, *, holes: int) -> list[GoneNumbers]:
        self.asked.append(("take_marks", (by, tuple(taken))))
        return self.not_held if holes else []

    async def send_again(self, to: str, ids: Sequence[UUID], at: datetime) -> list[UUID]:
        self.asked.append(("send_again", (to, tuple(ids))))
        return [each for each in ids if each not in self.held]

    async def taken_marks(self, of: str) -> list[TakenMark]:
        return self.taken_of

    async def know(self, sent: Sequence[SentMark], *, by: str) -> None:
        self.asked.append(("know", (by, tuple(sent))))

    async def pass_gone(self, gone: GoneClear, *, by: str) -> None:
        self.asked.append(("pass_gone", (by, gone)))

    async def compacted(self) -> UUID | None:
        return None

    async def wanted(self, now: object) -> dict[str, list[UUID]]:
        return self.wants

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        self.outgoing += drafts

    async def announced(self, by: str, reads: ReadsAnnouncedClear, spoken: Spoken) -> None:
        self.read[by] = reads

    async def marked(self, by: str, marks: MarksClear, spoken: Spoken) -> int:
        if by in self.marked_at and spoken <= self.marked_at[by]:
            return 0
        self.marked_at[by] = spoken
        stands = by in self.stands_to
        self.words_of[by] = Word(marks.nonce if marks.asking else None, marks.answers, stands)
        self.count += 1
        return self.count

    async def words(self) -> dict[str, Word]:
        return self.words_of

    async def answered(self, to: str, nonce: UUID) -> None:
        self.words_of[to] = replace(self.words_of[to], owes=None)

    async def began(self) -> bool:
        began, self.another = self.another, False
        return began

    async def owe_standing(self, to: Sequence[str]) -> None:
        for each in to:
            self.stands_to[each] = UUID(int=0)
            self.words_of[each] = replace(self.words_of.get(each, Word()), stands=True)

    async def standings(self, to: Sequence[str], now: object) -> dict[str, UUID]:
        return {each: self.stands_to[each] for each in to if each in self.stands_to}

    async def stood(self, to: str, above: UUID | None) -> None:
        if above is None:
            del self.stands_to[to]
            self.words_of[to] = replace(self.words_of[to], stands=False)
        else:
            self.stands_to[to] = above

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        self.asked.append(("forgotten", (by, tuple(taken))))

    # Of a store: one unit at a time, which is itself.
    def unit(self) -> Books:
        return self

    async def __aenter__(self) -> Books:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def here() -> World:
    return world()


class Shelf:
    """Edges of law enforcement that are held here, and what was heard of ours."""

    def __init__(self) -> None:
        self.edges: list[UUID] = []
        self.compared: list[tuple[str, StandingClear]] = []

    async def held(self, unit: Unit, of: str, *, above: UUID, limit: int) -> list[HeldEdge]:
        some = [each for each in sorted(self.edges) if each > above and of == "law_enforcement"][:limit]
        return [HeldEdge(edge=each, digest="4b" * 32, track=1, withdrawn=False) for each in some]

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        self.compared.append((by, standing))


class Desk:
    """The hotline's instance, which hears law enforcement's."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.clock = ManualClock(AT)
        self.books = Books()
        self.said: list[Draft] = []
        #: What each topic answers; nothing: it takes what is said.
        self.refusing: dict[str, CausewayError] = {}
        self.hangs: set[str] = set()
        self.stating = Stating("hotline", lambda: here.documents.directory, self.clock)
        self.holding = Shelf()
        self.talk = Talk(self.stating, peers=lambda unit: unit, holding=self.holding)  # type: ignore[arg-type, return-value]
        self.speaker = self.started()

    def started(self) -> Speaker:
        """A process of the instance has started."""
        books: Any = self.books
        return Speaker(books, self.stating, peers=lambda unit: books, say=self._say, holding=self.holding)

    def heard(self, message: MessageType, clear: Contract, *, by: str, late: int) -> Received:
        stating = Stating(by, lambda: self.here.documents.directory, ManualClock(AT))
        drafts = stating.drafts(message, "hotline", [clear])
        (record,) = self.here.records(drafts, by)
        return accept(later(record, timedelta(seconds=late)), self.here.reader("hotline"))

    async def hear(self, message: MessageType, clear: Contract, *, by: str = "law_enforcement", late: int = 0) -> None:
        await self.talk.heard(self.books, [self.heard(message, clear, by=by, late=late)])  # type: ignore[arg-type]

    async def _say(self, draft: Draft) -> None:
        if draft.recipient in self.hangs:
            await asyncio.Event().wait()
        if draft.recipient in self.refusing:
            raise self.refusing[draft.recipient]
        self.said.append(draft)

    def told(self, to: str = "law_enforcement") -> list[dict[str, Any]]:
        """The marks said to one peer since the last look."""
        told = [json.loads(draft.body)["clear"] for draft in self.said if draft.recipient == to]
        self.said = [draft for draft in self.said if draft.recipient != to]
        return told


@pytest.fixture
def desk(here: World) -> Desk:
    return Desk(here)


def marks(**changes: Any) -> MarksClear:
    stated: dict[str, Any] = {"sent": (), "taken": (), "asking": False, "nonce": uuid7()}
    return MarksClear(**stated | changes)


async def test_what_a_peer_reads_is_kept(desk: Desk) -> None:
    await desk.hear(READS_ANNOUNCED, own_reads())
    assert desk.books.read == {"law_enforcement": own_reads()}


async def test_marks_reach_both_books_and_what_is_not_held_is_answered(desk: Desk) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.books.not_held = [GoneNumbers(**PAIR, spans=((4, 5),))]
    told = SentMark(sender="police-nl.example", recipient="hotline-nl.example", epoch=EPOCH, last=3, held=2)
    taken = TakenMark(**PAIR, through=3, holes=((4, 5), (7, 7)))
    await desk.hear(MARKS, marks(sent=(told,), taken=(taken,)))
    assert desk.books.asked == [
        ("know", ("law_enforcement", (told,))),
        ("take_marks", ("law_enforcement", (taken,))),
    ]
    (gone,) = desk.books.outgoing
    assert (gone.message, gone.recipient) == (GONE, "law_enforcement")
    assert json.loads(gone.body)["clear"]["numbers"][0]["spans"] == [[4, 5]]


async def test_marks_older_than_the_newest_taken_count_no_more(desk: Desk) -> None:
    taken = TakenMark(**PAIR, through=3)
    await desk.hear(MARKS, marks(), late=20)
    desk.books.asked.clear()
    await desk.hear(MARKS, marks(taken=(taken,)), late=10)
    assert desk.books.asked == []
    await desk.hear(MARKS, marks(taken=(taken,)), late=30)
    assert desk.books.asked != []


async def test_numbers_that_we_never_gave_end_their_epoch(desk: Desk) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    taken = TakenMark(**PAIR, through=12)
    await desk.hear(MARKS, marks(taken=(taken,)))
    assert ("forgotten", ("law_enforcement", (taken,))) in desk.books.asked


async def test_numbers_that_audit_alone_was_told_of_end_their_epoch_where_they_go_to(desk: Desk) -> None:
    """We were restored, and what had them is lost: nobody else would ever ask for them, and audit always."""
    told = TakenMark(**PAIR, through=0, holes=((1, 3),))
    own = TakenMark(sender="hotline", recipient="audit", epoch=uuid7(), through=2)
    other = TakenMark(sender="police-nl.example", recipient="hotline-nl.example", epoch=EPOCH, through=2)
    await desk.hear(MARKS, marks(taken=(told, own, other)), by="audit")
    assert desk.books.asked[1:-1] == [
        ("forgotten", ("law_enforcement", (told,))),
        ("forgotten", ("audit", (own,))),
    ]


async def test_of_numbers_that_go_to_another_a_peers_word_ends_nothing(desk: Desk) -> None:
    elsewhere = TakenMark(sender="hotline-nl.example", recipient="provider-001.example", epoch=EPOCH, through=3)
    await desk.hear(MARKS, marks(taken=(elsewhere,)))
    assert "forgotten" not in dict(desk.books.asked)


@pytest.mark.parametrize("through", [2**53 - 1, 9 + 101])
async def test_a_mark_beyond_what_a_topic_can_hold_changes_nothing_and_is_named(
    desk: Desk, capsys: pytest.CaptureFixture[str], through: int
) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=1)]
    lie, honest = TakenMark(**PAIR, through=through), TakenMark(**PAIR | {"epoch": uuid7()}, through=0)
    await desk.hear(MARKS, marks(taken=(lie, honest)))
    assert desk.books.asked == [("know", ("law_enforcement", ())), ("take_marks", ("law_enforcement", (honest,)))]
    assert "marks_impossible" in capsys.readouterr().err


async def test_of_a_peer_that_floods_so_many_marks_count_in_a_minute_and_fewer_holes(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.books.not_held = [GoneNumbers(**PAIR, spans=((4, 5),))]
    lie = TakenMark(**PAIR, through=3, holes=((4, 5),))
    for late, count in enumerate(
        (HOLES_A_MINUTE - 1, HOLES_A_MINUTE, MARKS_A_MINUTE - 1, MARKS_A_MINUTE, MARKS_A_MINUTE + 1)
    ):
        desk.books.count = count
        await desk.hear(MARKS, marks(taken=(lie,)), late=late)
    assert sum(name == "take_marks" for name, _ in desk.books.asked) == 3
    assert len(desk.books.outgoing) == 1
    assert capsys.readouterr().err.count("marks_too_many") == 1


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("provider-001.example", "hotline-nl.example"),
        ("industry", "hotline"),
        ("hotline-nl.example", "hotline-nl.example"),
        ("police-nl.example", "provider-001.example"),
        ("police-nl.example", "law_enforcement"),
        ("nobody.example", "hotline-nl.example"),
    ],
)
async def test_numbers_that_are_not_a_peers_to_give_or_not_ours_to_take_are_not_known(
    desk: Desk, sender: str, recipient: str
) -> None:
    foreign = SentMark(sender=sender, recipient=recipient, epoch=EPOCH, last=3, held=2)
    own = SentMark(sender="law_enforcement", recipient="hotline", epoch=EPOCH, last=1, held=1)
    await desk.hear(MARKS, marks(sent=(foreign, own)))
    assert desk.books.asked == [("know", ("law_enforcement", (own,)))]


async def test_what_is_wanted_is_sent_again_or_gone(desk: Desk) -> None:
    held, lost = uuid7(), uuid7()
    desk.books.held = {held}
    await desk.hear(WANTED, WantedClear(ids=(held, lost)))
    assert desk.books.asked == [("send_again", ("law_enforcement", (held, lost)))]
    (gone,) = desk.books.outgoing
    assert json.loads(gone.body)["clear"]["ids"] == [str(lost)]
    assert list(desk.books.stands_to) == ["law_enforcement"]


async def test_what_is_gone_is_passed(desk: Desk) -> None:
    gone = GoneClear(numbers=(), ids=(uuid7(),))
    await desk.hear(GONE, gone)
    assert desk.books.asked == [("pass_gone", ("law_enforcement", gone))]
    assert desk.books.outgoing == []
    assert list(desk.books.stands_to) == ["law_enforcement"], "its origin is told what we hold without it"


async def test_what_is_held_without_our_knowing_is_gone_and_so_told_and_listed(desk: Desk) -> None:
    """It was forgotten here while it waited there, and has taken effect only after all that was held had been told."""
    first, second = uuid7(), uuid7()
    held = [
        Settlement(id_, "4b" * 32, ReceiptOutcome.APPLIED, None, uuid7(), by)
        for id_, by in ((first, "law_enforcement"), (second, "industry"), (first, "law_enforcement"))
    ]
    await desk.talk.unknown(desk.books, held)  # type: ignore[arg-type]
    told = {each.recipient: json.loads(each.body)["clear"]["ids"] for each in desk.books.outgoing}
    assert told == {"law_enforcement": [str(first)], "industry": [str(second)]}
    assert {each.message for each in desk.books.outgoing} == {GONE}


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


async def test_a_topic_that_does_not_answer_keeps_nobody_elses_marks(desk: Desk) -> None:
    desk.hangs.add("audit")
    turn = asyncio.create_task(desk.speaker.turn())
    for _ in range(20):
        await asyncio.sleep(0)
    assert [len(desk.told(to)) for to in ("hotline", "industry", "law_enforcement")] == [1, 1, 1]
    assert not turn.done()
    turn.cancel()


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
    await desk.speaker.turn()
    (told,) = standings(desk)
    assert ([each["edge"] for each in told["held"]], "above" in told, "upto" in told) == (
        [str(desk.holding.edges[0])], False, False,
    )  # fmt: skip
    await desk.speaker.turn()
    assert standings(desk) == [], "said once"


async def test_many_edges_are_told_in_parts_that_each_say_all_of_a_range(desk: Desk) -> None:
    desk.holding.edges = sorted(uuid7() for _ in range(1501))
    await desk.speaker.turn()
    (asked,) = desk.told()
    await desk.hear(MARKS, marks(answers=UUID(asked["nonce"])))
    told = []
    for turn in (4, 2, 0):
        await desk.speaker.turn()
        parts = standings(desk)
        assert len(parts) == turn
        told += parts
    bounds = [(part.get("above"), part.get("upto")) for part in told]
    assert bounds[0][0] is bounds[-1][1] is None
    assert [upto for _, upto in bounds[:-1]] == [above for above, _ in bounds[1:]]
    assert [UUID(each["edge"]) for part in told for each in part["held"]] == desk.holding.edges


async def test_a_standing_reaches_who_knows_our_edges(desk: Desk) -> None:
    standing = StandingClear(held=())
    await desk.hear(STANDING, standing)
    assert desk.holding.compared == [("law_enforcement", standing)]
