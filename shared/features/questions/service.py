"""Questions and disputes: those that recipients raise, the answers of the origin, and lapsing after the deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Literal
from uuid import UUID

from pydantic import JsonValue

from shared.core.acts.act import Subject
from shared.core.acts.states import Event, event_type, may_come_in, row
from shared.core.acts.table import LAPSE
from shared.core.authority import state_forbids
from shared.core.contracts import registry
from shared.core.contracts.base import Contract, Uuid
from shared.core.contracts.questions import (
    AskedClear,
    DecidedItem,
    LapsedClear,
    LapsedQuestion,
    RaisedClear,
    RepliedItem,
    Reply,
    Ruling,
)
from shared.core.errors import Refused
from shared.core.ids import uuid4
from shared.core.protocol import questions
from shared.core.protocol.clocks import EdgeStep
from shared.core.protocol.message import Received
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.questions import RaisedQuestion
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.features.dialogues.store import NewQuestion, OpenQuestion, PostgresQuestions, QuestionKey
from shared.features.filing.ports import AnswerFollower, AppliedAnswers, OpenEdge, StoredReferral
from shared.features.filing.service.referrals import Actor
from shared.features.received.effects import AutomatedAct, Automation, look_for_ever
from shared.features.received.rules import HeldItem
from shared.platform.observability.logs import log


class AnsweredQuestion(Contract):
    """The recipient's question or dispute is answered. The recipient gets the answer."""

    referral_id: Uuid
    state: Literal["routed", "transferred"]


#: The message of the answer, by the kind of point raised and whether it is about a notice.
_TOLD: Final[Mapping[tuple[QuestionKind, bool], registry.MessageType]] = {
    (QuestionKind.QUESTION, True): registry.NOTICE_QUESTION_REPLIED,
    (QuestionKind.QUESTION, False): registry.QUESTION_REPLIED,
    (QuestionKind.DISPUTE, True): registry.NOTICE_DISPUTE_ANSWERED,
    (QuestionKind.DISPUTE, False): registry.DISPUTE_ANSWERED,
}


class QuestionBatch(AnswerFollower):
    """The questions and disputes that one batch raises, within its transaction; `at` is when they are applied."""

    def __init__(self, store: PostgresQuestions, at: datetime) -> None:
        self._store = store
        self._at = at
        self._known: dict[QuestionKey, list[RaisedQuestion]] = {}
        self._new: list[NewQuestion] = []
        self._lapsed: list[tuple[QuestionKey, int]] = []

    async def read(self, messages: Sequence[Received]) -> None:
        """Load the earlier questions and disputes about the subjects of a batch. Their edges are locked."""
        between = {_between(message) for message in messages if isinstance(message.clear, RaisedClear)}
        found = await self._store.raised(between) if between else {}
        self._known = {each: list(found.get(each, ())) for each in between}

    def take(self, message: Received, edge: OpenEdge) -> None:
        """Record the question that a message raises or lets lapse. Raises `Refused` if it may not be raised."""
        clear = message.clear
        if not isinstance(clear, RaisedClear):
            return
        between = _between(message)
        known = self._known.setdefault(between, [])
        if isinstance(clear, LapsedClear):
            assert clear.question is not None
            self._lapsed.append((between, clear.question))
            lapsed = [each._replace(state=_lapsed(each)) if each.number == clear.question else each for each in known]
            self._known[between] = lapsed
            return
        told = questions.check_told(
            clear, edge.items, known, by_place=edge.subject != edge.referral_id, sent_at=message.sent_at
        )
        kind = QuestionKind.QUESTION if isinstance(clear, AskedClear) else QuestionKind.DISPUTE
        known.append(RaisedQuestion(kind, clear.number, QuestionState.OPEN, frozenset(questions.about(told))))
        revision = getattr(clear, "revision", edge.revision)
        new = NewQuestion.of(clear, told, between, subject=edge.referral_id, revision=revision, at=self._at)
        self._new.append(new)

    async def apply(self, answers: AppliedAnswers) -> Sequence[Event]:
        """Store all recorded questions."""
        await self._store.add(self._new)
        for between, number in self._lapsed:
            await self._store.over(between, number, QuestionState.LAPSED, said={}, at=self._at)
        return ()


