"""The providers' service, assembled."""

from __future__ import annotations

from pathlib import Path

from deploy.site.endpoints import DatabaseEndpoint
from services.industry.app import build
from tests.services.industry.provider import Providers
from tests.services.installed import installation, paths_of, published_paths

PARTS = {
    *("api", "documents", "timers", "relay", "courier"),
    *("consumer", "moves", "locations", "withdrawals", "lapses"),
}


async def test_it_is_assembled_without_a_broker_and_serves_what_is_published(
    providers: Providers, endpoint: DatabaseEndpoint, tmp_path: Path
) -> None:
    app = await build("industry_two", **installation(tmp_path, endpoint.service_url))
    assert app.machinery.instance == "industry_two"
    assert app.parts.keys() == PARTS
    assert paths_of(app.http.openapi()) == published_paths("industry")
    await app.machinery.close()
