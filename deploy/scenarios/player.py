"""Play stories over the parties' own APIs, and report each difference from the story's file.

A step waits until its party has the subject, and afterwards until all reached parties have the act. So timelines have
one order, on any machine.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

import httpx
from pydantic import JsonValue

from client.api import CausewayClient
from client.problem import ApiProblem
from client.views import EdgeView, TimelineEntry
from deploy.scenarios.story import Scenario, ScenarioStep, TimelineStep, WaitStep, WorkItemStep, filled, referral_like
from shared.core.acts.act import Track
from shared.core.acts.states import collection
from shared.core.clock import SystemClock, rfc3339
from shared.core.errors import Refused

#: Seconds that a step waits for the other side.
PATIENCE_S: Final = 120.0
#: The end of a story waits for this part of it: parties have the last act by then.
_PART: Final = 4
_POLL_S: Final = 0.2
#: Deadline events: a story's timelines contain them only if the story lists them.
_CLOCK: Final = "clock."
#: An edge in these states has no notice yet.
_UNSENT: Final = frozenset({"planned", "recipient_cannot_read"})
#: Seconds of an issue slot for stories: a notice without a hold is sent at once.
ISSUE_SLOT_S: Final = "1"
_TIME_OR_ID: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T|[0-9a-f]{8}-[0-9a-f]{4}-")
_WHEN: Final = re.compile(r"now(?:\+([0-9]{1,5})s)?")


class _Names(dict[str, str]):
    """Values of `{name}` in a story's texts: parties, ids, its number; `now`, `now+9s` at the time of use."""

    def __missing__(self, name: str) -> str:
        when = _WHEN.fullmatch(name)
        if when is None:
            raise KeyError(name)
        return rfc3339(SystemClock().now() + timedelta(seconds=int(when[1] or 0)))


class ActResponse(NamedTuple):
    """The answer to an act: `code` of a refusal, otherwise the body."""

    status: int
    code: str | None
    body: Mapping[str, JsonValue]


class PartyKey(NamedTuple):
    """The address of a party's service, and its key."""

    url: str
    key: str


@asynccontextmanager
async def over_http(access: Mapping[str, PartyKey]) -> AsyncIterator[ScenarioSite]:
    """Open the stage of a running exchange, with the keys of its parties."""
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as http:
        yield ScenarioSite(access, http)


@dataclass(frozen=True, slots=True)
class ScenarioSite:
    """A running exchange, and the parties' addresses and keys."""

    access: Mapping[str, PartyKey]
    #: One client for all parties: each client would read all the authorities of this system.
    http: httpx.AsyncClient

    async def post(self, party: str, path: str, body: JsonValue, *, revision: int | None = None) -> ActResponse:
        access = self.access[party]
        headers = {"Authorization": f"Bearer {access.key}", "Idempotency-Key": secrets.token_hex(16)}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        answer = await self.http.post(access.url + path, json=body, headers=headers)
        found = answer.json()
        return ActResponse(answer.status_code, found.get("code") if answer.is_error else None, found)

    async def edges(self, origin: str, referral_id: UUID) -> Sequence[EdgeView]:
        return (await self._client(origin).show(referral_id)).edges

    async def timeline(self, party: str, subject: UUID) -> Sequence[TimelineEntry]:
        try:
            return await self._client(party).timeline(subject)
        except ApiProblem as problem:
            if problem.code != "not_found":
                raise
            return ()

    async def work(self, party: str) -> Mapping[UUID, Sequence[tuple[UUID, int]]]:
        found = [each async for page in self._client(party).work_items() for each in page.items]
        return {each.work_item: [(item.notice_id, item.n) for item in each.items] for each in found}

    async def listed(self, party: str, subject: UUID) -> Sequence[str]:
        rows = [row async for page in self._client(party).attention() for row in page.items if row.subject == subject]
        return sorted(" ".join(filter(None, (*row.reasons, row.code, row.clock, row.mend))) for row in rows)

    def _client(self, party: str) -> CausewayClient:
        access = self.access[party]
        return CausewayClient(access.url, access.key, http=self.http)


@dataclass(frozen=True, slots=True)
class ObservedTimeline:
    """One subject's timeline at one party and its lines on the attention list, with the story's expectation."""

    party: str
    subject: UUID
    entries: Sequence[TimelineEntry]
    lines: Sequence[str]
    listed: Sequence[str]
    wanted: TimelineStep

    @property
    def as_told(self) -> bool:
        return (tuple(self.lines), tuple(self.listed)) == (self.wanted.shows, self.wanted.listed)


