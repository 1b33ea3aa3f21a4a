"""What people of a party may do in its console, and links that sign them in where they have no other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from deploy.operator.keys import directory_of, party_of, role_at, transaction_at
from deploy.site.open import Site
from shared.kernel.authority import Role, Scope
from shared.kernel.errors import Refused
from shared.routing.directory_index import PartyEntry
from shared.runtime.console.frame import ROOT
from shared.runtime.console.people import Person, end_person, is_name, make_link, opaque_actor, permit

#: Whose link it is where nobody is named.
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class LoginLink:
    """A link of a person of a party, shown once."""

    party: str
    role: str
    person: str
    url: str

    def __repr__(self) -> str:
        return f"LoginLink({self.party}, {self.role})"


async def login_link(
    site: Site, party: str, *, at: datetime, role: Role | None = None, person: str = SOMEBODY
) -> LoginLink:
    """A link that signs `person` of `party` in: as an analyst if no role is named, an auditor's as auditor.

    Where `person` is written as a name is, the others of the party see it; auditors see nothing of the kind.

    Raises `Refused`: `party_unknown` for a party that the directory in force does not have, `role_not_of_party`.
    """
    entry = party_of(site, party)
    role = role_at(entry, role, usual=Role.ANALYST)
    address = site.endpoints.address(entry.instance)
    async with transaction_at(site, entry) as driver:
        called = person if is_name(person) and role is not Role.AUDITOR else None
        text = await make_link(driver, _person(entry, person), role=role, at=at, called=called)
    return LoginLink(entry.id, role.value, person, f"{address}{ROOT}/in/{text}")


async def end_login(site: Site, party: str, *, at: datetime, person: str = SOMEBODY) -> None:
    """End what a person who came by a link may do in the console: their next request is a stranger's.

    Raises `Refused`: `party_unknown`, `person_unknown`.
    """
    await end_role(site, party, opaque_actor(party, person), at=at)


class Given(NamedTuple):
    """The role that somebody has now, and whether nobody of that name has ever had one."""

    role: Role
    new: bool


async def give_role(
    site: Site,
    party: str,
    actor: str,
    *,
    role: Role | None = None,
    scope: Scope | None = None,
    called: str | None = None,
) -> Given:
    """Let somebody act as `role`, as `login_link` takes it. `actor` is the opaque name that their sign-in shows them.

    `called` is what the others of their party are shown: None leaves it as it was, empty takes it away.
    Raises `Refused`: `party_unknown`, `person_malformed`, `called_malformed`, `auditors_uncalled`, `role_not_of_party`,
    `scope_of_auditors`.
    """
    entry = party_of(site, party)
    role = role_at(entry, role, usual=Role.ANALYST)
    async with transaction_at(site, entry) as driver:
        new = await permit(driver, Person(entry.id, actor), role, scope=scope, called=called)
    return Given(role, new)


def scope_said(site: Site, jurisdictions: Sequence[str], parties: Sequence[str], *, at: datetime) -> Scope | None:
    """Of whom an auditor is to see anything; nothing said is everything.

    Raises `Refused`: `jurisdiction_unknown`, `party_unknown`.
    """
    directory = directory_of(site)
    for code in jurisdictions:
        if not directory.tree.known(code, at.date()):
            raise Refused("jurisdiction_unknown", "the tree has no such code today", field="/jurisdiction")
    for named in parties:
        party_of(site, named)
    return Scope(tuple(jurisdictions), tuple(parties)) if jurisdictions or parties else None


async def end_role(site: Site, party: str, actor: str, *, at: datetime) -> None:
    """End what somebody may do: their next request is a stranger's.

    Raises `Refused`: `party_unknown`, `person_unknown`.
    """
    entry = party_of(site, party)
    async with transaction_at(site, entry) as driver:
        await end_person(driver, Person(entry.id, actor), at)


def _person(entry: PartyEntry, person: str) -> Person:
    return Person(entry.id, opaque_actor(entry.id, person))
