"""The providers of an instance, and the part of their service that answers withdrawals and ends retention."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from services.industry.app import ERASES
from shared.core.ids import uuid7
from shared.features.notices.rules import PROVIDER as KIND
from shared.features.withdrawals.service import Withdrawals
from shared.platform.database.journal import Erasures, Journal
from shared.platform.observability.retry_backoff import RetryBackoff
from tests.services.deliveries import AT, OTHER_PROVIDER, PROVIDER, issued, notice_withdrawn
from tests.services.industry.provider import Providers
from tests.support.manual_clock import ManualClock

#: The tables whose erasures must survive a restore of the backup, and the place in the journal.
TABLES = ("received", "notice_location", "erasure_journal_position", "erased_record")
NO_DELAY = 0.0


class World:
    """The providers' database, its journal, and the withdrawal automation with its own clock."""

    def __init__(self, providers: Providers, endpoint: DatabaseEndpoint, folder: Path) -> None:
        self.providers, self.endpoint = providers, endpoint
        self.clock = ManualClock(AT)
        self.aside = RetryBackoff()
        self.path = folder / "erasures.jsonl"
        self.erasures = Erasures(Journal(self.path), ERASES, self.clock)

    def withdrawals(self, answer_h: float = NO_DELAY) -> Withdrawals:
        rule = self.providers.automation(KIND, "industry", clock=self.clock, aside=self.aside)
        return Withdrawals(rule, answer_h=answer_h)

    async def taken_back(self, *said: Any) -> UUID:
        """Return a notice that was withdrawn after these answers."""
        notice_id = uuid7()
        await self.providers.receive(issued(notice_id))
        for each in said:
            await self.providers.act("answer", each, notice_id)
        await self.providers.receive(notice_withdrawn(notice_id))
        return notice_id

    async def record(self, notice_id: UUID) -> object:
        return (await self.providers.show(notice_id))["record"]

    async def places(self, notice_id: UUID) -> int:
        """Return for how many items of the notice a location token is stored."""
        owner = await self.owner()
        found: int = await owner.fetchval("SELECT count(*) FROM notice_location WHERE notice_id = $1", notice_id)
        await owner.close()
        return found

    async def owner(self) -> asyncpg.Connection:
        owner = await asyncpg.connect(self.endpoint.owner_url)
        parties = f"{PROVIDER},{OTHER_PROVIDER}"
        for name, value in (("parties", parties), ("role", "service"), ("action", "apply")):
            await owner.execute("SELECT set_config($1, $2, false)", f"causeway.{name}", value)
        return owner

    async def backed_up(self) -> None:
        """Make a backup of the tables."""
        owner = await self.owner()
        for table in TABLES:
            await owner.execute(f"DROP TABLE IF EXISTS backup_{table}; CREATE TABLE backup_{table} AS TABLE {table}")
        await owner.close()

    async def restored(self) -> None:
        """Replace the tables' rows by those of the backup."""
        owner = await self.owner()
        for table in TABLES:
            names = ", ".join(
                row["attname"]
                for row in await owner.fetch(
                    "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 "
                    "AND attgenerated = ''",
                    table,
                )
            )
            await owner.execute(
                f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; DELETE FROM {table}; "
                f"INSERT INTO {table} ({names}) SELECT {names} FROM backup_{table}; DROP TABLE backup_{table}"
            )
            if table != "erasure_journal_position":
                await owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        await owner.close()
