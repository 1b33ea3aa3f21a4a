"""Use cases for auditors: show flows, entries and topics, and record each access."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.audit.domain.entries import AUTHORITY
from services.audit.domain.proof import ProofView, proof_of
from services.audit.domain.shown import (
    Access,
    AccessLogPage,
    AccountsPage,
    EntryPage,
    EntryView,
    Flow,
    FlowFilter,
    FlowPage,
    Partition,
    ScopeSet,
    TopicStates,
    within_scope,
)
from services.audit.domain.statement_authorization import judged
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.errors import Refused, not_found
from shared.core.protocol.authority import INBOXES
from shared.messaging.placement import PlaceKeys

#: The number of flows on one page of a search.
FOUND_MAX: Final = 50
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")


async def show_flow(referral_id: UUID, look: Access, *, entries: PostgresEntries, cursor: str | None = None) -> Flow:
    """Return a page of the messages of one referral. The access is recorded first, so that no answer lacks its record.

    Raises `Refused("cursor_invalid")`, and the same `Refused("not_found")` if the referral is missing, out of scope,
    or sandbox instead of live traffic (or the reverse).
    """
    await _noted(look, f"flow/{referral_id}", entries)
    read = await entries.flow(referral_id, look, cursor=cursor)
    # Authorization is judged by the relations of the whole flow, so it depends neither on the reader nor on the page.
    messages = judged(read.messages, read.relations)
    if not messages and not read.outsiders:
        raise not_found()
    outsiders = {"outsiders": read.outsiders, "more_outsiders": read.more_outsiders}
    return Flow(referral_id=referral_id, messages=messages, **outsiders, next=read.next)


async def show_proof(
    referral_id: UUID,
    digest: str,
    look: Access,
    *,
    entries: PostgresEntries,
    keys: PlaceKeys,
    cursor: str | None = None,
) -> tuple[EntryView, ProofView]:
    """Return one message of a page of a flow, by its digest, and its proof. Recorded as access to the flow.

    Raises the same `Refused("not_found")` if the message is not on the page, out of scope or without a proof.
    """
    flow = await show_flow(referral_id, look, entries=entries, cursor=cursor)
    entry = next((each for each in flow.messages if each.digest == digest), None)
    if entry is None:
        raise not_found()
    kept = await entries.proof(entry)
    if kept is None:
        raise not_found()
    writer, proof = kept
    return entry, proof_of(entry, writer, proof, key=keys(writer, proof.key_id, entry.at))


async def find_flows(
    sought: FlowFilter, look: Access, *, entries: PostgresEntries, cursor: str | None = None
) -> FlowPage:
    """Return a page of referrals by party and period, or by an id. The search is recorded first."""
    # `until` is exclusive, so the record names the last day of the period.
    last = sought.until - timedelta(microseconds=1)
    period = f"{sought.party or 'anybody'}/{sought.since:%Y-%m-%d}/{last:%Y-%m-%d}"
    what = f"find/{sought.reference or period}"
    await _noted(look, what, entries)
    return await entries.find(sought, look, limit=FOUND_MAX, cursor=cursor)


async def show_entries(place: Partition, look: Access, *, limit: int, entries: PostgresEntries) -> EntryPage:
    """Return entries of one partition from an offset on, in one topic id. The access is recorded first."""
    what = f"entries/{place.topic}/{place.partition}/{place.from_offset}"
    await _noted(look, what, entries, resource="entry")
    topic_ids = await entries.topic_ids(place.topic)
    chosen = place.topic_id or (topic_ids[-1] if topic_ids else None)
    items = await entries.page(place, chosen, look, limit=limit) if chosen else []
    # If no entry of the topic can be in scope, the answer does not show that the topic exists.
    told = items or look.within is None or not look.within.places.isdisjoint(_instances(place.topic))
    return EntryPage(topic_ids=tuple(topic_ids) if told else (), items=tuple(items))


async def show_accesses(look: Access, *, cursor: str | None, limit: int, entries: PostgresEntries) -> AccessLogPage:
    """Return the record accesses of the auditor's own organisation, within the scope. This access is recorded, too."""
    await _noted(look, "accesses", entries)
    return await entries.accesses(look, cursor=cursor, limit=limit)


async def show_accounts(look: Access, *, cursor: str | None, entries: PostgresEntries) -> AccountsPage:
    """Return a reconciliation, limited to live or sandbox traffic and to the scope. The access is recorded first."""
    await _noted(look, "accounts", entries)
    page = await entries.accounts(cursor)
    if page.accounts is None:
        return page
    return page.model_copy(update={"accounts": within_scope(page.accounts, look.parties, exercise=look.exercise)})


async def show_topics(look: Access, *, entries: PostgresEntries, partitions: PostgresPartitions) -> TopicStates:
    """Return the reading state of every topic whose pairs are all in scope. The access is recorded first."""
    await _noted(look, "topics", entries, resource="topic")
    states, within = await partitions.states(), look.within
    return TopicStates(items=tuple(each for each in states if within is None or _is_within(each.topic, within)))


def _is_within(topic: str, within: ScopeSet) -> bool:
    return not within.instances.isdisjoint(_instances(topic))


def _instances(topic: str) -> Sequence[str]:
    """Return the two instances of a topic: reader and writer."""
    return topic.removeprefix(INBOXES).split(".")[:2]


async def _noted(look: Access, what: str, entries: PostgresEntries, *, resource: str = "flow") -> None:
    """Check the role's permission, and record the access before it is answered."""
    AUTHORITY.require(resource, look.role, action="read", state="any")
    await entries.note_reading(look.auditor, checked_purpose(look.purpose), what, actor=look.actor)


def checked_purpose(purpose: str | None) -> str:
    """Return the purpose of a query: 8 to 64 letters, digits, spaces and hyphens. Raises `Refused`."""
    if purpose is None or not _PURPOSE.fullmatch(purpose):
        raise Refused("purpose_missing", "give a purpose of 8 to 64 letters, digits, spaces or hyphens", status=400)
    return purpose
