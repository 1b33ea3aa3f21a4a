"""Audited or named: the time until audit names a forbidden topic, reads the others, and has a new topic's content.

python -m tests.failures.audited     prints figures; exit code 1 unless each took ten seconds at most
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import UUID

from confluent_kafka.admin import AclOperation
from confluent_kafka.cimpl import NewTopic

from deploy.site.access import access_to, admin_client
from shared.core.ids import uuid4
from tests.failures.delivered import denied, filings
from tests.failures.load import Sender
from tests.support import driver, driver_audit
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import LANES, Pair, inbox_topic
from tests.support.forging import write
from tests.support.running import Exchange, running_exchange, until
from tests.support.wire_records import as_written

AUDITOR: Final = "auditor.example"
SHUT: Final = "industry"
TOPIC: Final = inbox_topic(SHUT, "hotline")
#: One of its records is put into a new topic.
OTHER: Final = inbox_topic("law_enforcement", "hotline")
FILED: Final = 5
SECONDS_MAX: Final = 10.0
#: Ten times the goal, like all deadlines of tests.
PATIENCE: Final = 10


@dataclass(frozen=True, slots=True)
class Audited:
    """Duration of each, in seconds."""

    #: From the removal of the permission until an auditor sees it.
    named_s: float
    #: From the answers to the posts until audit has the messages in other topics.
    others_s: float
    #: From the return of the permission until audit has the rest.
    healed_s: float
    #: From the creation of a topic until audit has its first record.
    new_topic_s: float
    #: Messages that audit had from the forbidden topic before the permission was returned. Copies come by another
    #: route.
    read_while_shut: int

    def lines(self) -> Iterator[str]:
        yield f"a topic forbidden to audit is named after {self.named_s:.1f} s, "
        yield f"messages in other topics are audited after {self.others_s:.1f} s, "
        yield f"the rest {self.healed_s:.1f} s after the permission was returned; "
        yield f"the record of a new topic {self.new_topic_s:.1f} s after it was made"

    def kept(self, seconds_max: float) -> bool:
        took_s = max(self.named_s, self.others_s, self.healed_s, self.new_topic_s)
        return took_s <= seconds_max and self.read_while_shut == 0


async def audited(exchange: Exchange) -> Audited:
    """Forbid one topic to audit, submit meanwhile, and permit it again. Then create a topic and write to it."""
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send(filings(FILED))  # caches warm, connections open
        await exchange.until_quiet()
        await exchange.until_audited()
        before = set(sender.tally.accepted.values())
        async with denied(exchange, "audit", TOPIC, AclOperation.READ):
            named_s = await _seconds_until(lambda: _stands(exchange, "forbidden"))
            await sender.send(filings(FILED))
            ids = [UUID(each) for each in set(sender.tally.accepted.values()) - before]
            sent = await driver.list_sent_edges(exchange, ids)
            theirs = [row["message_id"] for row in sent if row["instance"] == SHUT]
            others = [row["message_id"] for row in sent if row["instance"] != SHUT]
            assert (len(theirs), len(others)) == (FILED, 2 * FILED)
            others_s = await _seconds_until(lambda: _has_all(exchange, others))
            # Its inbox content is applied, so audit could have read it, too.
            await exchange.until_quiet()
            read = await driver_audit.count_audited_messages(exchange, theirs, topic=TOPIC)
        healed_s = await _seconds_until(lambda: _has_all(exchange, theirs))
        await _seconds_until(lambda: _stands(exchange, "reading"))
    return Audited(named_s, others_s, healed_s, await _new_topic(exchange), read)


async def _new_topic(exchange: Exchange) -> float:
    """Create a topic that no directory requires, with one record of another topic, which proves nothing there."""
    pair = Pair(f"new_{uuid4().hex[:8]}", "nobody")
    topic = inbox_topic(pair.addressee, pair.writer)
    [found, *_] = await delivery.list_records(exchange, OTHER)
    copied = as_written(found, pair)
    admin, begun = admin_client(exchange.endpoints.kafka), monotonic()
    for made in admin.create_topics([NewTopic(topic, num_partitions=len(LANES))]).values():
        await asyncio.to_thread(made.result, 30)
    await write(access_to(exchange.endpoints.kafka), [copied])
    await _seconds_until(lambda: driver_audit.list_audit_problems(exchange, topic))
    took_s = monotonic() - begun
    [problem] = await driver_audit.list_audit_problems(exchange, topic)
    assert problem is not None
    return took_s


async def _stands(exchange: Exchange, state: str) -> bool:
    """Return whether an auditor sees this state of audit for the topic."""
    async with exchange.http(AUDITOR) as auditor:
        answer = await auditor.get("/v1/topics", headers={"Purpose": "how audit stands"})
    items: Sequence[dict[str, Any]] = answer.json()["items"]
    return {each["state"] for each in items if each["topic"] == TOPIC} == {state}


async def _has_all(exchange: Exchange, messages: Sequence[UUID]) -> bool:
    return await driver_audit.count_audited_messages(exchange, messages) == len(messages)


async def _seconds_until(holds: Callable[[], Awaitable[object]]) -> float:
    begun = monotonic()
    await until(holds, seconds_max=PATIENCE * SECONDS_MAX)
    return monotonic() - begun


def main() -> int:
    """Return exit code 1 unless each took ten seconds at most."""
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        found = asyncio.run(audited(exchange))
    print("".join(found.lines()))
    return int(not found.kept(SECONDS_MAX))


if __name__ == "__main__":
    sys.exit(main())
