"""`causeway person`: roles of people in a console.

`causeway dev login-link`, `login-end`: sign-in to a stack.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import NamedTuple

from cyclopts import App

from deploy.operator.keys import party_of, role_at, scope_said, transaction_at
from deploy.site.open import Site, site
from deploy.site.options import OPTIONS, Options, Output, framed, verb
from shared.core.authority import AccessScope, GivenRole, Role
from shared.core.clock import SystemClock
from shared.platform.console.accounts import Person, end_person, is_name, make_link, opaque_actor, permit
from shared.platform.console.frame import ROOT

person_app = App(name="person")
#: The default person of a link.
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class LoginLink:
    """A person's sign-in link, shown once."""

    party: str
    role: str
    person: str = field(repr=False)
    url: str = field(repr=False)


class GrantedRole(NamedTuple):
    """A person's present role, and whether the person never had one before."""

    role: Role
    new: bool


@framed
async def login_link_verb(
    party: str, /, *, role: GivenRole | None = None, person: str = SOMEBODY, options: Options = OPTIONS
) -> Output:
    """Print a link that signs a person of a party in to its console: once, within ten minutes.

    Parameters
    ----------
    role
        The person's role; default analyst, for an auditor auditor.
    person
        A name that identifies the person and is shown to colleagues: a second person needs another name.
    """
    link = await login_link(site(options), party, at=SystemClock().now(), role=role, person=person)
    return Output(asdict(link), [link.url])


@framed
async def login_end_verb(party: str, /, *, person: str = SOMEBODY, options: Options = OPTIONS) -> Output:
    """End a person's role in a party's console, from the next request on."""
    await end_role(site(options), party, opaque_actor(party, person), at=SystemClock().now())
    return Output({"ended": party}, [f"{person} of {party} is signed out"])


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
) -> Output:
    """Give a person of a party one role in its console, from the next request on.

    It replaces the earlier role.

    Parameters
    ----------
    actor
        The person's opaque name, which their sign-in or their settings page shows.
    role
        The person's role; default analyst, for an auditor auditor.
    jurisdiction
        An auditor's scope: parties in it; repeat for more. Without this and --sees, the scope is everything.
    sees
        An auditor's scope: a party; repeat for more.
    called
        A display name for colleagues in the list of record accesses; an empty text removes it. Auditors have none.
    """
    current_site = site(options)
    scope = scope_said(current_site, jurisdiction, sees, at=SystemClock().now())
    given = await give_role(current_site, party, actor, role=role, scope=scope, called=called)
    notes = ["no person of that name has had a role there before"] if given.new else []
    document = {"party": party, "actor": actor, "role": given.role.value, "new": given.new}
    return Output(document, [f"{actor} is {given.role.value} of {party}", *notes])


@verb(person_app, "end")
async def end_permission(party: str, actor: str, /, *, options: Options = OPTIONS) -> Output:
    """End a person's role in a party's console, from the next request on."""
    await end_role(site(options), party, actor, at=SystemClock().now())
    return Output({"ended": actor, "party": party}, [f"{actor} no longer has a role at {party}"])


async def login_link(
    site: Site, party: str, *, at: datetime, role: Role | None = None, person: str = SOMEBODY
) -> LoginLink:
    """Return a link that signs `person` of `party` in: by default as an analyst, for an auditor as auditor.

    If `person` is written as a name, it is the display name for colleagues; auditors have none.

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
    scope: AccessScope | None = None,
    called: str | None = None,
) -> GrantedRole:
    """Give a person a `role`, as in `login_link`. `actor` is the opaque name that their sign-in shows.

    `called` is the display name for colleagues: None keeps it, an empty text removes it.
    Raises `Refused`: `party_unknown`, `person_malformed`, `called_malformed`, `auditors_uncalled`, `role_not_of_party`,
    `scope_of_auditors`.
    """
    entry = party_of(site, party)
    role = role_at(entry, role, usual=Role.ANALYST)
    async with transaction_at(site, entry) as driver:
        return GrantedRole(role, await permit(driver, Person(entry.id, actor), role, scope=scope, called=called))


async def end_role(site: Site, party: str, actor: str, *, at: datetime) -> None:
    """End a person's role, from the next request on.

    Raises `Refused`: `party_unknown`, `person_unknown`.
    """
    entry = party_of(site, party)
    async with transaction_at(site, entry) as driver:
        await end_person(driver, Person(entry.id, actor), at)
