"""What audit does: keep every record as an entry, and show flows to auditors, noting each look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.audit.domain.entries import AUTHORITY, Read
from services.audit.domain.partitions import Cursor, Life
from services.audit.domain.reading import Reading, read_records
from services.audit.entitled import judged
from services.audit.ports import (
    Entries,
    EntryPage,
    Flow,
    FoundFlows,
    Partition,
    Partitions,
    Sought,
    TopicStates,
)
from shared.exchange.message import Record
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, in which role, at which of the two worlds, and why."""

    auditor: str
    role: Role
    exercise: bool
    purpose: str | None


#: So many flows one search shows.
FOUND_MAX: Final = 50
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")


async def keep(
    records: Sequence[Record], *, generations: Mapping[str, UUID], entries: Entries, reading: Reading
) -> Mapping[Life, Cursor]:
    """Keep a batch of records; how far they lead. Nothing is skipped: unreadable records are entries as well.

    Marks whose proof holds are counted by the day instead (`entries.append`).
    """
    read = Read()
    read_records(records, read, generations=generations, reading=reading)
    cursors: dict[Life, Cursor] = {}
    for record, entry in zip(records, read.entries, strict=True):
        cursors[Life(record.topic, entry.generation, record.partition)] = Cursor(record.offset + 1, entry.digest)
    await entries.append(read, cursors)
    return cursors


async def show_flow(referral_id: UUID, look: Look, *, entries: Entries) -> Flow:
    """All messages of one referral. The look itself is noted first: no answer without a trace of it.

    Raises `Refused("not_found")` alike for a referral that is absent and for one of the other world.
    """
    AUTHORITY.require("flow", look.role, action="read", state="any")
    await entries.note_reading(look.auditor, checked_purpose(look.purpose), f"flow/{referral_id}")
    messages = await entries.flow(referral_id, exercise=look.exercise)
    if not messages:
        raise not_found()
    return Flow(referral_id=referral_id, messages=judged(messages))


async def find_flows(sought: Sought, look: Look, *, entries: Entries) -> FoundFlows:
    """Referrals by party and period, or by an id; the look is noted first, with what was looked for."""
    AUTHORITY.require("flow", look.role, action="read", state="any")
    period = f"{sought.party or 'anybody'}/{sought.since:%Y-%m-%d}/{sought.until:%Y-%m-%d}"
    what = f"find/{sought.reference or period}"
    await entries.note_reading(look.auditor, checked_purpose(look.purpose), what)
    found = await entries.find(sought, exercise=look.exercise, limit=FOUND_MAX + 1)
    return FoundFlows(items=tuple(found[:FOUND_MAX]), more=len(found) > FOUND_MAX)


async def show_entries(place: Partition, look: Look, *, limit: int, entries: Entries) -> EntryPage:
    """Entries of one partition, from an offset on, in one generation of its topic; the look is noted first."""
    AUTHORITY.require("entry", look.role, action="read", state="any")
    what = f"entries/{place.topic}/{place.partition}/{place.from_offset}"
    await entries.note_reading(look.auditor, checked_purpose(look.purpose), what)
    generations = await entries.generations(place.topic)
    chosen = place.generation or (generations[-1] if generations else None)
    items = [] if chosen is None else await entries.page(place, chosen, exercise=look.exercise, limit=limit)
    return EntryPage(generations=tuple(generations), items=tuple(items))


async def show_topics(look: Look, *, entries: Entries, partitions: Partitions) -> TopicStates:
    """How audit stands to every topic; the look is noted first."""
    AUTHORITY.require("topic", look.role, action="read", state="any")
    await entries.note_reading(look.auditor, checked_purpose(look.purpose), "topics")
    return TopicStates(items=tuple(await partitions.states()))


def checked_purpose(purpose: str | None) -> str:
    """Every query names its purpose: 8 to 64 letters, digits, spaces and hyphens."""
    if purpose is None or not _PURPOSE.fullmatch(purpose):
        raise Refused(
            "purpose_missing", "send a Purpose header of 8 to 64 letters, digits, spaces, hyphens", status=400
        )
    return purpose
