"""Sample parties at work, many in one process: each waits for an event, reads its lists, and answers.

They use only the client. The process prints its acts and problems as JSON lines on standard output, with parties and
codes only.

A party's answer to a subject is derived from the seed, the party and the id, never from a clock.

The proportions in `shares.json` are invented so that every answer occurs; README.md compares them with published
figures. An act is a line of a batch: the name of its row, and its fields.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from pydantic import JsonValue

from client.api import BATCH_MAX, CausewayClient
from client.problem import ApiProblem
from client.views import InboxItem, NoticeView, PageView
from shared.catalog import CATALOG
from shared.core.acts.act import Subject, Track
from shared.core.clock import Clock, rfc3339
from shared.core.contracts.answers import RetentionStatement, WithdrawalAnswer
from shared.core.errors import Defect, Unavailable
from shared.core.vocabulary.answers import HotlineAssessment, KeptBasis, WithdrawalFate
from shared.core.vocabulary.judgement import RetentionClass
from shared.core.vocabulary.routing import PartyKind

ChoiceT = TypeVar("ChoiceT")
_DRAWN: Final = json.loads(Path(__file__).with_name("shares.json").read_bytes())
#: By kind of draw: each choice with its percentage. Every hotline answers, because no other party answers an offer.
SHARES: Final[Mapping[str, Mapping[str, int]]] = _DRAWN["shares"]
#: The findings that need a reason, and their reasons.
REASONS: Final[Mapping[str, Sequence[str]]] = _DRAWN["reasons"]


class SampleAct(NamedTuple):
    """One act: the name of its row, and its fields."""

    act: str
    said: Mapping[str, JsonValue]


class BehaviourDraw:
    """Choices by hash: one seed, party and id always give the same answer, in any order."""

    def __init__(self, seed: str, party: str, subject: UUID) -> None:
        self._drawn_from = f"{seed}/{party}/{subject}"

    def one_of(self, what: str) -> str:
        """Return one of the choices, each in its share of 100."""
        left = self._number(what) % 100
        for choice, share in SHARES[what].items():
            left -= share
            if left < 0:
                return choice
        raise Defect("shares_below_100")

    def among(self, what: str, choices: Sequence[ChoiceT]) -> ChoiceT | None:
        """Return one of the choices, all equally often; None if there are none."""
        return choices[self._number(what) % len(choices)] if choices else None

    def reference(self) -> str:
        """Return an invented case reference."""
        return f"CASE-{self._number('reference') % 10**9:09d}"

    def _number(self, what: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._drawn_from}/{what}".encode()).digest()[:8], "big")


def hotline_acts(draw: BehaviourDraw) -> Sequence[SampleAct]:
    """Return a hotline's acts on an offer, in order. It always answers."""
    drawn = draw.one_of("hotline")
    if drawn == "decline":
        return [_decline(draw)]
    return [SampleAct("accept", {}), *([_assess(draw)] if drawn == "assess" else [])]


def agency_acts(draw: BehaviourDraw) -> Sequence[SampleAct]:
    """Return an agency's acts on a case, in order; none if it does not answer."""
    match draw.one_of("agency"):
        case "accept":
            return [SampleAct("accept", {"case_reference": draw.reference()}), *_reports(draw)]
        case "decline":
            return [_decline(draw)]
        case _:
            return []


def provider_acts(draw: BehaviourDraw, others: Sequence[str], at: datetime) -> Sequence[SampleAct]:
    """Return a provider's acts on a notice, in order; none if it does not answer.

    `others` are providers to suggest; `at` is the effective time of its actions.
    """
    match draw.one_of("provider"):
        case "acknowledge then action":
            return [SampleAct("acknowledge", {}), _action(draw, at)]
        case "action":
            return [_action(draw, at)]
        case "acknowledge":
            return [SampleAct("acknowledge", {})]
        case "reject":
            return [SampleAct("answer", {"items": [{"rejection": draw.one_of("reject")}]})]
        case "not ours":
            suggested = draw.among("suggested", others)
            return [SampleAct("not_ours", {"disowned": [{} if suggested is None else {"suggested": suggested}]})]
        case _:
            return []


