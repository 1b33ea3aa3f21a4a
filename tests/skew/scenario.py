"""Releases N and N−1 over one Kafka and one PostgreSQL: what is filed and answered, and what became of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from shared.contracts.answers import ItemStatement
from shared.vocabulary.answers import CaseOutcome, NoticeRejection, YesNoUnknown
from tests.skew.releases import Release
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, clean_environment, referral, until
from tests.support.stack import servers

AFTER, BEFORE = Release.AFTER, Release.BEFORE
#: Within so long, in seconds, what waited or was deferred is to be applied after the upgrade; the test waits tenfold.
AIM_S: Final = 60.0
#: What each kind of referral needs of its reader: nothing that N−1 lacks, a member, a code.
KINDS: Final[Sequence[Mapping[str, Any]]] = (
    {},
    {"correlations": [{"system": "iccam_report", "ref": "4711"}]},
    {"incident_flags": ["viral"]},
)


@dataclass(frozen=True, slots=True)
class Process:
    """Which release an instance is, and what its process is `without`: a control."""

    release: Release
    without: tuple[str, ...] = ()

    def program(self) -> list[str]:
        words = [word for control in self.without for word in ("--without", control)]
        return ["-m", "tests.skew.release", self.release.value, *words]


@dataclass
class Skewed:
    """An exchange whose instances are of two releases. Audit is of the newest one: it is upgraded first."""

    exchange: Exchange
    running: dict[str, Process] = field(default_factory=dict)

    def become(self, **wanted: Process) -> None:
        """Let these instances run as these processes from now on."""
        changed = {name: process for name, process in wanted.items() if self.running.get(name) != process}
        self.exchange.stop(*(name for name in changed if name in self.exchange.processes))
        for name, process in changed.items():
            self.exchange.serve(name, program=process.program())
        for name in changed:
            self.exchange.wait_ready(name)
        self.running |= changed

    async def upgrade(self, load: Coroutine[Any, Any, object], **wanted: Process) -> None:
        """Let these instances run as these processes from now on, while the load goes on."""
        async with asyncio.TaskGroup() as both:
            both.create_task(load)
            both.create_task(asyncio.to_thread(self.become, **wanted))

    def restart(self, instance: str) -> None:
        """From its start on an instance knows what it has heard; while it runs, it looks now and then."""
        process = self.running.pop(instance)
        self.exchange.stop(instance)
        self.become(**{instance: process})

    async def until_heard(self, by: str, **peers: Release) -> None:
        """Wait until instance `by` knows that its peers read what these releases read."""
        versions = {name: 2 if release is AFTER else 1 for name, release in peers.items()}
        await until(partial(self._heard, by, versions))

    async def _heard(self, by: str, versions: Mapping[str, int]) -> bool:
        rows = await self.rows(by, "SELECT instance, reads::text FROM peer WHERE reads IS NOT NULL")
        said = {row["instance"]: row["reads"] for row in rows}
        return all(f'"name": "referral_offered", "version": {v}' in said.get(name, "") for name, v in versions.items())

    async def rows(self, instance: str, query: str, *arguments: Any) -> list[Any]:
        connection = await self.exchange.admin(instance)
        try:
            found: list[Any] = await connection.fetch(query, *arguments)
            return found
        finally:
            await connection.close()

    async def outcomes(self, *instances: str) -> Counter[str]:
        """What became of the messages between parties in these inboxes."""
        counted: Counter[str] = Counter()
        for instance in instances:
            for row in await self.rows(instance, "SELECT outcome FROM inbox WHERE position('.' IN sender) > 0"):
                counted[row["outcome"]] += 1
        return counted

    async def waiting(self) -> int:
        """Edges that wait at the origin because their recipient cannot read them."""
        [row] = await self.rows("hotline", "SELECT count(*) FROM edge WHERE state = 'waiting'")
        return int(row["count"])

    async def work(self, party: str, reason: str) -> set[UUID]:
        """The referrals on the party's work list for this reason."""
        async with self.exchange.client(party) as client:
            return {item.referral_id async for page in client.work(reason=reason) for item in page.items}

    async def open(self) -> int:
        """Messages between parties that have no last word yet, at all their senders."""
        query = "SELECT count(*) FROM outbox WHERE NOT done"
        return sum([row["count"] for name in SENDERS for row in await self.rows(name, query)])

    async def refused(self) -> list[str]:
        """Each refused message: what was sent at its origin for the same referral, and what its recipient has heard."""
        told: list[str] = []
        for name in SENDERS[1:]:
            for row in await self.rows(name, _REFUSED):
                told.append(f"{name} refused {dict(row)}")
                told += [f"  sent {dict(each)}" for each in await self.rows("hotline", _SENT, row["message_id"])]
        return told

    def differences(self) -> list[str]:
        """What the accounts say that does not add up, as the release that knows all of it reads them."""
        command = [sys.executable, "-m", "tests.skew.accounts", str(self.exchange.state)]
        ran = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=180, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()


