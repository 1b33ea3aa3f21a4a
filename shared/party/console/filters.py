"""What a list's page shows of what it is looked through for, and what its links keep of it."""

from __future__ import annotations

from urllib.parse import urlencode

from shared.party.finding import FILTERS
from shared.runtime.console.asked import Asked


def filters_of(asked: Asked) -> dict[str, object]:
    """`said` is what the form is filled with, `keep` what the link to the next page begins with."""
    said = {name: asked.query(name) or "" for name in ("state", "claimed", *FILTERS)}
    keep = urlencode({name: value for name, value in said.items() if value})
    return {"said": said, "keep": keep and f"{keep}&"}
