"""Ways in to the consoles of a demo while it runs: a link for a party of each service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.operator.people import LoginLink, login_link
from deploy.site.endpoints import STACK_FILE, Endpoints
from deploy.site.open import Site
from shared.kernel.clock import SystemClock

#: They have much to look at in the demo.
SHOWN: Final = ("hotline-nl.example", "police-nl.example", "provider-012.example", "auditor.example")


async def login_links(endpoints: Endpoints, state: Path) -> Sequence[LoginLink]:
    """A link for each of them; each opens once."""
    site = Site(state / STACK_FILE, state, endpoints)
    return [await login_link(site, party, at=SystemClock().now()) for party in SHOWN]
