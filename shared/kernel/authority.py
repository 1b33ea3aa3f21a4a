"""Authorisation: one deny-by-default table, role × action × state of one's own row. What no row permits is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from shared.kernel.errors import Refused


class Role(StrEnum):
    """What a person or machine may be for its party. `service` is the instance itself, applying messages."""

    ANALYST = "analyst"
    MACHINE = "machine"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    SERVICE = "service"


#: What people and machines of parties act as: nobody is given to be the instance itself.
GivenRole = Literal[Role.ANALYST, Role.MACHINE, Role.VIEWER, Role.AUDITOR]


class Scope(NamedTuple):
    """Of whom an auditor sees anything: parties below one of these jurisdictions, and those that are named."""

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

    def require(self, resource: str, role: Role, *, action: str, state: str) -> None:
        """Let pass or raise: `forbidden` (403) if the role never may, `state_forbids` (409) if not in this state."""
        if (resource, role, action, state) in self._cells:
            return
        if any(cell[:3] == (resource, role, action) for cell in self._cells):
            raise state_forbids()
        raise Refused("forbidden", "the role may not do this", status=403)

    def cells(self) -> Iterator[tuple[str, Role, str, str]]:
        """Every permitted (resource, role, action, state), sorted."""
        yield from sorted(self._cells)


def require_another(actor: str, than: Collection[str | None]) -> None:
    """What some have begun another person ends. Raises `Refused("second_person_needed")` for who alone began it."""
    if set(than) <= {actor}:
        raise Refused("second_person_needed", "another one than who began it does this", status=403)


def state_forbids() -> Refused:
    """The act would be permitted in another state; also when the state changed while the act was under way."""
    return Refused("state_forbids", "the act does not fit the present state", status=409)
