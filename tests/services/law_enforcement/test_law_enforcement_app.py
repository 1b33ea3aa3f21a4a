"""The agencies' service, assembled."""

from __future__ import annotations

from pathlib import Path

from deploy.site.endpoints import DatabaseEndpoint
from services.law_enforcement.app import build
from tests.services.installed import installation, paths_of, published_paths
from tests.services.law_enforcement.agency import Agencies

PARTS = {"api", "documents", "timers", "relay", "courier", "consumer", "withdrawals", "lapses"}


async def test_it_is_assembled_without_a_broker_and_serves_what_is_published(
    agencies: Agencies, endpoint: DatabaseEndpoint, tmp_path: Path
) -> None:
    app = await build("law_enforcement", **installation(tmp_path, endpoint.service_url))
    assert app.parts.keys() == PARTS
    assert paths_of(app.http.openapi()) == published_paths("law_enforcement")
    await app.machinery.close()