def _decline(draw: BehaviourDraw) -> SampleAct:
    return SampleAct("decline", {"reason": draw.one_of("decline")})


def _assess(draw: BehaviourDraw) -> SampleAct:
    """Return a hotline's assessment of every item and its action; codes that need a reason get one."""
    words = draw.one_of("findings").split(" + ")
    reason = draw.among("reason", next((REASONS[word] for word in words if word in REASONS), ()))
    why: dict[str, JsonValue] = {} if reason is None else {"reason": reason}
    judged = set(map(str, HotlineAssessment))
    return SampleAct(
        "assess", {"assessed": [{"assessment" if each in judged else "action": each, **why} for each in words]}
    )


def _action(draw: BehaviourDraw, at: datetime) -> SampleAct:
    actions = draw.one_of("actions").split(" + ")
    return SampleAct("answer", {"items": [{"action": each, "effective_at": rfc3339(at)} for each in actions]})


def _reports(draw: BehaviourDraw) -> Sequence[SampleAct]:
    """Return an agency's outcomes of a case; the last one may close it."""
    first, last = draw.one_of("first"), draw.one_of("last")
    identified = draw.one_of("identified")
    safeguarded = draw.one_of("safeguarded") if identified == "yes" else "unknown"
    reason: dict[str, JsonValue] = {"close_reason": draw.one_of("close")} if last == "closed" else {}
    reports = [_report(first, "unknown", "unknown"), _report(last, identified, safeguarded, **reason)]
    return reports[: 0 if first == "none" else 1 if last == "none" else 2]


def _report(outcome: str, identified: str, safeguarded: str, **reason: JsonValue) -> SampleAct:
    children = {"child_identified": identified, "child_safeguarded": safeguarded}
    return SampleAct("outcome", {"outcome": outcome, **children, **reason})


def _acknowledged(kept: KeptBasis | None) -> SampleAct:
    fate = WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT
    keeping = kept and RetentionStatement(retention=RetentionClass.MINIMAL, basis=kept, until=date(2099, 1, 1))
    said = WithdrawalAnswer(fate=fate, kept=keeping or None)
    return SampleAct("acknowledge_withdrawal", said.model_dump(mode="json", exclude_none=True))


#: A withdrawn record is erased, if the service permits it.
ERASED: Final = _acknowledged(None)
#: By code of a refused erasure: the acknowledgement with retention grounds, for an accepted case or an actioned notice.
KEPT: Final[Mapping[str, SampleAct]] = {
    "case_is_kept": _acknowledged(KeptBasis.ACCEPTED_CASE),
    "notice_is_kept": _acknowledged(KeptBasis.OPEN_COMPLAINT),
}


#: Seconds between two rounds; all events within a pause are answered together, many in one request.
PAUSE_S: Final = 1.0
WAIT_S: Final = 20
#: The longest pause after repeated problems.
PAUSE_S_MAX: Final = 10.0
LOOKS_AT_ONCE_MAX: Final = 16
#: Every tenth reading is complete, including the first. After this many waits without an event a party reads, too.
THOROUGH_EVERY: Final = 10
_WITHDRAWN: Final = "withdrawn"


