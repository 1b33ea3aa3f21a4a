"""`causeway dev login-link` and `login-end`: who may come in to the consoles of a stack."""

from __future__ import annotations

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.authority import Role

_OPTIONS = Options()


async def login_link(
    party: str, /, *, role: Role | None = None, person: str = "somebody", options: Options = _OPTIONS
) -> int:
    """Print a link that signs somebody of a party in to its console: once, within ten minutes.

    Parameters
    ----------
    role
        What they may act as; analyst if none is named, auditor for an auditor.
    person
        Tells the people of a party apart: a second person needs another word than the first.
    """
    with ending(options):
        from deploy.operator.people import login_link as made
        from deploy.site.open import site
        from shared.kernel.clock import SystemClock

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
        from shared.kernel.clock import SystemClock

        await end_login(site(options), party, at=SystemClock().now(), person=person)
        if options.json:
            output.document({"ended": party})
        else:
            output.line(f"{person} of {party} is signed out")
        return output.DONE