@dataclass(frozen=True, slots=True)
class ObservedWorkItem:
    """A work item as its provider sees it: the notices with open items about one location."""

    party: str
    work_item: UUID
    notices: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of a story. `differences` are sentences; there is none if the story went as written."""

    name: str
    title: str
    tells: str
    timelines: Sequence[ObservedTimeline]
    differences: Sequence[str]
    groups: Sequence[ObservedWorkItem]


async def play(story: Scenario, stage: ScenarioSite, *, patience_s: float = PATIENCE_S) -> ScenarioResult:
    """Play one story from its first step to the final timelines."""
    return await _ScenarioRun(story, stage, patience_s).whole()


@dataclass
class _ScenarioRun:
    """One running story. `ids`: the story's name of a subject → its id; `origins`: → its origin."""

    story: Scenario
    stage: ScenarioSite
    patience_s: float
    ids: dict[str, UUID] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    names: _Names = field(init=False)
    groups: list[ObservedWorkItem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = _Names(self.story.parties, n=secrets.token_hex(6))

    async def whole(self) -> ScenarioResult:
        for number, step in enumerate(self.story.step, 1):
            problem = None
            try:
                match step:
                    case ScenarioStep():
                        problem = await self._do(step)
                    case WaitStep():
                        await self._wait(step)
                    case WorkItemStep():
                        await self._group(step)
            except TimeoutError:
                problem = "the expected event does not arrive"
            if problem is not None:
                return self._played((), f"step {number}: {problem}")
        seen = [await self._seen(shows) for shows in self.story.timeline]
        wrong = (
            f"{each.wanted.at} of {each.wanted.of}: {[*each.lines, *each.listed]}" for each in seen if not each.as_told
        )
        return self._played(seen, *wrong)

    def _played(self, seen: Sequence[ObservedTimeline], *differences: str) -> ScenarioResult:
        return ScenarioResult(self.story.name, self.story.title, self.story.tells, seen, differences, self.groups)

    async def _do(self, deed: ScenarioStep) -> str | None:
        """Do an act; return the fault of its answer, if there is one."""
        path, body = await self._asked(deed)
        before = await self._reached(deed)
        answer = await self.stage.post(self.story.parties[deed.by], path, body, revision=deed.revision)
        if (answer.status, answer.code) != (deed.status, deed.code):
            return f"{deed.by} {deed.does}: {answer.status} {answer.code or ''}"
        filed = deed.does == "referral.submit" and answer.code is None
        self.ids |= {name: UUID(str(answer.body[member])) for name, member in deed.names.items()}
        if filed:
            self.ids[deed.of], self.origins[deed.of] = UUID(str(answer.body["referral_id"])), deed.by
        self.names.update({name: str(each) for name, each in self.ids.items()})
        counts = dict.fromkeys(self._readers(deed), 0) if filed else before
        for name, count in counts.items() if answer.code is None else ():
            await self._until(lambda name=name, count=count: self._more(name, deed.of, count))  # type: ignore[misc]
        return None

    async def _asked(self, deed: ScenarioStep) -> tuple[str, JsonValue]:
        """Return path and body of an act. Wait until a recipient has its subject."""
        if deed.does == "referral.submit":
            return "/v1/referrals", referral_like(self.story.filed[deed.files or deed.of], names=self.names)
        body = filled(deed.said, self.names)
        if deed.files is not None:
            body = referral_like(self.story.filed[deed.files], names=self.names)
        if deed.path is not None:
            return deed.path.format_map(self.names), body
        row = deed.row
        if row is None:
            raise Refused("act_unknown", f"no row of acts has the name {deed.does}")
        if row.track is Track.ANSWER:
            await self._until(lambda: self._acts(deed.by, deed.of))
        subject = await self._subject(deed.by, deed.of)
        return f"/v1/{collection(row)}/{subject}:{row.name.replace('_', '-')}", body

    # -- reached parties ------------------------------------------------------------------------------------

    async def _reached(self, deed: ScenarioStep) -> Mapping[str, int]:
        """Return the parties that an act reaches, and the number of acts that each of them had before."""
        if deed.of not in self.ids:
            return {}
        return {name: len(await self._acts(name, deed.of)) for name in self._readers(deed)}

    def _readers(self, deed: ScenarioStep) -> Sequence[str]:
        if deed.reaches is not None:
            return deed.reaches
        origin = self.origins.get(deed.of, deed.by)
        return [origin] if deed.by != origin else sorted(set(self.story.reached(deed.of)) - {deed.by})

    async def _more(self, name: str, of: str, count: int) -> bool:
        return len(await self._acts(name, of)) > count

    async def _wait(self, step: WaitStep) -> None:
        called = self._called()

        async def there() -> bool:
            subject = await self._subject(step.at, step.of)
            entries = await self.stage.timeline(self.story.parties[step.at], subject)
            count = sum(line(each, called).startswith(step.until) for each in entries)
            listed = await self.stage.listed(self.story.parties[step.at], subject) if step.listed else ()
            return count >= step.count and (step.listed is None or step.listed in listed)

        await self._until(there)

    async def _group(self, step: WorkItemStep) -> None:
        party = self.story.parties[step.at]

        async def one() -> bool:
            wanted = {await self._subject(step.at, of) for of in step.groups}
            for work_item, items in (await self.stage.work(party)).items():
                if {notice for notice, _ in items} == wanted == {notice for notice, n in items if n == step.n}:
                    self.names[step.names] = str(work_item)
                    self.groups.append(ObservedWorkItem(party, work_item, sorted(wanted)))
                    return True
            return False

        await self._until(one)

    # -- results --------------------------------------------------------------------------------------------

    async def _seen(self, shows: TimelineStep) -> ObservedTimeline:
        """Return the timeline once it matches the story, or at the time limit."""
        found: list[ObservedTimeline] = []

        async def as_told() -> bool:
            found.append(await self._look(shows))
            return found[-1].as_told

        with suppress(TimeoutError):
            await self._until(as_told, self.patience_s / _PART)
        return found[-1]

    async def _look(self, shows: TimelineStep) -> ObservedTimeline:
        party, subject = self.story.parties[shows.at], await self._subject(shows.at, shows.of)
        entries = await self.stage.timeline(party, subject)
        clocks = any(each.startswith(_CLOCK) for each in shows.shows)
        shown = [each for each in entries if clocks or not each.type.startswith(_CLOCK)]
        lines = [line(each, self._called()) for each in shown]
        return ObservedTimeline(party, subject, shown, lines, await self.stage.listed(party, subject), shows)

    async def _subject(self, name: str, of: str) -> UUID:
        """Return a party's id of the subject: a notice's recipient knows only the notice id, after it was issued.

        From then on it is `{OF/NAME}`.
        """
        known, called = self.ids[of], f"{of}/{name}"
        if of not in self.origins or name == self.origins[of]:
            return known
        if called not in self.names:
            edges = await self.stage.edges(self.story.parties[self.origins[of]], known)
            sent = [
                edge for edge in edges if edge.recipient == self.story.parties[name] and edge.delivery not in _UNSENT
            ]
            if not sent:
                return known
            self.names[called] = str(sent[-1].notice_id or known)
        return UUID(self.names[called])

    async def _acts(self, name: str, of: str) -> Sequence[TimelineEntry]:
        entries = await self.stage.timeline(self.story.parties[name], await self._subject(name, of))
        return [each for each in entries if not each.type.startswith(_CLOCK)]

    def _called(self) -> Mapping[str, str]:
        return {party: name for name, party in self.story.parties.items()}

    async def _until(self, holds: Callable[[], Awaitable[object]], patience_s: float | None = None) -> None:
        deadline = monotonic() + (patience_s or self.patience_s)
        while not await holds():
            if monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(_POLL_S)


def line(entry: TimelineEntry, called: Mapping[str, str]) -> str:
    """Format `TYPE STATE by PARTY word=code …`, without times and ids.

    `called`: party → its name in the story.
    """
    parts = [entry.type]
    if entry.state is not None:
        parts.append(entry.state)
    if entry.by is not None:
        parts.append(f"by {called.get(entry.by, entry.by)}")
    return " ".join([*parts, *_words(entry.said or {}, called)])


def _words(details: Mapping[str, JsonValue], called: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(details.items()):
        match value:
            case list():
                yield from (each for item in value if isinstance(item, dict) for each in _item(item, called))
                yield from (f"{name}={item}" for item in value if isinstance(item, str) and not _TIME_OR_ID.match(item))
            case dict():
                yield from _words(value, called)
            case str() if not _TIME_OR_ID.match(value):
                yield f"{name}={called.get(value, value)}"


def _item(item: Mapping[str, JsonValue], called: Mapping[str, str]) -> Iterator[str]:
    number = item.get("n")
    for name, value in sorted(item.items()):
        if isinstance(value, str) and not _TIME_OR_ID.match(value):
            yield f"{'' if number is None else f'{number}:'}{name}={called.get(value, value)}"
