"""The stored form of an auditor's scope, in the row that has their role."""

from __future__ import annotations

from shared.kernel.authority import Role, Scope
from shared.kernel.errors import Refused


def scope_of(jurisdictions: list[str] | None, parties: list[str] | None) -> Scope | None:
    """Return the scope in these columns. None: both are empty, which means everything."""
    if jurisdictions is None and parties is None:
        return None
    return Scope(tuple(jurisdictions or ()), tuple(parties or ()))


def columns_of(scope: Scope | None, role: Role) -> tuple[list[str] | None, list[str] | None]:
    """Return the columns of a scope. Raises `Refused("scope_of_auditors")` for another role than an auditor's."""
    if scope is None:
        return None, None
    if role is not Role.AUDITOR:
        raise Refused("scope_of_auditors", "give a scope to an auditor, or none", field="/role")
    return list(scope.jurisdictions), list(scope.parties)
