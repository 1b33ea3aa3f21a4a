"""`causeway login`, `logout`, `whoami`: where the verbs go and with which key."""

from __future__ import annotations

import getpass
import hashlib
import sys
from typing import TYPE_CHECKING

from client.cli import output
from client.cli.settings import Access, Options, access, given, keep, login_file
from shared.kernel.errors import Refused

if TYPE_CHECKING:
    from client.views import WhoAsks

_OPTIONS = Options()


def login(*, options: Options = _OPTIONS) -> int:
    """Keep a service and the key for it in a file that only you can read. Nothing is sent.

    Without --key or CAUSEWAY_API_KEY the key is asked for, or read from standard input. --url and --key, or the
    variables, win over the file, and only together: a kept key goes to no other service.
    """
    with output.ending(options):
        from client.transport import Transport

        found = given(options)
        if not found.url:
            raise Refused("url_missing", "name your service with --url", status=400)
        ca_file = found.ca_file and found.ca_file.resolve()
        wanted = Access(found.url, found.key or _asked(), ca_file, told_by="causeway login")
        Transport(wanted.url, wanted.key, http=None, ca_file=wanted.ca_file, attempts_max=1)  # refuses what cannot be
        keep(login_file(), wanted)
        return _said(wanted, options)


def logout(*, options: Options = _OPTIONS) -> int:
    """Remove the file. The key still opens: have it revoked if others may have it."""
    with output.ending(options):
        path = login_file()
        there = path.exists()
        path.unlink(missing_ok=True)
        if options.json:
            output.document({"forgotten": there})
        else:
            output.line("forgotten" if there else "nothing was kept")
        return output.DONE


async def whoami(*, offline: bool = False, options: Options = _OPTIONS) -> int:
    """Say which service the verbs go to, with which key (the first digits of its SHA-256), for which party, as what.

    Parameters
    ----------
    offline
        Send nothing: then party and roles are not said.
    """
    if offline:
        with output.ending(options):
            return _said(access(options), options)
    async with output.service(options) as client:
        from client.views import WhoAsks

        return _said(access(options), options, await client.read("/v1/whoami", WhoAsks))


def _asked() -> str:
    """The key, unseen at a terminal."""
    return (getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _said(found: Access, options: Options, asked: WhoAsks | None = None) -> int:
    world = "sandbox" if found.key.startswith("cw_test_") else "live"
    told = {
        "url": found.url,
        "key_sha256": hashlib.sha256(found.key.encode()).hexdigest()[:12],
        "world": world,
        "ca_file": found.ca_file and str(found.ca_file),
        "from": found.told_by,
    }
    if options.json:
        output.document(told | ({} if asked is None else asked.model_dump(mode="json")))
    else:
        output.line(f"{found.url}\nkey {told['key_sha256']}, {world}, from {found.told_by}")
        if asked is not None:
            output.line(f"{', '.join(asked.roles)} of {asked.party} ({asked.kind})")
            for what, named in (asked.scope or {}).items():
                output.line(f"sees {what}: {', '.join(named) or 'none'}")
    return output.DONE
