"""`causeway key`: API keys of parties, and new keys of instances."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from cyclopts import App

from client.cli import output
from client.cli.settings import zoned
from deploy.site.options import Options, ending
from shared.kernel.authority import Role

key_app = App(name="key", help="API keys of parties, and new keys of instances.")
_OPTIONS = Options()


@key_app.command
async def issue(
    party: str,
    /,
    *,
    role: Role | None = None,
    person: str | None = None,
    jurisdiction: tuple[str, ...] = (),
    sees: tuple[str, ...] = (),
    options: Options = _OPTIONS,
) -> int:
    """Issue an API key to a party. It is shown once and kept nowhere.

    Parameters
    ----------
    role
        What it may act as; machine if none is named, auditor for an auditor.
    person
        Whose it is, by their opaque name: it acts as what they are in the console, and ends with them.
    jurisdiction
        An auditor's scope: parties below it. Said again for more; without it and the next one, everything.
    sees
        An auditor's scope: a party. Said again for more.
    """
    with ending(options):
        from deploy.operator.keys import issue as issued
        from deploy.operator.people import scope_said
        from deploy.site.open import site
        from shared.kernel.clock import SystemClock

        here = site(options)
        scope = scope_said(here, jurisdiction, sees, at=SystemClock().now())
        found = await issued(here, party, role=role, scope=scope, person=person)
        if options.json:
            output.document({name: getattr(found, name) for name in ("party", "role", "url", "key", "key_id")})
        else:
            output.line(f"{found.key}\nkey id {found.key_id}: {found.role} of {found.party} at {found.url}")
        return output.DONE


@key_app.command
async def revoke(party: str, /, *, keep: str | None = None, options: Options = _OPTIONS) -> int:
    """End the API keys of a party; within seconds none of them opens anything.

    Parameters
    ----------
    keep
        Id of the one key that stays.
    """
    with ending(options):
        from deploy.operator.keys import revoke as revoked
        from deploy.site.open import site
        from shared.kernel.clock import SystemClock

        found = await revoked(site(options), party, keep=keep, at=SystemClock().now())
        if options.json:
            output.document({"revoked": found})
        else:
            output.line(f"{len(found)} keys of {party} have ended")
        return output.DONE


@key_app.command
def make(
    instance: str, use: Literal["sign", "seal"], /, *, valid_from: datetime | None = None, options: Options = _OPTIONS
) -> int:
    """Make a new private key of an instance, and print the entry of its public half for the directory, as JSON.

    Parameters
    ----------
    instance
        By its name in the directory.
    use
        What it is for.
    valid_from
        From when on it counts; now if no time is given. UTC if it names no zone.
    """
    with ending(options):
        from deploy.operator.keys import make_instance_key
        from deploy.site.open import site
        from shared.kernel.clock import SystemClock

        at = zoned(valid_from) or SystemClock().now()
        path, public = make_instance_key(site(options), instance, use, valid_from=at)
        output.document({"file": path, "entry": public.model_dump(mode="json", exclude_none=True)})
        return output.DONE


@key_app.command
def sample(party: str, /, *, options: Options = _OPTIONS) -> int:
    """Print the address and the key of a sample party, as lines for a shell."""
    with ending(options):
        from deploy.operator.keys import sample_key
        from deploy.site.open import site

        url, key = sample_key(site(options), party)
        if options.json:
            output.document({"url": url, "key": key})
        else:
            output.line(f"export CAUSEWAY_URL={url} CAUSEWAY_API_KEY={key}")
        return output.DONE
