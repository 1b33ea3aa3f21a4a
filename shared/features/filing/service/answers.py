"""Answers at the origin: a recipient's answer about an offer or notice changes the edge that was sent to it.

A recipient that moves has one track and writes to it from two instances. The new instance gets the answers so far
(`forwarded`) and continues from there. A late answer from the old instance is applied and forwarded until the new
instance has answered; from then on only the new instance changes the edge. The number of an answer from the new
instance shows which answers it knew. So both sides reach the same result in any order of arrival.

The second review is here too: another person releases or erases a referral that is held back for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.core.acts.act import Act, Subject
from shared.core.acts.catalog import Catalog
from shared.core.acts.states import Event, event_type, happened, row
from shared.core.authority import require_another, state_forbids
from shared.core.clock import coarse
from shared.core.contracts import registry
from shared.core.contracts.answers import Answer, CaseRecord, NoticeAnsweredClear
from shared.core.contracts.case_referral import CaseCameBackClear, CaseReferredClear
from shared.core.contracts.facts import ReferralReviewedClear
from shared.core.errors import Refused, not_found
from shared.core.guard import cost
from shared.core.protocol.clocks import EdgeStep, began_again, reported, told_by
from shared.core.protocol.items import ItemLog, check_times
from shared.core.protocol.message import Draft, Received, compose_fact
from shared.core.protocol.origin import EdgeAmendments, EdgeAnswer, ReferralState, answer_edge, said_in
from shared.core.protocol.prepare import Documents, prepare_again
from shared.core.protocol.questions import steps as steps_of
from shared.core.protocol.second_review import SecondReview
from shared.core.vocabulary.referral import PriorityLevel, ReviewOutcome
from shared.features.filing.ports import (
    ActResult,
    AnswerAct,
    AnswerFollower,
    AppliedAnswers,
    EdgeUpdate,
    OpenEdge,
    PendingReview,
    ReferredCase,
)
from shared.features.filing.service.referrals import Actor, debit_one
from shared.features.filing.store.attention import PostgresReviews
from shared.features.filing.store.edges import PostgresEdges
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.observability.logs import log

_UNMATCHED: Final = "answer_unmatched"
_EXISTS: Final = "edge_exists"
ACT_AWAITED: Final = "act_awaited"


@dataclass(eq=False)
class EdgeAnswers:
    """The answers of one transaction, and the edges that they change; `at` is when they are applied.

    `catalog` has the acts of their messages. `events` are the events for the origin's parties. `agency` returns the
    instance that serves an agency, None for other parties. `followers` are the features that follow the answers, in
    this order.
    """

    edges: PostgresEdges
    at: datetime
    catalog: Catalog
    agency: Callable[[str], str | None] = lambda _: None
    followers: Sequence[AnswerFollower] = ()
    events: list[Event] = field(default_factory=list)
    _steps: list[EdgeStep] = field(default_factory=list)
    _exist: Collection[UUID] = frozenset()
    #: Messages that changed an edge. Excluded are answers from a recipient's old instance after the new one had
    #: answered.
    _moving: list[Received] = field(default_factory=list)

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order. Return the codes of refused messages, by message id.

        An answer counts only on an edge of the addressed party that was sent to the answer's sender, and only from an
        instance that got the edge. Each act counts once: a repetition, under any number, gets the first result and
        changes nothing.
        """
        if not messages:
            return {}
        for each in self.followers:
            await each.lock(messages)
        subjects = [UUID(message.subject) for message in messages]
        edges = await self.edges.answerable(subjects)
        if any((UUID(message.subject), message.sender) not in edges for message in messages):
            # Another transaction may have committed an edge while the first query waited for its locks.
            edges = await self.edges.answerable(subjects)
        # Read after the edges are locked, so that no other transaction decides about an act on them.
        judged = await self.edges.judged([act for message in messages if (act := _act_of(message)) is not None])
        await self._read(messages)
        refusals: dict[UUID, str] = {}
        taken: dict[UUID, EdgeUpdate] = {}
        new: dict[AnswerAct, ActResult] = {}
        applied: list[Received] = []
        for message in messages:
            sent = edges.get((UUID(message.subject), message.sender), [])
            if not sent or any(edge.party != message.recipient for edge in sent):
                refusals[message.message_id] = unmatched(message, edges, self._rows(message))
                continue
            act = _act_of(message)
            if act is not None and act in judged:
                code = judged[act]
            else:
                code = self._take(message, edges, taken)
                if act is not None:
                    judged[act] = code
                    new[act] = _judged(code, message, sent[0], taken=taken)
                if code is None:
                    applied.append(message)
            if code is not None:
                refusals[message.message_id] = code
        await self.edges.answer(taken, new, self.at, steps=self._steps)
        await self._pass_on(applied)
        answers = AppliedAnswers(applied, self._moving, new.values())
        for each in self.followers:
            self.events += await each.apply(answers)
        return refusals

    async def _read(self, messages: Sequence[Received]) -> None:
        """Read the other rows that the decisions need."""
        referred = [each.clear.edge_id for each in messages if isinstance(each.clear, CaseReferredClear)]
        self._exist = await self.edges.exist(referred) if referred else frozenset()
        for each in self.followers:
            await each.read(messages)

    async def _pass_on(self, applied: Sequence[Received]) -> None:
        """Add the edges of agencies that cases were referred to, and end those of agencies that could not take them.

        The order matters: a case may be returned and immediately referred to the same agency again.
        """
        for message in applied:
            said = message.clear
            if isinstance(said, CaseCameBackClear):
                await self.edges.unrefer(said.edge_id, said.referral_id, agency=said.agency)
            elif isinstance(said, CaseReferredClear) and (instance := self.agency(said.agency)) is not None:
                at = coarse(message.sent_at)
                await self.edges.refer(ReferredCase(said.from_edge_id, said.edge_id, said.agency, instance, at))

    def _check_referred(self, message: Received, sent: Sequence[OpenEdge]) -> None:
        """Check the edges of a case referral.

        Raises `Refused`: `answer_unmatched` if the sender does not have the edge, `agency_unknown` if there is no such
        other agency, `edge_exists` if the new edge already exists.
        """
        said = message.clear
        if not isinstance(said, CaseReferredClear):
            return
        if said.from_edge_id not in {edge.edge_id for edge in sent}:
            raise Refused(_UNMATCHED)
        if said.agency == message.sender or self.agency(said.agency) is None:
            raise Refused("agency_unknown")
        if said.edge_id in self._exist:
            raise Refused(_EXISTS)

    def _take(
        self, message: Received, edges: Mapping[tuple[UUID, str], Sequence[OpenEdge]], taken: dict[UUID, EdgeUpdate]
    ) -> str | None:
        """Change all of the sender's edges in `taken`, or none. Return the code of a refusal, else None.

        A recipient answers for the referral: its edges, one for each purpose, change together. They start from the
        state that earlier messages of the batch have left.
        """
        subject = UUID(message.subject)
        sent = edges[subject, message.sender]
        present, rows = [_after(edge, taken.get(edge.edge_id)) for edge in sent], self._rows(message)
        try:
            for each in self.followers:
                each.check(message)
            self._check_referred(message, sent)
            if isinstance(message.clear, CaseCameBackClear):
                others = edges.get((subject, message.clear.agency), ())
                _check_came_back(message.clear, present[0], [_after(each, taken.get(each.edge_id)) for each in others])
            moved = {edge.edge_id: take(edge, message, rows) for edge in present}
            for each in self.followers:
                each.take(message, sent[0])
        except Refused as error:
            return error.code
        late = {edge_id for edge_id in moved if edge_id in taken and taken[edge_id].needs_send}
        taken.update({each: replace(edge, needs_send=edge.needs_send or each in late) for each, edge in moved.items()})
        if (answer := moved[sent[0].edge_id].answer) != present[0].answer:
            self._moving.append(message)
            of = message.recipient, subject, message.sender
            moves = answer.state != present[0].answer.state or not rows[0].stays
            again, kind = began_again(present[0].answer.detail), rows[0].subject
            told_at = message.sent_at
            steps = told_by(kind, message.clear, answer.state, told_at=told_at, again=again) if moves else ()
            if isinstance(message.clear, NoticeAnsweredClear) and ItemLog(answers=message.clear.items).said_gone():
                steps += reported(ItemLog.kept(answer.detail), message.sent_at)
            steps += steps_of(message.clear, answer.acts, message.sent_at)
            self._steps += [EdgeStep.by(*of, step=step) for step in steps]
            self.events.append(_event(rows[0], sent[0], answer))
        return None

    def _rows(self, message: Received) -> Sequence[Act]:
        """Return the acts of a message: one for each kind of subject that it can be about."""
        return self.catalog.acts_of(message.message)


