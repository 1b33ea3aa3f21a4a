"""Links that sign people in to a console: for those who have no other way in yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deploy.operator.keys import database_of, party_of
from deploy.site.open import Site
from shared.kernel.authority import Role
from shared.routing.directory_index import PartyEntry
from shared.runtime.console.frame import ROOT
from shared.runtime.console.people import Person, end_person, make_link, opaque_actor
from shared.vocabulary.routing import PartyKind

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

    Raises `Refused("party_unknown")` for a party that the directory in force does not have.
    """
    entry = party_of(site, party)
    role = role or (Role.AUDITOR if entry.kind == PartyKind.AUDITOR else Role.ANALYST)
    address = site.endpoints.address(entry.instance)
    database = database_of(site, entry)
    try:
        async with database.transaction() as session:
            text = await make_link(session.driver, _person(entry, person), role=role, at=at)
    finally:
        await database.close()
    return LoginLink(entry.id, role.value, person, f"{address}{ROOT}/in/{text}")


async def end_login(site: Site, party: str, *, at: datetime, person: str = SOMEBODY) -> None:
    """End what a person may do in the console: their next request is a stranger's."""
    entry = party_of(site, party)
    database = database_of(site, entry)
    try:
        async with database.transaction() as session:
            await end_person(session.driver, _person(entry, person), at)
    finally:
        await database.close()


def _person(entry: PartyEntry, person: str) -> Person:
    return Person(entry.id, opaque_actor(entry.id, person))
