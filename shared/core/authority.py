"""Authorisation: one deny-by-default table of role × action × state of the party's own row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from shared.core.errors import Refused


class Role(StrEnum):
    """The role of a person or machine of a party. `service` is the instance itself when it applies messages."""

    ANALYST = "analyst"
    MACHINE = "machine"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    SERVICE = "service"


#: The roles of people and machines of parties. The role of the instance itself cannot be granted.
GivenRole = Literal[Role.ANALYST, Role.MACHINE, Role.VIEWER, Role.AUDITOR]


class AccessScope(NamedTuple):
    """The parties that an auditor may see: parties below one of these jurisdictions, and the named parties."""

    jurisdictions: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permit:
    """`roles` may do `action` on their own rows of `resource` that are in one of `states`."""

    resource: str
    action: str
    roles: frozenset[Role]
    states: frozenset[str]


class Authority:
    """The table of one service. There is no wildcard: every permitted cell is written down."""

    def __init__(self, permits: Iterable[Permit]) -> None:
        self._cells = frozenset(
            (permit.resource, role, permit.action, state)
            for permit in permits
            for role in permit.roles
            for state in permit.states
        )

    def joined(self, permits: Iterable[Permit]) -> Authority:
        """Return this table with further permits on its own resources."""
        joined, own = Authority(permits), {cell[0] for cell in self._cells}
        joined._cells = self._cells | {cell for cell in joined._cells if cell[0] in own}
        return joined

    def require(self, resource: str, role: Role, *, action: str, state: str) -> None:
        """Check a permission. Raises `forbidden` (403) if the role never has it, else `state_forbids` (409)."""
        if (resource, role, action, state) in self._cells:
            return
        if any(cell[:3] == (resource, role, action) for cell in self._cells):
            raise state_forbids()
        raise Refused("forbidden", "the role may not do this", status=403)

    def cells(self) -> Iterator[tuple[str, Role, str, str]]:
        """Yield every permitted (resource, role, action, state), sorted."""
        yield from sorted(self._cells)


def require_another(actor: str, than: Collection[str | None]) -> None:
    """Check that a second person acts. Raises `Refused("second_person_needed")` if only `actor` has acted before."""
    if set(than) <= {actor}:
        raise Refused("second_person_needed", "a second person must do this", status=403)


def state_forbids() -> Refused:
    """Return the error for an act that only another state permits, also if the state changed during the act."""
    return Refused("state_forbids", "the present state does not allow this act", status=409)