_REFUSED: Final = "SELECT * FROM inbox WHERE outcome = 'refused' AND position('.' IN sender) > 0"
_SENT: Final = """
SELECT e.*, o.position, o.outcome, o.code FROM edge AS e LEFT JOIN outbox AS o ON o.message_id = e.message_id
WHERE (e.referral_id, e.recipient) IN (SELECT referral_id, recipient FROM edge WHERE message_id = $1)
ORDER BY e.decided_at, e.edge_id
"""
SENDERS: Final = ("hotline", "law_enforcement", "industry")


@contextmanager
def skewed_exchange(state: Path) -> Iterator[Skewed]:
    """Servers, with no instance but audit's running yet."""
    with servers(state) as stack:
        exchange = Exchange(stack)
        try:
            skewed = Skewed(exchange)
            skewed.become(audit=Process(AFTER))
            yield skewed
        finally:
            exchange.kill_all()


async def file(skewed: Skewed, count: int) -> list[UUID]:
    """`count` referrals of a hotline, each kind in turn."""
    filed: list[UUID] = []
    async with skewed.exchange.client(HOTLINE) as client:
        for start in range(0, count, 20):
            batch = [referral(**KINDS[number % len(KINDS)]) for number in range(start, min(start + 20, count))]
            answers = await client.submit_batch(batch)
            filed += [answer.referral_id for answer in answers if answer.referral_id is not None]
    return filed


async def offered(skewed: Skewed) -> AsyncIterator[UUID]:
    """What waits for the agency."""
    async with skewed.exchange.client(AGENCY) as agency:
        async for page in agency.inbox(state="offered"):
            for item in page.items:
                yield item.referral_id


async def answer_with_new_words(skewed: Skewed, count: int) -> int:
    """The agency reports outcomes, the provider a reason, that N−1 has never heard of; how many messages that is."""
    said = 0
    async with skewed.exchange.client(AGENCY) as agency, skewed.exchange.client(PROVIDER) as provider:
        for referral_id in [each async for each in offered(skewed)][:count]:
            await agency.accept_case(referral_id)
            await agency.report_outcome(
                referral_id,
                CaseOutcome.ARREST,
                child_identified=YesNoUnknown.UNKNOWN,
                child_safeguarded=YesNoUnknown.UNKNOWN,
            )
            said += 1
        notices = [notice async for page in provider.notices(state="issued") for notice in page.items]
        for notice in notices[:count]:
            await provider.answer_notice(notice.notice_id, [ItemStatement(rejection=NoticeRejection.TECHNICAL)])
            said += 1
    return said


async def until_all(skewed: Skewed, *, last_word: int = 0) -> float:
    """Wait until no edge waits and at most so many messages have no last word; how many seconds that took."""
    began = time.monotonic()

    async def reached() -> bool:
        return await skewed.waiting() == 0 and await skewed.open() <= last_word

    await until(reached, seconds_max=10 * AIM_S)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Side:
    """What one way round showed: messages held back, outcomes before the upgrade and after, and how long that took."""

    held_back: int
    before: Counter[str]
    after: Counter[str]
    took_s: float

    def line(self) -> str:
        applied = self.after["applied"]
        return f"{self.held_back} held back, {applied} applied, the last {self.took_s:.0f} s after the upgrade"


async def origin_ahead(skewed: Skewed, count: int, *, seen: Callable[[], Awaitable[None]] | None = None) -> Side:
    """The hotline's instance is of N, who is sent to of N−1, then of N; a fourth is filed meanwhile, after `seen`."""
    skewed.become(hotline=Process(AFTER), law_enforcement=Process(BEFORE), industry=Process(BEFORE))
    await skewed.until_heard("hotline", law_enforcement=BEFORE, industry=BEFORE, hotline=AFTER)
    skewed.restart("hotline")
    earlier = await skewed.outcomes(*SENDERS)
    meanwhile = count // 4
    await file(skewed, count - meanwhile)
    held_back = await skewed.waiting()

    async def others_applied() -> bool:
        return await skewed.open() == 0

    await until(others_applied, seconds_max=10 * AIM_S)
    before = await skewed.outcomes(*SENDERS) - earlier
    if seen is not None:
        await seen()
    await skewed.upgrade(file(skewed, meanwhile), law_enforcement=Process(AFTER), industry=Process(AFTER))
    took_s = await until_all(skewed)
    return Side(held_back, before, await skewed.outcomes(*SENDERS) - earlier, took_s)


async def recipients_ahead(skewed: Skewed, count: int) -> Side:
    """Agency and provider are of N and say what is new, a fourth while the hotline's instance becomes N too."""
    skewed.become(law_enforcement=Process(AFTER), industry=Process(AFTER), hotline=Process(BEFORE))
    await skewed.until_heard("law_enforcement", hotline=BEFORE)
    earlier = await skewed.outcomes(*SENDERS)
    await file(skewed, count)
    await until_all(skewed)
    meanwhile = count // 4
    said = await answer_with_new_words(skewed, count - meanwhile)

    async def all_deferred() -> bool:
        return (await skewed.outcomes("hotline") - earlier)["deferred"] >= said

    await until(all_deferred, seconds_max=10 * AIM_S)
    before = await skewed.outcomes(*SENDERS) - earlier
    await skewed.upgrade(answer_with_new_words(skewed, meanwhile), hotline=Process(AFTER))
    took_s = await until_all(skewed)
    return Side(said, before, await skewed.outcomes(*SENDERS) - earlier, took_s)
