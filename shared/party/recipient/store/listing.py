"""The list of a party's rows of `received`: one page of all or of those sought, each row read from an index."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from shared.kernel.clock import EPOCH
from shared.kernel.errors import Refused
from shared.party.recipient.records import Page
from shared.runtime.database.columns import Statement

#: An open row with a child at risk has this and its time for its place, so it stands above all others.
AT_RISK: Final = 2**62
#: The columns of a list. The names of the parties' own words are those of their views.
SHOWN: Final = """subject, subject AS referral_id, subject AS notice_id, sender AS origin, sender AS notifier, party,
purpose, exercise, state, edge, numbers, received_at, priority, revision, said, language, place"""
_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "below": "bigint",
    "beside": "uuid",
    "low": "bigint",
    "high": "bigint",
    "most": "bigint",
    "level": "text",
    "sender": "text",
    "subjects": "uuid[]",
    "claimed_by": "text",
}
#: Where a page ends: the place of its last row, and its subject.
_CURSOR: Final = struct.Struct(">q16s")
_MICROSECOND: Final = timedelta(microseconds=1)


def list_statement(*, more: str = "", claimed: str = "false") -> Statement:
    """Return the statement of a page. `more` are further columns, `claimed` selects rows that a person has claimed."""

    # It names the party, although row-level security does too, so that an index has the rows in their order.
    def band(above: int) -> str:
        return (
            f"(SELECT {SHOWN}{more} FROM received WHERE party = {{party}} "
            # One upper bound, at which the walk begins, however far down a page lies.
            f"AND place >= {{low}} + {above} AND place <= least({{high}} - 1 + {above}, {{below}}) "
            "AND (place, subject) < ({below}, {beside}) "
            "AND ({state} IS NULL OR state = {state}) "
            "AND ({level} IS NULL OR priority = {level}) AND ({sender} IS NULL OR sender = {sender}) "
            "AND ({subjects} IS NULL OR subject = ANY({subjects})) "
            f"AND ({{claimed_by}} IS NULL OR {claimed}) ORDER BY place DESC, subject DESC LIMIT {{most}})"
        )

    # Rows at risk stand above all others, and there in the order of their times.
    both = f"{band(AT_RISK)} UNION ALL {band(0)} ORDER BY place DESC, subject DESC LIMIT {{most}}"
    return Statement(both, **_TAKEN)


async def read_page(
    driver: asyncpg.Connection, party: str, page: Page, *, statement: Statement, named: Sequence[UUID] | None
) -> tuple[list[asyncpg.Record], str | None]:
    """Return the rows of a page and the cursor of the next. `named`: those that its reference may be of.

    Raises `Refused("cursor_invalid")`.
    """
    below, beside = (2**63 - 1, UUID(int=0)) if page.cursor is None else read_cursor(page.cursor)
    sought = page.sought
    asked = statement.bind(
        party=party,
        state=page.state,
        below=below,
        beside=beside,
        low=0 if sought.since is None else _microseconds(sought.since),
        high=AT_RISK // 2 if sought.until is None else _microseconds(sought.until),
        most=page.limit + 1,
        level=sought.priority,
        sender=sought.party,
        subjects=named,
        claimed_by=page.claimed_by,
    )
    rows: list[asyncpg.Record] = await driver.fetch(*asked)
    shown = rows[: page.limit]
    return shown, None if len(rows) <= page.limit else cursor_of(shown[-1])


def cursor_of(row: asyncpg.Record) -> str:
    """Return the opaque cursor of the rows behind this one."""
    return base64.urlsafe_b64encode(_CURSOR.pack(row["place"], row["subject"].bytes)).decode()


def read_cursor(cursor: str) -> tuple[int, UUID]:
    """Return place and subject behind which a page begins. Raises `Refused("cursor_invalid")`."""
    try:
        place, subject = _CURSOR.unpack(base64.urlsafe_b64decode(cursor))
    except (ValueError, struct.error, binascii.Error):
        raise Refused("cursor_invalid", "begin again without one", field="/cursor", status=400) from None
    if place < 0:
        raise Refused("cursor_invalid", "begin again without one", field="/cursor", status=400)
    return place, UUID(bytes=subject)


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // _MICROSECOND
