"""The steps of a resync procedure, each within one transaction: ask, answer, and act on answers and on outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby, islice
from typing import Final
from uuid import UUID

from shared.messaging.acks import is_over
from shared.messaging.exceptions import OPEN, Outcome
from shared.messaging.ports import MessageDraft, OpenOutcome, OperatorKind, OperatorLine, Side
from shared.messaging.reactions import LISTED_MAX, Actions, react, side_of
from shared.messaging.resync import (
    DIGEST_BYTES,
    DIGESTS_MAX,
    PAGE_BYTES,
    ClosedIncarnation,
    Holdings,
    HoldingsPart,
    ResyncRequest,
    SideDay,
    compare_part,
    day_key,
    exception_bytes,
    find_differing_days,
    group_by_day,
    holding_bytes,
    is_answer_due,
    note_request,
    paginate,
    select_parts,
    span_of,
    split_rows,
)
from shared.messaging.scope import Scope
from shared.messaging.streams import Incoming, Outgoing, WireRole

#: Days of one request whose rows are stated.
DAYS_MAX: Final = 4000
#: Days, or parts of an answer, whose rows are loaded in one query. Other tasks run meanwhile.
DAYS_PAGE: Final = 20
#: Rows of one side in an answer. No further days are queried then; a later answer begins with another day.
ROWS_MAX: Final = 20_000
#: Subjects that one page of holdings makes this side send again. An answer an hour later finds the others.
SENT_MAX: Final = 5000
#: Closed incarnations on one page.
CLOSED_MAX: Final = 400
#: Subjects that one peer makes this side send again in this time, whatever it states. The time is shorter than
#: `HOLDINGS_PAUSE`, so that the peer's next answer finds the whole share.
SHARE_MAX: Final = 10_000
SHARE_PAUSE: Final = timedelta(minutes=50)


async def draft_request(scope: Scope, peer: str, nonce: UUID, *, is_first: bool) -> list[MessageDraft]:
    """Return the messages of a request: all open exceptions of the peer's messages, in pages."""
    pages = paginate(await list_open(scope, peer), exception_bytes)
    return [
        MessageDraft(
            peer,
            WireRole.RESYNC,
            WireRole.RESYNC,
            None,
            ResyncRequest(nonce, is_first, exceptions, page, is_last=page == len(pages) - 1),
        )
        for page, exceptions in enumerate(pages)
    ]


async def ask(scope: Scope, peer: str, *, is_first: bool) -> None:
    """Ask a peer for its holdings. With `is_first`, the peer asks in its turn."""
    nonce = scope.new_id()
    for draft in await draft_request(scope, peer, nonce, is_first=is_first):
        scope.send(draft)
    scope.asks[peer] = nonce


async def list_open(scope: Scope, peer: str) -> list[Outcome]:
    """Return the outcomes of all exceptions that are kept here of this peer's messages."""
    found: list[Outcome] = []
    after = None
    while rows := await scope.tx.list_exceptions(writer=peer, after=after):
        found += [row.outcome for row in rows]
        after = rows[-1].since, rows[-1].taken.named.message_id
    return found


async def take_request(scope: Scope, incoming: Incoming, request: ResyncRequest) -> None:
    """Take a request: its list of exceptions at once, then answer it now or when the hour is over."""
    peer = incoming.pair.writer
    if request.of is not None:
        await _answer_rows(scope, peer, request)
        return
    await replace_open(scope, peer, request.exceptions, is_begin=request.page == 0)
    if request.is_last:
        await scope.tx.save_resync(note_request(await scope.tx.load_resync(peer), request))
        await answer_request(scope, incoming)


async def answer_request(scope: Scope, incoming: Incoming) -> None:
    """Answer the latest request of a peer, if one is due, and ask in turn if the peer wants that."""
    peer = incoming.pair.writer
    resync = await scope.tx.load_resync(peer)
    nonce = resync.nonce
    if nonce is None or not is_answer_due(resync, scope.now):
        return
    pages = paginate(await list_open(scope, peer), exception_bytes)
    digests = [(side, each) for side in Side for each in await scope.subjects.list_held_days(side, peer)][:DIGESTS_MAX]
    closed = tuple(ClosedIncarnation(incarnation, ends) for incarnation, ends in incoming.closed.items())
    parts: list[tuple[tuple[Outcome, ...], tuple[ClosedIncarnation, ...]]] = [(each, ()) for each in pages[:-1]]
    parts.append((pages[-1], closed[:CLOSED_MAX]))
    parts += [((), closed[start : start + CLOSED_MAX]) for start in range(CLOSED_MAX, len(closed), CLOSED_MAX)]
    if DIGEST_BYTES * len(digests) > PAGE_BYTES // 4:
        parts.append(((), ()))
    for page, (exceptions, group) in enumerate(parts):
        is_last = page == len(parts) - 1
        _send(scope, peer, Holdings(nonce, is_last, page, exceptions, tuple(digests) if is_last else (), group))
    answered = replace(resync, nonce=None, is_first=False, answered_at=scope.now, rows_nonce=nonce)
    await scope.tx.save_resync(answered)
    # If the peer is this instance itself, its own request is open, and another would replace it.
    if resync.is_first and peer != incoming.pair.addressee:
        await ask(scope, peer, is_first=False)


