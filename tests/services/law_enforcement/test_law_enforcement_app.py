"""The agencies' service, assembled."""

from __future__ import annotations

from pathlib import Path

from deploy.site.endpoints import DatabaseEndpoint
from services.law_enforcement.app import build
from tests.services.installed import installation, paths_of
from tests.services.law_enforcement.agency import Agencies


async def test_it_is_assembled_without_a_broker_and_serves_the_paths_of_a_recipient(
    agencies: Agencies, endpoint: DatabaseEndpoint, tmp_path: Path
) -> None:
    app = await build("law_enforcement", **installation(tmp_path, endpoint.service_url))
    assert app.parts.keys() == {
        "api",
        "documents",
        "timers",
        "relay",
        "courier",
        "consumer",
        "withdrawals",
        "lapses",
    }
    assert paths_of(app.http.openapi()) == {
        ("get", "/v1/events"),
        ("get", "/v1/due"),
        ("get", "/v1/whoami"),
        ("get", "/v1/inbox/{referral_id}/timeline"),
        ("get", "/v1/attention"),
        ("get", "/v1/inbox"),
        ("get", "/v1/inbox/{referral_id}"),
        ("get", "/v1/inbox/{referral_id}/evidence"),
        ("post", "/v1/inbox/{referral_id}:acknowledge-withdrawal"),
        ("get", "/v1/questions"),
        *(("post", f"/v1/cases{one}") for one in (":batch", "/{referral_id}:ask", "/{referral_id}:dispute")),
        *(("post", f"/v1/cases/{{referral_id}}:{act}") for act in ("accept", "decline", "outcome")),
        ("get", "/v1/preservations"),
        ("get", "/v1/preservations/{preservation_id}"),
        ("get", "/v1/preservations/{preservation_id}/timeline"),
        ("get", "/v1/preservations/{preservation_id}/ts103120"),
        ("post", "/v1/preservations"),
        ("post", "/v1/preservations/{preservation_id}:extend"),
        ("post", "/v1/preservations/{preservation_id}:withdraw"),
        *(("post", f"/v1/cases/{{referral_id}}:{act}") for act in ("place-hold", "extend-hold", "release-hold")),
        *(("post", f"/v1/cases/{{referral_id}}:{act}") for act in ("claim", "hand-over", "refer")),
        ("post", "/v1/cases/{referral_id}:no-objection"),
        ("get", "/v1/holds"),
        ("get", "/v1/webhooks"),
        ("post", "/v1/webhooks"),
        ("get", "/v1/webhooks/{webhook_id}"),
        ("delete", "/v1/webhooks/{webhook_id}"),
        ("get", "/v1/webhooks/{webhook_id}/deliveries"),
        ("post", "/v1/webhooks/{webhook_id}:replay"),
        ("post", "/v1/webhooks/{webhook_id}:rotate"),
        ("post", "/v1/webhooks/{webhook_id}:trigger"),
    }
    await app.machinery.close()
