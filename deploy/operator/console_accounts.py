"""`causeway person`: what people may do in a console; `causeway dev login-link`, `login-end`: ways in to a stack's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import NamedTuple

from cyclopts import App

from deploy.operator.keys import party_of, role_at, scope_said, transaction_at
from deploy.site.open import Site, site
from deploy.site.options import OPTIONS, Options, Printed, framed, verb
from shared.kernel.authority import GivenRole, Role, Scope
from shared.kernel.clock import SystemClock
from shared.runtime.console.accounts import Person, end_person, is_name, make_link, opaque_actor, permit
from shared.runtime.console.frame import ROOT

person_app = App(name="person")
#: Whose link it is where nobody is named.
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class LoginLink:
    """A link of a person of a party, shown once."""

    party: str
    role: str
    person: str = field(repr=False)
    url: str = field(repr=False)


class Given(NamedTuple):
    """The role that somebody has now, and whether nobody of that name has ever had one."""

    role: Role
    new: bool


@framed
async def login_link_verb(
    party: str, /, *, role: GivenRole | None = None, person: str = SOMEBODY, options: Options = OPTIONS
) -> Printed:
    """Print a link that signs somebody of a party in to its console: once, within ten minutes.

    Parameters
    ----------
    role
        What they may act as; analyst if none is named, auditor for an auditor.
    person
        Tells the people of a party apart, and is what the others of it are shown: a second person needs another name.
    """
    link = await login_link(site(options), party, at=SystemClock().now(), role=role, person=person)
    return Printed(asdict(link), [link.url])


@framed
async def login_end_verb(party: str, /, *, person: str = SOMEBODY, options: Options = OPTIONS) -> Printed:
    """End what somebody of a party may do in its console: their next request is a stranger's."""
    await end_role(site(options), party, opaque_actor(party, person), at=SystemClock().now())
    return Printed({"ended": party}, [f"{person} of {party} is signed out"])


@verb(person_app, "permit")
async def permit_person(
    party: str,
    actor: str,
    /,
    *,
    role: GivenRole | None = None,
    jurisdiction: tuple[str, ...] = (),
    sees: tuple[str, ...] = (),
    called: str | None = None,
    options: Options = OPTIONS,
) -> Printed:
    """Let somebody of a party act in its console, as one role and no other: from their next request on.

    Parameters
    ----------
    actor
        The opaque name that their sign-in, or their page of settings, shows for whoever gives roles.
    role
        What they may act as; analyst if none is named, auditor for an auditor.
    jurisdiction
        An auditor's scope: parties below it. Said again for more; without it and the next one, everything.
    sees
        An auditor's scope: a party. Said again for more.
    called
        What the others of the party are shown where this person has opened a record, and nobody else is; empty takes it
        away. Auditors are called nothing.
    """
    here = site(options)
    scope = scope_said(here, jurisdiction, sees, at=SystemClock().now())
    given = await give_role(here, party, actor, role=role, scope=scope, called=called)
    unheard = ["nobody of that name has had a role there before"] if given.new else []
    document = {"party": party, "actor": actor, "role": given.role.value, "new": given.new}
    return Printed(document, [f"{actor} is {given.role.value} of {party}", *unheard])


@verb(person_app, "end")
async def end_permission(party: str, actor: str, /, *, options: Options = OPTIONS) -> Printed:
    """End what somebody of a party may do in its console: their next request is a stranger's."""
    await end_role(site(options), party, actor, at=SystemClock().now())
    return Printed({"ended": actor, "party": party}, [f"{actor} may do nothing more for {party}"])


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
        somebody = Person(entry.id, opaque_actor(entry.id, person))
        text = await make_link(driver, somebody, role=role, at=at, called=called)
    return LoginLink(entry.id, role.value, person, f"{address}{ROOT}/in/{text}")


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
        return Given(role, await permit(driver, Person(entry.id, actor), role, scope=scope, called=called))


async def end_role(site: Site, party: str, actor: str, *, at: datetime) -> None:
    """End what somebody may do: their next request is a stranger's.

    Raises `Refused`: `party_unknown`, `person_unknown`.
    """
    entry = party_of(site, party)
    async with transaction_at(site, entry) as driver:
        await end_person(driver, Person(entry.id, actor), at)