async def _answer_rows(scope: Scope, peer: str, request: ResyncRequest) -> None:
    """Answer the second step of a procedure, once."""
    resync = await scope.tx.load_resync(peer)
    if resync.rows_nonce is None or resync.rows_nonce != request.of:
        return
    await scope.tx.save_resync(replace(resync, rows_nonce=None))
    parts: list[HoldingsPart] = []
    for side in Side:
        days = sorted({of.day for of in request.days[:DAYS_MAX] if of.side is side})
        turn = request.nonce.int % max(1, len(days))
        parts += await _list_parts(scope, peer, side, days=days[turn:] + days[:turn])
    pages = paginate(parts, lambda part: 192 + sum(holding_bytes(row) for row in part.rows))
    for page, group in enumerate(pages):
        _send(scope, peer, Holdings(request.nonce, page == len(pages) - 1, page, parts=group))


async def _list_parts(scope: Scope, peer: str, side: Side, *, days: list[date]) -> list[HoldingsPart]:
    """Return the rows of these days, up to the query that reaches `ROWS_MAX`, in the order of an answer."""
    parts: list[HoldingsPart] = []
    row_count = 0
    while days and row_count < ROWS_MAX:
        page, days = days[:DAYS_PAGE], days[DAYS_PAGE:]
        rows = await scope.subjects.list_held(side, peer, days=page)
        row_count += len(rows)
        by_day = group_by_day(rows, scope.subjects.day_of)
        parts += [part for day in page for part in split_rows(SideDay(side, day), by_day.get(day, ()))]
    return sorted(parts, key=span_of)


def _send(scope: Scope, peer: str, answer: Holdings) -> None:
    scope.send(MessageDraft(peer, WireRole.HOLDINGS, WireRole.HOLDINGS, None, answer))


async def take_holdings(scope: Scope, outgoing: Outgoing | None, peer: str, *, answer: Holdings) -> None:
    """Act on an answer to the latest own request; another one is dropped."""
    if outgoing is None or scope.asks.get(peer, outgoing.resync_nonce) != answer.nonce:
        return
    if scope.answered.get(peer) == answer.nonce:
        return
    resync = await scope.tx.load_resync(peer)
    is_first_step = resync.taken_nonce != answer.nonce
    if is_first_step is (answer.exceptions is None):
        # Each step is taken once. A peer that was restored meanwhile begins a procedure of its own.
        return
    if answer.exceptions is not None:
        await _take_first_step(scope, peer, answer, exceptions=answer.exceptions)
        return
    asked = set(resync.asked_days.split(","))
    due = [part for part in answer.parts if day_key(part.of) in asked]
    if len(due) < len(answer.parts):
        await scope.tx.add_operator_lines([OperatorLine(OperatorKind.UNKNOWN, peer)])
    parts, through = select_parts(due, resync.taken_through)
    is_over = answer.is_last or through == max(asked) + "~"
    await scope.tx.save_resync(replace(resync, taken_through=through, asked_days="" if is_over else resync.asked_days))
    await _take_parts(scope, peer, parts)
    if is_over:
        scope.answered[peer] = answer.nonce


async def _take_first_step(scope: Scope, peer: str, answer: Holdings, *, exceptions: tuple[Outcome, ...]) -> None:
    """Take a page of exceptions. Behind the last one, ask for the rows of the days that differ."""
    await replace_open(scope, peer, exceptions, is_begin=answer.page == 0)
    if not answer.is_last:
        return
    resync = await scope.tx.load_resync(peer)
    here = {side: await scope.subjects.list_own_days(side, peer) for side in Side}
    days = find_differing_days(here, answer.digests)[:DAYS_MAX]
    asked_days = ",".join(map(day_key, days))
    await scope.tx.save_resync(replace(resync, taken_nonce=answer.nonce, taken_through="", asked_days=asked_days))
    if days:
        request = ResyncRequest(answer.nonce, of=answer.nonce, days=days)
        scope.send(MessageDraft(peer, WireRole.RESYNC, WireRole.RESYNC, None, request))
    else:
        scope.answered[peer] = answer.nonce


