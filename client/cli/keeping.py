"""The options that say why a record is kept although it was taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from cyclopts import Parameter

if TYPE_CHECKING:
    from shared.contracts.answers import Keeping


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Kept:
    """Nothing of it: the record is erased. All of it: it is kept."""

    kept_class: str | None = None
    """The retention class under which it is kept, for example us_1y. Without any of the three, it is erased."""
    kept_basis: str | None = None
    """What entitles to keep it: accepted_case, preservation, legal_hold or open_complaint."""
    kept_until: datetime | None = None
    """The day until which it is kept."""

    def keeping(self) -> Keeping | None:
        """As it is said over HTTP."""
        from client.statements import keeping

        until: date | None = None if self.kept_until is None else self.kept_until.date()
        return keeping(self.kept_class, self.kept_basis, until)
