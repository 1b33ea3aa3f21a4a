"""What audit does: keep every record as an entry, and show flows to auditors, noting each look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.audit.domain import AUTHORITY, Read, read_record
from services.audit.ports import Entries, Place
from shared.envelope.batch import KeyLookup, RootCache
from shared.exchange.message import Record
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found

_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")


async def keep(
    records: Sequence[Record],
    *,
    generations: Mapping[str, UUID],
    entries: Entries,
    keys: KeyLookup,
    roots: RootCache,
) -> None:
    """Keep a batch of records. Nothing is skipped: unreadable records are entries as well."""
    read = Read()
    cursors: dict[Place, int] = {}
    for record in records:
        generation = generations[record.topic]
        read_record(record, read, generation=generation, keys=keys, roots=roots)
        cursors[Place(record.topic, generation, record.partition)] = record.offset + 1
    await entries.append(read, cursors)


async def show_flow(
    referral_id: UUID, *, auditor: str, role: Role, purpose: str | None, entries: Entries
) -> Mapping[str, Any]:
    """All messages of one referral. The look itself is noted first: no answer without a trace of it."""
    AUTHORITY.require("flow", role, action="read", state="any")
    await entries.note_reading(auditor, checked_purpose(purpose), f"flow/{referral_id}")
    messages = await entries.flow(referral_id)
    if not messages:
        raise not_found()
    return {"referral_id": str(referral_id), "messages": messages}


async def show_entries(
    topic: str,
    partition: int,
    *,
    from_offset: int,
    limit: int,
    auditor: str,
    role: Role,
    purpose: str | None,
    entries: Entries,
) -> list[dict[str, Any]]:
    """Entries of one partition, from an offset on; the look is noted first."""
    AUTHORITY.require("entry", role, action="read", state="any")
    await entries.note_reading(auditor, checked_purpose(purpose), f"entries/{topic}/{partition}/{from_offset}")
    return await entries.page(topic, partition, from_offset=from_offset, limit=limit)


def checked_purpose(purpose: str | None) -> str:
    """Every query names its purpose: 8 to 64 letters, digits, spaces and hyphens."""
    if purpose is None or not _PURPOSE.fullmatch(purpose):
        raise Refused(
            "purpose_missing", "send a Purpose header of 8 to 64 letters, digits, spaces, hyphens", status=400
        )
    return purpose
