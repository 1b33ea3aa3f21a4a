"""Questions and disputes about items, the origin's own rechecks, and the second review.

The points that recipients raise are stored with their edges. The origin uses its own item numbers; messages to a
provider use the numbers of the notice.

A submission above its budget or above the daily quota is sent once another person of the party releases it. It is
decided then, by the law in force. A submission that the second person drops, or that waits too long, is erased. Audit
keeps the fact and the person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import Event, event_type, happened, row
from shared.core.authority import require_another, state_forbids
from shared.core.contracts import registry
from shared.core.contracts.answers import ItemChecks, ItemsCheckedClear
from shared.core.contracts.facts import ReferralReviewedClear
from shared.core.contracts.questions import (
    AskedClear,
    DecidedItem,
    LapsedClear,
    RaisedClear,
    RepliedItem,
    Reply,
    Ruling,
)
from shared.core.errors import Refused, not_found
from shared.core.guard import cost
from shared.core.ids import uuid4
from shared.core.protocol import items, questions
from shared.core.protocol.clocks import EdgeStep, checked, rechecked
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Draft, Received, compose_fact
from shared.core.protocol.origin import EdgeAnswer, ReferralState
from shared.core.protocol.prepare import Documents, prepare_again
from shared.core.protocol.questions import RaisedQuestion
from shared.core.protocol.second_review import SecondReview
from shared.core.vocabulary.answers import AnswerState, ItemFound
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.core.vocabulary.referral import PriorityLevel, ReviewOutcome
from shared.party.failure_isolation import ClaimedBatch
from shared.party.origin.domain import AnsweredQuestion, CheckedReferral
from shared.party.origin.records import (
    AnswerFollower,
    AppliedAnswers,
    IssuedEdge,
    OpenEdge,
    PendingReview,
    Recheck,
    StoredReferral,
)
from shared.party.origin.store.amendments import PostgresReviews
from shared.party.origin.store.edge_rows import PostgresIssued
from shared.party.origin.use_cases.referrals import Actor, debit_one
from shared.party.questions.store import NewQuestion, OpenQuestion, PostgresQuestions, QuestionKey
from shared.platform.observability.logs import log

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
    await acting.tell(message, clear, filed, subject=found.told_by, to=to, place=found.instance)


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


async def check_items(referral_id: UUID, said: ItemChecks, acting: Actor) -> CheckedReferral:
    """Store recheck results, and send them to each provider with a notice about such an item. Return the state.

    The state is `reappeared` if an item is available again, else `routed`. Raises `Refused`: `not_found` for absent and
    foreign referrals, `state_forbids`, `item_unknown` if no notice is about an item, and the errors of `items.found`.
    """
    filed = await acting.filed(referral_id, "check")
    if filed.state != ReferralState.ROUTED:
        raise state_forbids()
    issued = await PostgresIssued(acting.referrals.driver).issued(referral_id)
    known = {n for edge in issued for n in edge.standing}
    for place, each in enumerate(said.checked):
        if each.n not in known:
            raise Refused("item_unknown", "no notice is about this item", field=f"/checked/{place}/n")
    came_to = [await _check_notice(edge, said, acting, filed=filed) for edge in issued]
    state = AnswerState.REAPPEARED.value if any(came_to) else filed.state
    checking = row(Subject.REFERRAL, "check")
    event = Event(acting.party, event_type(checking.subject, checking.name), referral_id, state=state)
    await acting.referrals.note([event])
    return CheckedReferral.model_validate({"referral_id": referral_id, "state": state})


async def _check_notice(edge: IssuedEdge, said: ItemChecks, acting: Actor, *, filed: StoredReferral) -> bool:
    """Store the results for one notice. Return whether one of its items is available again."""
    before = ItemLog.kept(edge.answer.detail)
    found = items.found(said.checked, edge.standing, before, at=acting.at)
    if not found.checks:
        return False
    again = any(each.found is ItemFound.REAPPEARED for each in found.checks)
    state = AnswerState(items.fold(edge.standing, before + found).items.value) if again else edge.answer.state
    detail = dict(edge.answer.detail) | (before + found).words()
    look = Recheck(uuid4(), acting.party, found, acting.at)
    await PostgresIssued(acting.referrals.driver).found(edge, look, EdgeAnswer(state, detail, edge.answer.acts))
    told = items.told(found, edge.items).checks
    steps = [*checked(told, acting.at), *rechecked(before + found, acting.at)]
    await acting.referrals.clock((), [EdgeStep.by(acting.party, edge.notice_id, edge.recipient, step=s) for s in steps])
    clear = ItemsCheckedClear(notice_id=edge.notice_id, act=look.act, checked=told)
    await acting.tell(
        registry.ITEMS_CHECKED, clear, filed, subject=edge.notice_id, to=edge.recipient, place=edge.instance
    )
    return again


RELEASE: Final = row(Subject.REFERRAL, "release")
DROP: Final = row(Subject.REFERRAL, "drop")
#: Referrals that expire in one transaction.
EXPIRED_MAX: Final = 100


async def release_referral(referral_id: UUID, acting: Actor) -> str:
    """Release a referral that another person has filed. Return its new state.

    The release counts against the daily quota: raises `QuotaExceeded` if that has no room, except for a child at risk.
    Raises `Refused`: `not_found`, `forbidden`, `state_forbids`, and `second_person_needed` for the person that filed
    it.
    """
    documents, at = acting.documents(), acting.at
    found = await _found(referral_id, RELEASE, acting)
    origin, filed_by, content = documents.directory.party(found.party), found.filed_by, found.content
    if origin is None or filed_by is None or content is None:
        raise not_found()
    urgent = content.priority.level is PriorityLevel.P0_CHILD_AT_RISK
    await debit_one(cost(content), acting, released=urgent)
    again = prepare_again(
        content,
        referral_id=referral_id,
        origin=origin,
        exercise=found.exercise,
        documents=documents,
        at=at,
        only=None,
        body_sha256=found.body_sha256,
        traceparent=found.traceparent,
        released=SecondReview(filed_by, acting.actor),
    )
    if not await PostgresReviews(acting.referrals.driver, acting.kek).release(acting.actor, again):
        raise state_forbids()
    await _told(found, RELEASE, ReviewOutcome.RELEASED, state=again.disposition, acting=acting)
    return again.disposition


async def drop_referral(referral_id: UUID, acting: Actor) -> str:
    """Erase a referral that another person has filed. Return its new state. Raises as `release_referral`."""
    found = await _found(referral_id, DROP, acting)
    if not await PostgresReviews(acting.referrals.driver, acting.kek).drop(referral_id, acting.actor):
        raise state_forbids()
    await _told(found, DROP, ReviewOutcome.DROPPED, state=ReferralState.DROPPED, acting=acting)
    return ReferralState.DROPPED


async def expire_referrals(
    reviews: PostgresReviews, taking: ClaimedBatch, documents: Documents, *, instance: str, days: int, at: datetime
) -> None:
    """Erase the referrals that have waited `days` days for a second person."""
    expired = await reviews.expire(at - timedelta(days=days), taking)
    if expired:
        end = ReviewOutcome.EXPIRED
        await reviews.send([_fact(each, end, None, instance=instance, documents=documents, at=at) for each in expired])
        dropped = ReferralState.DROPPED.value
        await reviews.note([happened(DROP, each.referral_id, party=each.party, state=dropped) for each in expired])
        log("referrals_expired", count=len(expired))


async def _found(referral_id: UUID, act: Act, acting: Actor) -> PendingReview:
    found = await PostgresReviews(acting.referrals.driver, acting.kek).find(referral_id)
    if found is None:
        raise not_found()
    acting.require(act.name, found.state)
    require_another(acting.actor, {found.filed_by})
    return found


async def _told(found: PendingReview, act: Act, outcome: ReviewOutcome, *, state: str, acting: Actor) -> None:
    """Send audit the fact with the actor, and the party the event."""
    documents = acting.documents()
    instance = documents.directory.instance_of(found.party)
    assert instance is not None
    fact = _fact(found, outcome, acting.actor, instance=instance.id, documents=documents, at=acting.at)
    await PostgresReviews(acting.referrals.driver, acting.kek).send([fact])
    await PostgresReviews(acting.referrals.driver, acting.kek).note(
        [happened(act, found.referral_id, party=found.party, state=state)]
    )


def _fact(
    found: PendingReview, outcome: ReviewOutcome, by: str | None, *, instance: str, documents: Documents, at: datetime
) -> Draft:
    assert found.filed_by is not None
    return compose_fact(
        registry.REFERRAL_REVIEWED,
        ReferralReviewedClear(origin=found.party, outcome=outcome, filed_by=found.filed_by, by=by),
        subject=found.referral_id,
        instance=instance,
        directory=documents.directory,
        exercise=found.exercise,
        at=at,
        traceparent=found.traceparent,
    )
