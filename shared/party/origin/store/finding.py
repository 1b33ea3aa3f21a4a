"""Looking through a party's own referrals: one page of all, or of what is sought, each row read from an index."""

from __future__ import annotations

from typing import Final

import asyncpg

from shared.contracts.base import NextCursor
from shared.party.sought import Sought
from shared.runtime.database.columns import Statement
from shared.runtime.database.pages import (
    NUMBER_MAX,
    bounds_of_period,
    cursor_of,
    ids_of_period,
    next_cursor,
    read_cursor,
    within,
)

#: So many of the referrals that one party was sent are looked at for one page: what else is sought of them may be rare.
LOOKED_AT_MAX: Final = 200

_SHOWN: Final = (
    "r.referral_id, r.external_ref, r.revision, r.state, r.work_reason, r.accepted_at, r.withdrawn_at, r.arrival"
)
_FITS: Final = (
    "({state} IS NULL OR r.state = {state}) AND ({level} IS NULL OR r.rank = 0)"
    f" AND {within('r.accepted_at', since='{since}', until='{until}')}"
)
#: By what its party calls it, by its own id, or by that of one of its notices.
_NAMED: Final = """
ARRAY(SELECT referral_id FROM referral WHERE party = {party} AND external_ref = {reference}
      UNION SELECT {id} UNION SELECT referral_id FROM edge WHERE notice_id = {id})
"""
_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "level": "text",
    "since": "timestamptz",
    "until": "timestamptz",
    "reference": "text",
    "id": "uuid",
    "below": "bigint",
    "most": "bigint",
}
BOUNDS: Final = bounds_of_period("referral", "accepted_at")
#: The numbers that bound no period.
EVER: Final = 0, NUMBER_MAX
# A page names its party, although row-level security does too: so that an index has the rows in their order.
PAGE: Final = Statement(
    f"""
SELECT {_SHOWN} FROM referral AS r
WHERE r.party = {{party}} AND r.arrival >= {{low}} AND r.arrival < {{high}}
  AND ({{below}} IS NULL OR r.arrival < {{below}}) AND {_FITS}
  AND ({{reference}} IS NULL OR r.referral_id = ANY({_NAMED}))
ORDER BY r.arrival DESC LIMIT {{most}}
""",
    **_TAKEN,
    low="bigint",
    high="bigint",
)
# Edges know ids and no arrivals: in the order of these, which is that of filing, and below the one that the last page
# ended with. `fits` is whether a row is what is sought besides.
SENT: Final = Statement(
    f"""
WITH sent AS MATERIALIZED (
    SELECT DISTINCT e.referral_id FROM edge AS e
    WHERE e.party = {{party}} AND e.recipient = {{to}} AND e.state IN ('emitted', 'referred', 'waiting', 'planned')
      AND ({{below}} IS NULL OR e.referral_id < (
          SELECT referral_id FROM referral WHERE party = {{party}} AND arrival >= {{below}} ORDER BY arrival LIMIT 1))
      AND ({{lowest}} IS NULL OR e.referral_id >= {{lowest}}) AND ({{highest}} IS NULL OR e.referral_id < {{highest}})
      AND ({{reference}} IS NULL OR e.referral_id = ANY({_NAMED}))
    ORDER BY e.referral_id DESC LIMIT {{most}}
)
SELECT {_SHOWN}, {_FITS} AS fits
FROM sent JOIN referral AS r USING (referral_id) ORDER BY r.referral_id DESC
""",
    **_TAKEN,
    to="text",
    lowest="uuid",
    highest="uuid",
)


def page_of(
    party: str, sought: Sought, bounds: tuple[int, int] = EVER, *, state: str | None, below: int | None, most: int
) -> tuple[object, ...]:
    """What `PAGE` asks: `bounds` are the numbers of the period."""
    low, high = bounds
    return PAGE.bind(**_taken(party, sought, state=state, below=below, most=most), low=low, high=high)


def sent_of(party: str, sought: Sought, *, state: str | None, below: int | None, most: int) -> tuple[object, ...]:
    """What `SENT` asks."""
    lowest, highest = ids_of_period(sought.since, sought.until)
    taken = _taken(party, sought, state=state, below=below, most=most)
    return SENT.bind(**taken, to=sought.party, lowest=lowest, highest=highest)


async def find_page(
    driver: asyncpg.Connection, party: str, sought: Sought, *, state: str | None, cursor: str | None, limit: int
) -> tuple[list[asyncpg.Record], NextCursor]:
    """The rows of a page, and the cursor of what follows: of what one party was sent, a page may be short of rows."""
    below = read_cursor(cursor)
    if sought.party is None:
        period = sought.since, sought.until
        bounds = await driver.fetchrow(BOUNDS, party, *period) if any(period) else EVER
        rows = await driver.fetch(*page_of(party, sought, bounds, state=state, below=below, most=limit + 1))
        return rows[:limit], next_cursor(rows, limit)
    wide = limit + 1 if state is None and sought.priority is None else max(limit + 1, LOOKED_AT_MAX)
    looked = await driver.fetch(*sent_of(party, sought, state=state, below=below, most=wide))
    rows = [row for row in looked if row["fits"]]
    if len(rows) > limit or len(looked) < wide:
        return rows[:limit], next_cursor(rows, limit)
    return rows, cursor_of(looked[-1]["arrival"])


def _taken(party: str, sought: Sought, *, state: str | None, below: int | None, most: int) -> dict[str, object]:
    return {
        "party": party,
        "state": state,
        "level": sought.priority,
        "since": sought.since,
        "until": sought.until,
        "reference": sought.reference,
        "id": sought.id,
        "below": below,
        "most": most,
    }
