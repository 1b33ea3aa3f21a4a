"""`causeway key`: API keys of parties, and new keys of instances and approvers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from cyclopts import App

from client.cli import output
from client.cli.settings import zoned
from deploy.site.options import Options, ending
from shared.kernel.authority import GivenRole
from shared.kernel.clock import SystemClock

key_app = App(name="key")
_OPTIONS = Options()


@key_app.command
async def issue(
    party: str,
    /,
    *,
    role: GivenRole | None = None,
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

        found = await revoked(site(options), party, keep=keep, at=SystemClock().now())
        if options.json:
            output.document({"revoked": found})
        else:
            output.line(f"{len(found)} keys of {party} have ended")
        return output.DONE


@key_app.command
def make(
    name: str,
    use: Literal["sign", "seal", "kek", "approve"],
    /,
    *,
    valid_from: datetime | None = None,
    into: Path | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Make a new private key, and print the entry of its public half, as JSON.

    Parameters
    ----------
    name
        An instance, by its name in the directory; to approve, an approver.
    use
        What it is for. The key that wraps data keys (kek) is made once, and has no public half.
    valid_from
        From when on it counts; now if no time is given. UTC if it names no zone. Of sign and seal.
    into
        Of approve: the approver's own folder; the present one if none is named. No site is needed.
    """
    with ending(options):
        from deploy.operator.ceremony import make_approver_key, make_instance_key, make_kek
        from deploy.site.open import site

        if use == "approve":
            path, card = make_approver_key(into or Path(), name)
            output.document({"file": str(path), "entry": card.model_dump(mode="json")})
        elif use == "kek":
            output.document({"file": str(make_kek(site(options), name))})
        else:
            at = zoned(valid_from) or SystemClock().now()
            path, public = make_instance_key(site(options), name, use, valid_from=at)
            output.document({"file": str(path), "entry": public.model_dump(mode="json", exclude_none=True)})
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
