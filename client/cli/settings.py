"""Where the service is and with which key, from the options or the environment. The only reader of it here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from shared.kernel.errors import Refused

URL_VARIABLE = "CAUSEWAY_URL"
KEY_VARIABLE = "CAUSEWAY_API_KEY"
_SAFE = re.compile(r"https://|http://(127\.0\.0\.1|\[::1\]|localhost)([:/]|$)")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options:
    """What every verb takes."""

    url: str | None = None
    """Base address of the service. Without it, CAUSEWAY_URL."""
    key: Annotated[str | None, Parameter(show_default=False)] = None
    """API key. Without it, CAUSEWAY_API_KEY, which other users of the machine cannot see."""
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print one JSON document instead of text."""


@dataclass(frozen=True, slots=True)
class Access:
    """A service and the key for it. The key is left out of `repr`."""

    url: str
    key: str

    def __repr__(self) -> str:
        return "Access(…)"


def access(options: Options) -> Access:
    """What the options say, else the environment.

    Raises `Refused` where neither says it, and for an address that would carry the key in the clear over a network.
    """
    environment = os.environ  # noqa: TID251 - this is the settings module
    url = options.url or environment.get(URL_VARIABLE, "")
    key = (options.key or environment.get(KEY_VARIABLE, "")).strip()
    if not url:
        raise Refused("url_missing", f"give --url or set {URL_VARIABLE}", status=400)
    if not key:
        raise Refused("api_key_missing", f"give --key or set {KEY_VARIABLE}", status=400)
    if not _SAFE.match(url):
        raise Refused("url_not_https", "the key would cross the network in the clear", status=400)
    return Access(url=url, key=key)


def zoned(at: datetime | None) -> datetime | None:
    """A time that names no zone is UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
