"""The list of a party's items: one page of it, of all or of what is sought, each row read from an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from shared.party.recipient.ports import Page
from shared.party.sought import Sought
from shared.runtime.database.columns import Statement
from shared.runtime.database.pages import bounds_of_period, read_cursor, within

#: What is open and has a child at risk has its arrival and this for its place: it stands above all others.
AT_RISK: Final = 2**62


_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "below": "bigint",
    "most": "bigint",
    "level": "text",
    "sender": "text",
    "subjects": "uuid[]",
    "claimed_by": "text",
}
_OF_PERIOD: Final = {"low": "bigint", "high": "bigint", "since": "timestamptz", "until": "timestamptz"}


@dataclass(frozen=True, slots=True)
class Listing:
    """The statements of one table. `bounds` has the numbers that bound a period, whose rows `of_period` has."""

    page: Statement
    bounds: str
    of_period: Statement

    @classmethod
    def of(cls, table: str, *, subject: str, sender: str, shown: str, claimed: str = "false") -> Listing:
        """`subject` and `sender` are its columns, `shown` those of a list, `claimed` for what a person has claimed."""
        # It names its party, although row-level security does too: so that an index has the rows in their order.
        page = (
            f"SELECT {shown}, place AS arrival FROM {table} WHERE party = {{party}} "
            "AND place IS NOT NULL AND ({state} IS NULL OR state = {state}) AND ({below} IS NULL OR place < {below}) "
            f"AND ({{level}} IS NULL OR priority = {{level}}) AND ({{sender}} IS NULL OR {sender} = {{sender}}) "
            f"AND ({{subjects}} IS NULL OR {subject} = ANY({{subjects}})) "
            f"AND ({{claimed_by}} IS NULL OR {claimed}) ORDER BY place DESC LIMIT {{most}}"
        )

        def placed(above: int) -> str:
            bounds = f"place >= {{low}} + {above} AND place < {{high}} + {above}"
            times = within("received_at", since="{since}", until="{until}")
            return page.replace("place IS NOT NULL", f"{bounds} AND {times}")

        # What is at risk stands above all others, and there in its order.
        both = f"({placed(AT_RISK)}) UNION ALL ({placed(0)})"
        of_period = f"SELECT * FROM ({both}) AS found ORDER BY arrival DESC LIMIT {{most}}"
        return cls(
            Statement(page, **_TAKEN),
            bounds_of_period(table, "received_at"),
            Statement(of_period, **_TAKEN, **_OF_PERIOD),
        )

    def bind(
        self,
        party: str,
        sought: Sought,
        *,
        named: Sequence[UUID] | None = None,
        bounds: tuple[int, int] | None = None,
        claimed_by: str | None = None,
        state: str | None,
        below: int | None,
        most: int,
    ) -> tuple[object, ...]:
        """What is asked for a page: of a period with the numbers that bound it."""
        taken: dict[str, object] = {
            "party": party,
            "state": state,
            "below": below,
            "most": most,
            "level": sought.priority,
            "sender": sought.party,
            "subjects": named,
            "claimed_by": claimed_by,
        }
        if bounds is None:
            return self.page.bind(**taken)
        low, high = bounds
        return self.of_period.bind(**taken, low=low, high=high, since=sought.since, until=sought.until)

    async def read(
        self, driver: asyncpg.Connection, party: str, page: Page, *, named: Sequence[UUID] | None
    ) -> list[asyncpg.Record]:
        """The rows of a page, and one more if there is one; `named`: those that its reference may be of."""
        sought, period = page.sought, (page.sought.since, page.sought.until)
        bounds = tuple(await driver.fetchrow(self.bounds, party, *period)) if any(period) else None
        below = read_cursor(page.cursor)
        asked = self.bind(
            party,
            sought,
            named=named,
            bounds=bounds,
            claimed_by=page.claimed_by,
            state=page.state,
            below=below,
            most=page.limit + 1,
        )
        rows: list[asyncpg.Record] = await driver.fetch(*asked)
        return rows
