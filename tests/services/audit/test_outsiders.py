"""No record of an outsider changes audit's verdict on another record.

An outsider's records are authentic, of every message type, and addressed to each party that has the subject.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.catalog import CATALOG
from shared.core.canonical import canonical_json
from shared.core.contracts import registry
from shared.core.contracts.registry import STATED_BY_INSTANCES, MessageType
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft, compose
from shared.core.protocol.prepare import Prepared
from tests.contracts.golden import EXAMPLES
from tests.contracts.published import read
from tests.services.audit import test_agencies_judged as agencies
from tests.services.audit.log import Log
from tests.services.audit.test_entitled import decided, fact, revealed
from tests.services.hotline.transferring import ASIA, EUROPE
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import move

#: Parties without a part in the subject, and their instances.
OUTSIDERS = {
    "hotline": ("hotline-us.example", "hotline_two"),
    "provider": ("provider-002.example", "industry"),
    "agency": ("police-jp.example", "law_enforcement"),
    "of the origin's instance": ("hotline-de.example", "hotline"),
}
#: The id of a subject, the parties that have it, and a submitted referral whose decision an outsider imitates.
Begun = tuple[UUID, Sequence[str], Prepared]


async def referral(log: Log, *, decided_after: timedelta) -> Begun:
    """Store a referral of which every statement stands. Audit has its decision later by `decided_after`."""
    filed = log.world.prepared(items=agencies.items("NO", "SG"))
    *edges, decision = log.world.records(filed.drafts)
    address = log.world.address(filed.referral_id, HOTLINE, ASIA)
    clear = {"referral_id": filed.referral_id, "revision": 1, "claim": uuid4()}
    granted = compose(registry.CLAIM_GRANTED, registry.CLAIM_GRANTED.clear.model_validate(clear), address)
    opened = fact(log, registry.RECORD_REVEALED, revealed(ASIA), subject=filed.referral_id, by="hotline")
    said = log.world.records([granted, opened])
    await log.keep(*edges, *said, replace(decision, broker_time=log.world.at + decided_after))
    return filed.referral_id, (HOTLINE, ASIA, EUROPE), filed


async def preservation(log: Log, *, decided_after: timedelta) -> Begun:
    """Store a preservation of which every statement stands."""
    of = uuid7()
    asked, opened = agencies.asked(log, of), agencies.opened(log, of, POLICE)
    await log.keep(*log.world.records([asked, opened], "law_enforcement"))
    log.world.at += timedelta(seconds=1)
    await log.keep(*log.world.records([agencies.answered(log, of)], "industry"))
    return of, (POLICE, PROVIDER), log.world.prepared()


def of_outsider(
    log: Log, message: MessageType, subject: UUID, by: tuple[str, str], to: Sequence[str], filed: Prepared
) -> Iterator[Draft]:
    party, instance = by
    if message is registry.REFERRAL_DECIDED:
        yield decided(log, replace(filed, referral_id=subject), origin=party, by=instance)
        return
    example, sealed = (fullest(f"{message.name}.v{message.version}{part}") for part in ("", ".sealed"))
    assert example is not None
    own = dict.fromkeys(("referral_id", "notice_id", "preservation_id"), str(subject)) | {"party": party}
    clear = example | {name: value for name, value in own.items() if name in example}
    is_fact = message.family in STATED_BY_INSTANCES
    for recipient in ("audit",) if is_fact else to:
        address = log.world.address(subject, instance if is_fact else party, recipient)
        yield compose(message, clear, address, sealed=None if sealed is None else canonical_json(sealed))


def fullest(part: str) -> dict[str, Any] | None:
    """Return the largest accepted example of a part of a message; None if the message has no such part."""
    found = sorted((EXAMPLES / part).glob("accepted-*.json"), key=lambda file: file.stat().st_size)
    return read(found[-1]) if found else None


@pytest.mark.parametrize("outsider", OUTSIDERS)
@pytest.mark.parametrize(
    ("begun", "decided_after"),
    [(referral, timedelta()), (referral, timedelta(hours=1)), (preservation, timedelta())],
    ids=["referral", "referral before its decision", "preservation"],
)
async def test_no_record_of_an_outsider_changes_a_verdict(
    log: Log, begun: Callable[..., Awaitable[Begun]], decided_after: timedelta, outsider: str
) -> None:
    move(log.world, "hotline-us.example")
    log.world.at += timedelta(days=60)  # outside the periods in which other tests search
    changed = []
    for message in CATALOG.messages:
        subject, parties, filed = await begun(log, decided_after=decided_after)
        before = await verdicts(log, subject)
        log.world.at += timedelta(seconds=1)
        drafts = list(of_outsider(log, message, subject, OUTSIDERS[outsider], parties, filed))
        await log.keep(*log.world.records(drafts, OUTSIDERS[outsider][1]))
        after = await verdicts(log, subject)
        own = {str(draft.message_id): after.pop(str(draft.message_id)) for draft in drafts}
        if {problem for _, problem, *_ in before.values()} != {None} or after != before:
            changed.append(message.name)
        if message not in (registry.READS_ANNOUNCED, registry.REFERRAL_REFUSED):
            assert {kind for kind, *_ in own.values()} == {"not_entitled"}, message.name
    assert changed == []


async def verdicts(log: Log, subject: UUID) -> dict[str, tuple[Any, ...]]:
    """Return audit's verdict on each message of a flow, by its id."""
    shown = "kind", "problem", "rules", "outcome", "verified"
    return {each["message_id"]: tuple(each[name] for name in shown) for each in await log.flow(subject)}