async def answer_question(referral_id: UUID, said: Reply | Ruling, acting: Actor) -> AnsweredQuestion:
    """Answer a recipient's question or dispute once, and send the answer. The referral's state stays.

    Raises `Refused`: `not_found` for absent and foreign referrals, `state_forbids`, `question_unknown`,
    `question_answered`, `question_lapsed`, and the errors of `questions.replied` and `decided`.
    """
    name = "reply" if isinstance(said, Reply) else "uphold"
    filed = await acting.filed(referral_id, name)
    if filed.state not in (ReferralState.ROUTED, ReferralState.TRANSFERRED):
        raise state_forbids()
    number = said.question if isinstance(said, Reply) else said.dispute
    store = PostgresQuestions(acting.referrals.driver)
    found = await store.find(acting.party, referral_id, counterpart=said.party, number=number)
    wanted = QuestionKind.QUESTION if isinstance(said, Reply) else QuestionKind.DISPUTE
    if found is None or found.kind is not wanted:
        raise Refused("question_unknown", "that party has raised nothing with this number", field=f"/{wanted.value}")
    if filed.state == ReferralState.TRANSFERRED and not found.of_notice:
        raise state_forbids()  # another hotline has the referral: only the notices remain here
    if found.state is not QuestionState.OPEN:
        code = "question_lapsed" if found.state is QuestionState.LAPSED else "question_answered"
        raise Refused(code, "it was answered or has lapsed", field=f"/{wanted.value}", status=409)
    answers = _answers(said, found)
    dumped: list[JsonValue] = [each.model_dump(mode="json") for each in answers]
    word = "replied" if isinstance(said, Reply) else "decided"
    between = QuestionKey(acting.party, found.told_by, said.party, own=False)
    await store.over(between, number, QuestionState.ANSWERED, said={word: dumped}, at=acting.at)
    await _tell(referral_id, found, acting, to=said.party, filed=filed, words={wanted.value: number, word: dumped})
    await acting.referrals.note([Event(acting.party, event_type(Subject.REFERRAL, name), referral_id, filed.state)])
    return AnsweredQuestion.model_validate({"referral_id": referral_id, "state": filed.state})


def _answers(said: Reply | Ruling, found: OpenQuestion) -> Sequence[RepliedItem | DecidedItem]:
    """Return the answer about each item, by the origin's own numbers."""
    if isinstance(said, Reply):
        return questions.replied(said.replied, found.about, amended=found.revision > found.asked_revision)
    return questions.decided(said.decided, found.about)


async def _tell(
    referral_id: UUID,
    found: OpenQuestion,
    acting: Actor,
    *,
    to: str,
    filed: StoredReferral,
    words: Mapping[str, object],
) -> None:
    """Record the steps of the deadlines, and send the answer if its recipient is still in the directory."""
    message = _TOLD[found.kind, found.of_notice]
    named: dict[str, object] = {"referral_id": referral_id, "revision": found.revision}
    if found.of_notice:
        named = {"notice_id": found.told_by}
    clear = message.clear.model_validate(named | {"act": uuid4()} | _by_notice(words, found))
    steps = questions.steps(clear, 0, acting.at)
    await acting.referrals.clock((), [EdgeStep.by(acting.party, found.told_by, to, step=step) for step in steps])
    await acting.send(message, clear, filed, subject=found.told_by, to=to, place=found.instance)


def _by_notice(words: Mapping[str, object], found: OpenQuestion) -> dict[str, object]:
    """Return the words about items with the numbers of the notice."""
    if not found.of_notice:
        return dict(words)
    numbers = {n: place for place, n in enumerate(found.items, 1)}

    def told(word: object) -> object:
        return [each | {"n": numbers[each["n"]]} for each in word] if isinstance(word, list) else word

    return {name: told(word) for name, word in words.items()}


def _lapsed(known: RaisedQuestion) -> QuestionState:
    may = known.state.value in questions.BEFORE[QuestionState.LAPSED]
    return QuestionState.LAPSED if may else known.state


def _between(message: Received) -> QuestionKey:
    return QuestionKey(message.recipient, UUID(message.subject), message.sender, own=False)


class QuestionExpiry:
    """The lapsing of overdue questions that parties of one instance have asked."""

    def __init__(self, rule: Automation) -> None:
        self._rule = rule
        self._act = row(rule.recipient.subject, LAPSE)
        self._open_in = sorted(may_come_in(self._act))

    async def run(self) -> None:
        """Run forever."""
        await look_for_ever(self._rule.database.changes, self.look, lambda code: log("question_waits", code=code))

    async def look(self) -> int:
        """Let a batch of overdue questions lapse and return their number. Raises `Unavailable`."""
        return await self._rule.batch(self._act.name, self._lapse_due)

    async def _lapse_due(self, ruling: AutomatedAct) -> None:
        taking = ruling.taking
        due = await PostgresQuestions(ruling.session.driver).lapsed(
            self._rule.clock.now(), open_in=self._open_in, limit=taking.limit, but=taking.but
        )
        taking.note([(subject, party) for party, subject, _ in due])
        for party, subject, number in due:
            await ruling.act(self._act, [(subject, party)], partial(_lapse_of, number))


def _lapse_of(number: int, _: HeldItem) -> LapsedQuestion:
    return LapsedQuestion(question=number)
