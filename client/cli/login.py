"""`causeway login`, `logout`, `whoami`: the service and the key of the commands."""

from __future__ import annotations

import getpass
import hashlib
import sys
from typing import TYPE_CHECKING

from client.cli import output
from client.cli.settings import ClientOptions, ServiceAccess, access, given, keep, login_file
from shared.core.errors import Refused

if TYPE_CHECKING:
    from client.views import IdentityView

_OPTIONS = ClientOptions()


def login(*, options: ClientOptions = _OPTIONS) -> int:
    """Store a service and its key in a file that only you can read. Nothing is sent.

    Without --key or CAUSEWAY_API_KEY, the command asks for the key or reads it from standard input. --url and --key, or
    the variables, override the file, but only together: a stored key goes to no other service.
    """
    with output.exit_on_error(options):
        from client.transport import Transport

        found = given(options)
        if not found.url:
            raise Refused("url_missing", "name your service with --url", status=400)
        ca_file = found.ca_file and found.ca_file.resolve()
        wanted = ServiceAccess(found.url, found.key or _asked(), ca_file, told_by="causeway login")
        Transport(wanted.url, wanted.key, http=None, ca_file=wanted.ca_file, attempts_max=1)  # refuses unusable values
        keep(login_file(), wanted)
        return _print_access(wanted, options)


def logout(*, options: ClientOptions = _OPTIONS) -> int:
    """Remove the file. The key stays valid: have it revoked if others may have it."""
    with output.exit_on_error(options):
        path = login_file()
        existed = path.exists()
        path.unlink(missing_ok=True)
        if options.json:
            output.document({"forgotten": existed})
        else:
            output.line("forgotten" if existed else "nothing was kept")
        return output.DONE


async def whoami(*, offline: bool = False, options: ClientOptions = _OPTIONS) -> int:
    """Show the service and the key of the commands (the first digits of its SHA-256), its party and its roles.

    Parameters
    ----------
    offline
        Send nothing, and omit party and roles.
    """
    if offline:
        with output.exit_on_error(options):
            return _print_access(access(options), options)
    async with output.service(options) as client:
        from client.views import IdentityView

        return _print_access(access(options), options, await client.read("/v1/whoami", IdentityView))


def _asked() -> str:
    """Return the key, read without echo on a terminal."""
    return (getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _print_access(found: ServiceAccess, options: ClientOptions, identity: IdentityView | None = None) -> int:
    world = "sandbox" if found.key.startswith("cw_test_") else "live"
    document = {
        "url": found.url,
        "key_sha256": hashlib.sha256(found.key.encode()).hexdigest()[:12],
        "world": world,
        "ca_file": found.ca_file and str(found.ca_file),
        "from": found.told_by,
    }
    if options.json:
        output.document(document | ({} if identity is None else identity.model_dump(mode="json")))
    else:
        output.line(f"{found.url}\nkey {document['key_sha256']}, {world}, from {found.told_by}")
        if identity is not None:
            output.line(f"{', '.join(identity.roles)} of {identity.party} ({identity.kind})")
            for what, named in (identity.scope or {}).items():
                output.line(f"sees {what}: {', '.join(named) or 'none'}")
    return output.DONE