def _check_came_back(said: CaseCameBackClear, edge: OpenEdge, others: Iterable[OpenEdge]) -> None:
    """Check that a returned case was referred on this edge.

    Raises `Refused`: `answer_unmatched` for another edge or agency than the case was referred to. Raises `edge_exists`
    if that agency has already answered on one of these `others`, because then it has the case.
    """
    gone = edge.answer.detail
    if (said.agency, str(said.edge_id)) != (gone.get("agency"), gone.get("edge_id")):
        raise Refused(_UNMATCHED)
    if any(each.answer.acts for each in others if each.edge_id == said.edge_id):
        raise Refused(_EXISTS)


def unmatched(message: Received, edges: Mapping[tuple[UUID, str], Sequence[OpenEdge]], rows: Sequence[Act]) -> str:
    """Return the code for an answer without a matching edge.

    Another agency may have referred the case to the sender, and that agency's message may still be in transit. Then the
    answer waits.
    """
    sent = [edge for (subject, _), each in edges.items() if str(subject) == message.subject for edge in each]
    ours = any(edge.party == message.recipient and not edge.withdrawn for edge in sent)
    return ACT_AWAITED if ours and any(row.subject is Subject.CASE for row in rows) else _UNMATCHED


def take(edge: OpenEdge, message: Received, rows: Sequence[Act]) -> EdgeUpdate:
    """Return the edge after an answer, by the acts of its message.

    Raises `Refused`: `answer_unmatched`, `time_ahead`, `time_early`, and the errors of `answer_edge`.
    """
    clear, present = message.clear, edge.answer
    if isinstance(clear, NoticeAnsweredClear):
        check_times(clear.items, message.sent_at, notice_id=message.subject_id)
    elsewhere = message.sender_instance != edge.instance
    if elsewhere and message.sender_instance not in edge.instances_before:
        raise Refused(_UNMATCHED)
    if elsewhere and (edge.withdrawn or not edge.forwarded):
        return EdgeUpdate(present, edge.forwarded)
    if not elsewhere and edge.forwarded:
        known = [each for each in edge.forwarded if isinstance(clear, Answer) and each.acts < clear.number]
        if not known:
            raise Refused("answer_repeated")
        present = max(known, key=lambda each: each.acts)
    amended = EdgeAmendments(edge.revision, edge.gone)
    after = answer_edge(present, rows, clear, withdrawn=edge.withdrawn, own=edge.items, amended=amended)
    return EdgeUpdate(after, (*edge.forwarded, after), needs_send=True) if elsewhere else EdgeUpdate(after)


