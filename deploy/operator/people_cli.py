"""`causeway person`: what people may do in a console; `causeway dev login-link`, `login-end`: ways in to a stack's."""

from __future__ import annotations

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.authority import GivenRole
from shared.kernel.clock import SystemClock

person_app = App(name="person")
_OPTIONS = Options()


async def login_link(
    party: str, /, *, role: GivenRole | None = None, person: str = "somebody", options: Options = _OPTIONS
) -> int:
    """Print a link that signs somebody of a party in to its console: once, within ten minutes.

    Parameters
    ----------
    role
        What they may act as; analyst if none is named, auditor for an auditor.
    person
        Tells the people of a party apart, and is what the others of it are shown: a second person needs another name.
    """
    with ending(options):
        from deploy.operator.people import login_link as made
        from deploy.site.open import site

        link = await made(site(options), party, at=SystemClock().now(), role=role, person=person)
        if options.json:
            output.document({name: getattr(link, name) for name in ("party", "role", "person", "url")})
        else:
            output.line(link.url)
        return output.DONE


async def login_end(party: str, /, *, person: str = "somebody", options: Options = _OPTIONS) -> int:
    """End what somebody of a party may do in its console: their next request is a stranger's."""
    with ending(options):
        from deploy.operator.people import end_login
        from deploy.site.open import site

        await end_login(site(options), party, at=SystemClock().now(), person=person)
        if options.json:
            output.document({"ended": party})
        else:
            output.line(f"{person} of {party} is signed out")
        return output.DONE


@person_app.command
async def permit(
    party: str,
    actor: str,
    /,
    *,
    role: GivenRole | None = None,
    jurisdiction: tuple[str, ...] = (),
    sees: tuple[str, ...] = (),
    called: str | None = None,
    options: Options = _OPTIONS,
) -> int:
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
    with ending(options):
        from deploy.operator.people import give_role, scope_said
        from deploy.site.open import site

        here = site(options)
        scope = scope_said(here, jurisdiction, sees, at=SystemClock().now())
        given = await give_role(here, party, actor, role=role, scope=scope, called=called)
        if options.json:
            output.document({"party": party, "actor": actor, "role": given.role.value, "new": given.new})
        else:
            output.line(f"{actor} is {given.role.value} of {party}")
            if given.new:
                output.line("nobody of that name has had a role there before")
        return output.DONE


@person_app.command
async def end(party: str, actor: str, /, *, options: Options = _OPTIONS) -> int:
    """End what somebody of a party may do in its console: their next request is a stranger's."""
    with ending(options):
        from deploy.operator.people import end_role
        from deploy.site.open import site

        await end_role(site(options), party, actor, at=SystemClock().now())
        if options.json:
            output.document({"ended": actor, "party": party})
        else:
            output.line(f"{actor} may do nothing more for {party}")
        return output.DONE
