"""The service and its key, from the options, the environment or the file of `causeway login`.

No other module here reads the environment. Only the owner can read the file (mode 0600). A process that can read it can
act as the party; a process that can write it can send the commands to another service.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from shared.core.errors import Refused


def write_private(path: Path, data: bytes) -> Path:
    """Write a file in one step; no other user can read it at any time. Return its path.

    After a loss of power the file is whole: the earlier one, or this one.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with open(part, "xb", opener=_private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part.replace(path)


def keep_private(path: Path, data: bytes | None) -> Path | None:
    """Write a file in one step, or remove an earlier one and return None if there is nothing to write."""
    if data is not None:
        return write_private(path, data)
    path.unlink(missing_ok=True)
    return None


def add_private(path: Path, data: bytes) -> None:
    """Add to a file. When this returns it is on the disk."""
    with open(path, "ab", opener=_private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that grows. An incomplete last line after a crash is removed from it."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return whole.splitlines()


def decode_line(line: bytes, field: str | None = None) -> str:
    """Return the text of one line of a file. Raises `Refused("not_utf8")`, with `field`."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise Refused("not_utf8", "save the file as UTF-8", field=field) from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class ServiceAccess(NamedTuple):
    """A service, its key, the trusted certificates, and the source of these settings.

    `repr` leaves the key out.
    """

    url: str
    key: str
    ca_file: Path | None
    told_by: str = "options and environment"

    def __repr__(self) -> str:
        return "ServiceAccess(…)"


def keep(path: Path, login: ServiceAccess) -> None:
    """Write the access data in one step; no other user can read the file at any time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {"url": login.url, "key": login.key, "ca_file": login.ca_file and str(login.ca_file)}
    write_private(path, json.dumps(kept).encode())


def read_login(path: Path) -> ServiceAccess | None:
    """Return the stored access data, if there is any.

    Raises `Refused`: `login_file_exposed` if others can read it, `login_file_malformed` for another content.
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
        return ServiceAccess(str(url), str(key), None if ca_file is None else Path(ca_file), told_by="causeway login")
    except (ValueError, LookupError, TypeError):
        malformed = Refused("login_file_malformed", "`causeway login` did not write this file: login again", status=400)
    raise malformed


URL_VARIABLE = "CAUSEWAY_URL"
KEY_VARIABLE = "CAUSEWAY_API_KEY"
CONFIG_VARIABLE = "XDG_CONFIG_HOME"
CA_FILE_VARIABLE = "CAUSEWAY_CA_FILE"
WEBHOOK_SECRET_VARIABLE = "CAUSEWAY_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options of every command."""

    url: str | None = None
    """Base address of the service: https, or http on this machine. Without it, CAUSEWAY_URL."""
    key: Annotated[str | None, Parameter(show_default=False)] = None
    """API key. Without it, CAUSEWAY_API_KEY, which other users of the machine cannot see."""
    ca_file: Path | None = None
    """Certificates (PEM) that verify the service, instead of the public authorities. Without it, CAUSEWAY_CA_FILE."""
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print one JSON document instead of text."""


def given(options: ClientOptions) -> ServiceAccess:
    """Return the values of the options, otherwise of the environment; empty if neither has them."""
    environment = os.environ  # noqa: TID251 - this is the settings module
    url = options.url or environment.get(URL_VARIABLE, "")
    key = (options.key or environment.get(KEY_VARIABLE, "")).strip()
    ca_file = options.ca_file or (Path(named) if (named := environment.get(CA_FILE_VARIABLE, "")) else None)
    return ServiceAccess(url=url, key=key, ca_file=ca_file)


def access(options: ClientOptions) -> ServiceAccess:
    """Return the values of the options, else of the environment, else those stored by `causeway login`.

    Stored values are used together or not at all: a stored key never goes to another service. Raises `Refused` without
    a value. The transport checks the address.
    """
    found = given(options)
    if not found.url and not found.key and (login := read_login(login_file())) is not None:
        return login._replace(ca_file=found.ca_file or login.ca_file)
    if not found.url:
        raise Refused("url_missing", f"causeway login, give --url or set {URL_VARIABLE}", status=400)
    if not found.key:
        raise Refused("api_key_missing", f"causeway login, give --key or set {KEY_VARIABLE}", status=400)
    return found


def login_file() -> Path:
    """Return the file of `causeway login`: below XDG_CONFIG_HOME, by default ~/.config."""
    named = os.environ.get(CONFIG_VARIABLE, "")  # noqa: TID251 - this is the settings module
    return (Path(named) if named else Path.home() / ".config") / "causeway" / "login.json"


def webhook_secret(given: str | None) -> str:
    """Return the secret of webhooks, from an option or the environment.

    Raises `Refused` if neither has it.
    """
    secret = (given or os.environ.get(WEBHOOK_SECRET_VARIABLE, "")).strip()  # noqa: TID251 - this is the settings module
    if not secret:
        raise Refused("webhook_secret_missing", f"give --secret or set {WEBHOOK_SECRET_VARIABLE}", status=400)
    return secret


def zoned(at: datetime | None) -> datetime | None:
    """Return a time; one without a zone is UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
