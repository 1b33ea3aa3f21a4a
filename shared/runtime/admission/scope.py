"""How the scope of an auditor stands in the row that has their role."""

from __future__ import annotations

from shared.kernel.authority import Role, Scope
from shared.kernel.errors import Refused


def scope_of(jurisdictions: list[str] | None, parties: list[str] | None) -> Scope | None:
    """As it stands in a row: nothing in both columns is everything."""
    if jurisdictions is None and parties is None:
        return None
    return Scope(tuple(jurisdictions or ()), tuple(parties or ()))


def columns_of(scope: Scope | None, role: Role) -> tuple[list[str] | None, list[str] | None]:
    """What stands in a row. Raises `Refused("scope_of_auditors")` for another role than an auditor's."""
    if scope is None:
        return None, None
    if role is not Role.AUDITOR:
        raise Refused("scope_of_auditors", "give a scope to an auditor, or none", field="/role")
    return list(scope.jurisdictions), list(scope.parties)
