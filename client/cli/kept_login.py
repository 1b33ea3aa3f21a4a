"""The file that `causeway login` writes: one service and the key for it, its owner's alone (mode 0600).

Trust: whoever can read it can act as the party; whoever can write it can send the verbs to another service.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

from shared.kernel.errors import Refused


class KeptLogin(NamedTuple):
    """A service, the key for it, and whose certificates are trusted there. The key is left out of `repr`."""

    url: str
    key: str
    ca_file: Path | None

    def __repr__(self) -> str:
        return "KeptLogin(…)"


def keep(path: Path, login: KeptLogin) -> None:
    """Write it in one step; nobody else can read it at any time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with open(part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o600)) as file:
        json.dump(login._asdict() | {"ca_file": login.ca_file and str(login.ca_file)}, file)
    part.replace(path)


def kept(path: Path) -> KeptLogin | None:
    """What is kept there, if anything is.

    Raises `Refused`: `login_file_exposed` where others can read it, `login_file_malformed` where it is none.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_IMODE(mode) & 0o077:
        raise Refused("login_file_exposed", "others can read it: chmod 600, and have the key revoked", status=400)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        url, key, ca_file = found["url"], found["key"], found["ca_file"]
        return KeptLogin(str(url), str(key), None if ca_file is None else Path(ca_file))
    except (ValueError, LookupError, TypeError):
        malformed = Refused("login_file_malformed", "not a file that `causeway login` wrote: login again", status=400)
    raise malformed