def _judged(code: str | None, message: Received, edge: OpenEdge, *, taken: Mapping[UUID, EdgeUpdate]) -> ActResult:
    """Return the stored form of an act. For an applied act it includes the content that the party is shown."""
    if code is not None:
        return ActResult(code, edge.referral_id, edge.party)
    sealed = message.sealed
    return ActResult(
        None,
        edge.referral_id,
        edge.party,
        taken[edge.edge_id].answer,
        said_in(message.clear, own=edge.items),
        sealed.case_reference if isinstance(sealed, CaseRecord) else None,
    )


def _after(edge: OpenEdge, taken: EdgeUpdate | None) -> OpenEdge:
    return edge if taken is None else replace(edge, answer=taken.answer, forwarded=taken.forwarded)


def _act_of(message: Received) -> AnswerAct | None:
    clear = message.clear
    return AnswerAct(UUID(message.subject), message.sender, clear.act) if isinstance(clear, Answer) else None


def _event(kind: Act, edge: OpenEdge, answer: EdgeAnswer) -> Event:
    """Return the event for the origin's party: its referral, the recipient, and the new state of the edge."""
    what = event_type(kind.subject, kind.name)
    return Event(edge.party, what, edge.referral_id, state=answer.state.value, by=edge.recipient)


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
    await debit_one(cost(content).whole, acting, is_p0=urgent, released=True)
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
    await _report_review(found, RELEASE, ReviewOutcome.RELEASED, state=again.disposition, acting=acting)
    return again.disposition


async def drop_referral(referral_id: UUID, acting: Actor) -> str:
    """Erase a referral that another person has filed. Return its new state. Raises as `release_referral`."""
    found = await _found(referral_id, DROP, acting)
    if not await PostgresReviews(acting.referrals.driver, acting.kek).drop(referral_id, acting.actor):
        raise state_forbids()
    await _report_review(found, DROP, ReviewOutcome.DROPPED, state=ReferralState.DROPPED, acting=acting)
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


async def _report_review(found: PendingReview, act: Act, outcome: ReviewOutcome, *, state: str, acting: Actor) -> None:
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