async def _take_parts(scope: Scope, peer: str, parts: list[HoldingsPart]) -> None:
    """Compare rows of the peer with the own tracks, which are loaded once for parts of one query."""
    subjects, actions = scope.subjects, Actions(peer)
    for side, of_side in groupby(parts, key=lambda part: part.of.side):
        while page := list(islice(of_side, DAYS_PAGE)):
            loaded = await subjects.list_own(side, peer, days={part.of.day for part in page})
            own = group_by_day((each for each in loaded if not subjects.is_day_closed(each.subject)), subjects.day_of)
            for part in page:
                rows = tuple(row for row in part.rows if not subjects.is_day_closed(row.subject))
                compare_part(actions, replace(part, rows=rows), own.get(part.of.day, ()))
    await apply_actions(scope, actions, sent_max=SENT_MAX)


async def replace_open(scope: Scope, peer: str, outcomes: tuple[Outcome, ...], *, is_begin: bool) -> None:
    """Replace the view of the own messages that the peer holds as exceptions; later pages add to it."""
    rows = list_open_outcomes(outcomes, peer, scope.now)
    if is_begin:
        await scope.tx.replace_open_outcomes(peer, rows)
    else:
        await scope.tx.put_open_outcomes(peer, rows)
    await react_to_all(scope, peer, outcomes)


async def apply_outcomes(scope: Scope, peer: str, outcomes: tuple[Outcome, ...]) -> None:
    """Record which own messages the peer holds as exceptions, and react to each outcome."""
    last = {outcome.named.message_id: outcome for outcome in outcomes}
    await scope.tx.put_open_outcomes(peer, list_open_outcomes(outcomes, peer, scope.now))
    ended = [message_id for message_id, outcome in last.items() if outcome.kind not in OPEN]
    await scope.tx.end_open_outcomes(peer, ended)
    await react_to_all(scope, peer, outcomes)


def list_open_outcomes(outcomes: Iterable[Outcome], peer: str, now: datetime) -> list[OpenOutcome]:
    """Return the rows of the outcomes that are open. The last outcome of a message counts."""
    last = {outcome.named.message_id: outcome for outcome in outcomes}
    return [OpenOutcome(peer, at, each.kind, each.code, now) for at, each in last.items() if each.kind in OPEN]


async def react_to_all(scope: Scope, peer: str, outcomes: tuple[Outcome, ...]) -> None:
    """Pass outcomes to the features, and react to them, except on subjects whose day is closed."""
    heard = await scope.inbound.heard(scope, peer, outcomes) if outcomes else ()
    actions = Actions(peer, LISTED_MAX)
    for side in Side:
        these = [
            outcome
            for outcome in heard
            if side_of(outcome.named.role) is side
            and outcome.named.subject is not None
            and not scope.subjects.is_day_closed(outcome.named.subject)
        ]
        subjects = {outcome.named.subject for outcome in these if outcome.named.subject is not None}
        known = await scope.subjects.load_own(side, peer, subjects=subjects) if subjects else {}
        for outcome in these:
            if outcome.named.subject is not None:
                react(actions, outcome, known.get(outcome.named.subject))
    await apply_actions(scope, actions)


async def apply_actions(scope: Scope, actions: Actions, *, sent_max: int = SHARE_MAX) -> None:
    """Carry out actions: notes first, so that a withdrawal goes to each instance that ever got the subject."""
    await _keep_share(scope, actions, sent_max)
    subjects, peer = scope.subjects, actions.peer
    if actions.sent:
        await subjects.note_sent(actions.sent, peer)
    if actions.erased:
        await subjects.note_erased(actions.erased, peer)
    for subject in actions.adoptions:
        await subjects.adopt_withdrawal(subject, peer)
    for subject in actions.withdrawals:
        if subject not in actions.adoptions:
            await subjects.send_withdrawal(subject, peer)
    for subject in actions.states:
        if subject not in actions.adoptions:
            await subjects.send_state(subject)
    for subject in actions.answers:
        await subjects.send_answers(subject, peer)
    for subject in actions.decisions:
        await subjects.decide_again(subject)
    if actions.lines:
        await scope.tx.add_operator_lines(list(actions.lines))


async def _keep_share(scope: Scope, actions: Actions, sent_max: int) -> None:
    """Send no more than this number of subjects again, nor more than the peer's share of an hour, withdrawals first.

    If subjects are left, ask the peer again: it answers when the hour after its last answer is over. A peer that
    answers sooner gets no further request once its share is used.
    """
    if not (due_count := actions.count_sent()):
        return
    resync = await scope.tx.load_resync(actions.peer)
    if is_over(SHARE_PAUSE, since=resync.sent_since, now=scope.now):
        resync = replace(resync, sent_since=scope.now, sent_count=0)
    actions.limit_sent(min(sent_max, SHARE_MAX - resync.sent_count))
    await scope.tx.save_resync(replace(resync, sent_count=resync.sent_count + actions.count_sent()))
    if 0 < actions.count_sent() < due_count:
        await ask(scope, actions.peer, is_first=False)