class RunStatistics:
    """The counts of acts and problems. Each party's first problem of a code is printed at once."""

    def __init__(self) -> None:
        self._acts: Counter[str] = Counter()
        self._problems: Counter[tuple[str, str]] = Counter()

    def did(self, act: str) -> None:
        self._acts[act] += 1

    def met(self, party: str, code: str) -> None:
        self._problems[party, code] += 1
        if self._problems[party, code] == 1:
            say("problem", party=party, code=code)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return acts by name, problems by code."""
        problems: Counter[str] = Counter()
        for (_, code), count in self._problems.items():
            problems[code] += count
        return {"acts": dict(sorted(self._acts.items())), "problems": dict(sorted(problems.items()))}


def say(event: str, **fields: object) -> None:
    """Print one line at once."""
    sys.stdout.write(json.dumps({"event": event, **fields}, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Duties(NamedTuple):
    """The work of a kind of party: the kind of subject, the state of new ones, and the acts on each, in order.

    `half_way`: states that an interruption may have left, with the number of acts already done.
    """

    subject: Subject
    new: str
    half_way: Mapping[str, int]
    acts: Callable[[UUID], Sequence[SampleAct]]


def work_of(kind: PartyKind, party: str, *, seed: str, clock: Clock, others: Sequence[str] = ()) -> Duties:
    """Return the work of a party of this kind.

    A provider suggests one of the `others` for an item of another.
    """

    def drawn(subject: UUID) -> BehaviourDraw:
        return BehaviourDraw(seed, party, subject)

    match kind:
        case PartyKind.HOTLINE:
            return Duties(Subject.OFFER, "offered", {"accepted": 1}, lambda each: hotline_acts(drawn(each)))
        case PartyKind.LAW_ENFORCEMENT:
            return Duties(Subject.CASE, "offered", {"ongoing": 2, "accepted": 1}, lambda each: agency_acts(drawn(each)))
        case _:
            half_way = {"acknowledged": 1}
            return Duties(
                Subject.NOTICE, "issued", half_way, lambda each: provider_acts(drawn(each), others, clock.now())
            )


class _KeyedAct(NamedTuple):
    """An act on a subject, under a key that is the same after any restart."""

    subject: UUID
    deed: SampleAct
    key: str


@dataclass(eq=False)
class PartyAgent:
    """The work of one party."""

    client: CausewayClient
    party: str
    work: Duties
    _: KW_ONLY
    tally: RunStatistics
    _seen: set[tuple[str, UUID]] = field(default_factory=set, init=False)
    _whole: bool = field(default=False, init=False)
    _after: int = field(default=0, init=False)
    _epoch: UUID | None = field(default=None, init=False)

    async def look(self, *, thoroughly: bool) -> None:
        """Answer new subjects, many at once.

        Lists are newest first, and an unanswered subject stays in its state. So a quick reading ends at the first page
        without a new subject. A complete one reads all pages and finds subjects that arrived late or out of order.
        """
        await self._acknowledge(await self._news(_WITHDRAWN, thoroughly=thoroughly))
        # An interrupted reading, also of an earlier run, may have left subjects half-way.
        for state, done in {} if self._whole else self.work.half_way.items():
            await self._go_on(state, await self._news(state, thoroughly=True), done=done)
        self._whole = False
        await self._go_on(self.work.new, await self._news(self.work.new, thoroughly=thoroughly), done=0)
        self._whole = True

    async def wait_for_event(self, wait_s: int) -> bool:
        """Return whether an event arrives within `wait_s` seconds after which there may be work.

        The first call only notes the position of the feed: the following reading sees everything before it.
        """
        if self._epoch is None:
            page = await self.client.events(limit=1)
            self._after, self._epoch = page.last, page.epoch
            return True
        page = await self.client.events(after=self._after, epoch=self._epoch, wait_s=wait_s)
        self._after = max([self._after, *(event.number for event in page.items)])
        # Only the events of the other side may change the work.
        types = {f"{row.subject}.{row.name}" for row in CATALOG.acts_on(self.work.subject) if row.track is Track.OFFER}
        return any(event.type in types for event in page.items)

    def begin_anew(self) -> None:
        """Forget the position in the feed and all finished work."""
        self._epoch, self._whole = None, False

    async def _news(self, state: str, *, thoroughly: bool) -> list[UUID]:
        """Return the new subjects in a state. Real cases are skipped: a sample party answers only exercises."""
        found: list[UUID] = []
        async for page in self._pages(state):
            new = [item for item in page.items if (state, _id(item)) not in self._seen]
            self._seen |= {(state, _id(item)) for item in new if not item.exercise}
            found += [_id(item) for item in new if item.exercise]
            if not (new or thoroughly):
                break
        return found

    def _pages(self, state: str) -> AsyncIterator[PageView[InboxItem]] | AsyncIterator[PageView[NoticeView]]:
        if self.work.subject is Subject.NOTICE:
            return self.client.notices(state=state)
        return self.client.inbox(state=state)

    async def _go_on(self, state: str, subjects: Sequence[UUID], *, done: int) -> None:
        acts = {subject: self.work.acts(subject)[done:] for subject in subjects}
        await self._do(list(_in_turn(acts, done)))
        self._seen |= {(state, subject) for subject in subjects}

    async def _acknowledge(self, subjects: Sequence[UUID]) -> None:
        refused = await self._do([_KeyedAct(each, ERASED, f"withdrawal.{each}") for each in subjects])
        await self._do([_KeyedAct(subject, KEPT[code], f"kept.{subject}") for subject, code in refused.items()])
        self._seen |= {(_WITHDRAWN, subject) for subject in subjects}

    async def _do(self, lines: Sequence[_KeyedAct]) -> dict[UUID, str]:
        """Send acts in their order. After a refused act, later acts on the same subject are skipped.

        Returns the subjects that must be retained, by code; any other refusal is counted. Some acts are too late: the
        subject was withdrawn, or the act was done before a restart.
        """
        refused: dict[UUID, str] = {}
        left = list(lines)
        while left:
            batch, left = left[:BATCH_MAX], left[BATCH_MAX:]
            results = await self.client.answer_many(self.work.subject, [self._posted(line) for line in batch])
            for line, result in zip(batch, results, strict=True):
                if result.problem is None:
                    self.tally.did(line.deed.act)
                else:
                    refused.setdefault(line.subject, result.problem.code)
            left = [line for line in left if line.subject not in refused]
        for code in refused.values():
            if code not in KEPT:
                self.tally.met(self.party, code)
        return {subject: code for subject, code in refused.items() if code in KEPT}

    def _posted(self, line: _KeyedAct) -> Mapping[str, JsonValue]:
        named = "notice_id" if self.work.subject is Subject.NOTICE else "referral_id"
        return {named: str(line.subject), "act": line.deed.act, "key": line.key, **line.deed.said}


def _in_turn(acts: Mapping[UUID, Sequence[SampleAct]], done: int) -> Iterator[_KeyedAct]:
    """Yield the first acts of all, then the second ones: acts of one name are adjacent and are sent together."""
    for number, wave in enumerate(zip_longest(*acts.values()), done):
        lines = [
            _KeyedAct(subject, each, f"act{number}.{subject}") for subject, each in zip(acts, wave, strict=True) if each
        ]
        yield from sorted(lines, key=lambda line: line.deed.act)


def _id(item: InboxItem | NoticeView) -> UUID:
    return item.referral_id if isinstance(item, InboxItem) else item.notice_id


class AgentScheduler:
    """The readings of all parties. At most 16 read at a time; all may wait."""

    def __init__(self, tally: RunStatistics, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tally = tally
        self._sleep = sleep
        self._at_once = asyncio.Semaphore(LOOKS_AT_ONCE_MAX)

    async def attend(self, desks: Mapping[str, PartyAgent]) -> None:
        """Run all parties until cancelled. The next run completes or repeats an interrupted act."""
        async with asyncio.TaskGroup() as group:
            for number, (party, desk) in enumerate(desks.items()):
                # Spread over the first pause, so that two hundred parties do not start at once.
                group.create_task(self._attend(party, desk, first_pause_s=PAUSE_S * number / len(desks)))

    async def _attend(self, party: str, desk: PartyAgent, *, first_pause_s: float) -> None:
        pause_s, looks, waits = first_pause_s, 0, 0
        while True:
            await self._sleep(pause_s)
            try:
                waits += 1
                came = await desk.wait_for_event(WAIT_S)
                if came or waits >= THOROUGH_EVERY:
                    async with self._at_once:
                        await desk.look(thoroughly=not came or looks % THOROUGH_EVERY == 0)
                    looks, waits = looks + 1, 0
                pause_s = PAUSE_S
            except (ApiProblem, Unavailable) as error:
                self._tally.met(party, error.code)
                desk.begin_anew()
                pause_s, looks = min(max(pause_s, PAUSE_S) * 1.5, PAUSE_S_MAX), 0
