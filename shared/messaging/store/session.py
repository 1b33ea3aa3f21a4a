"""The transaction that all tables of messaging share, and the parts of their statements."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from shared.kernel.errors import Unavailable
from shared.runtime.database.columns import Columns, Row
from shared.runtime.database.transactions import Session


class Tables:
    """The open transaction of the instance `own`."""

    def __init__(self, session: Session, own: str) -> None:
        self.session = session
        self._driver = session.driver
        self.own = own
        #: Writers whose pair is locked, and of whose messages none is an exception here.
        self._without_exceptions: set[str] = set()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self.session.savepoint(Exception)


def list_assignments(columns: Columns[Row], source: str, *, without: Sequence[str]) -> str:
    """Return the list of an `UPDATE … SET` from a relation with these columns."""
    return ", ".join(f'"{name}" = {source}."{name}"' for name in columns.sql_types if name not in without)


def superseded() -> Unavailable:
    """Return the error for a row that another transaction has written since it was read."""
    return Unavailable("messaging_superseded", "another transaction has written the same stream")
