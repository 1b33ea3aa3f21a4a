"""What the operator's tool has found of the books of all sides: it adds, as the accountant; the service reads."""

from __future__ import annotations

from typing import Final

from services.audit.domain.accounts import Accounts
from services.audit.ports import AccountsPage
from shared.runtime.database.pages import next_cursor, read_cursor
from shared.runtime.database.transactions import Database

_PAGE: Final = """
SELECT id AS arrival, told FROM reconciliation WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT 2
"""


class PostgresReconciliations:
    """`Reconciliations` over audit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, cursor: str | None) -> AccountsPage:
        before = read_cursor(cursor)
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_PAGE, before)
        told = Accounts.model_validate(rows[0]["told"]) if rows else None
        return AccountsPage(accounts=told, next=next_cursor(rows, 1))
