"""The providers' service, assembled."""

from __future__ import annotations

from pathlib import Path

from deploy.site.endpoints import DatabaseEndpoint
from services.industry.app import build
from tests.services.industry.provider import Providers
from tests.services.installed import installation, paths_of

PRESERVING = ("answer", "correct", "answer-extension", "end", "acknowledge-withdrawal")
WEBHOOKS = {
    ("get", "/v1/webhooks"),
    ("post", "/v1/webhooks"),
    ("get", "/v1/webhooks/{webhook_id}"),
    ("delete", "/v1/webhooks/{webhook_id}"),
    ("get", "/v1/webhooks/{webhook_id}/deliveries"),
    *(("post", f"/v1/webhooks/{{webhook_id}}:{act}") for act in ("replay", "rotate", "trigger")),
}

PARTS = {
    *("api", "documents", "timers", "relay", "courier"),
    *("consumer", "moves", "locations", "withdrawals", "lapses"),
}
#: What is asked and contested, and what is transferred.
QUESTIONS = {
    ("get", "/v1/questions"),
    *(("post", f"/v1/notices/{{notice_id}}:{act}") for act in ("ask", "dispute")),
    *(("post", f"/v1/referrals/{{referral_id}}:{act}") for act in ("reply", "uphold", "transfer")),
}
#: Many notices at once, and those about one location.
TOGETHER = {
    ("post", "/v1/notices:batch"),
    *(("get", f"/v1/work-items{one}") for one in ("", "/{work_item}")),
    *(("post", f"/v1/work-items/{{work_item}}:{act}") for act in ("answer", "not-ours")),
}


async def test_it_is_assembled_without_a_broker_and_serves_the_paths_of_a_provider_and_an_origin(
    providers: Providers, endpoint: DatabaseEndpoint, tmp_path: Path
) -> None:
    app = await build("industry_two", **installation(tmp_path, endpoint.service_url))
    assert app.machinery.instance == "industry_two"
    assert app.parts.keys() == PARTS
    assert paths_of(app.http.openapi()) == {
        *(("get", f"/v1/{feed}") for feed in ("events", "due", "whoami")),
        ("get", "/v1/referrals/{referral_id}/timeline"),
        ("get", "/v1/notices/{notice_id}/timeline"),
        ("get", "/v1/attention"),
        ("get", "/v1/statistics/dsa-notices"),
        ("get", "/v1/notices"),
        *QUESTIONS,
        *TOGETHER,
        ("get", "/v1/notices/{notice_id}"),
        ("get", "/v1/notices/{notice_id}/evidence"),
        ("post", "/v1/notices/{notice_id}:acknowledge"),
        ("post", "/v1/notices/{notice_id}:answer"),
        ("post", "/v1/notices/{notice_id}:not-ours"),
        ("post", "/v1/notices/{notice_id}:reinstate"),
        ("post", "/v1/notices/{notice_id}:acknowledge-withdrawal"),
        ("get", "/v1/referrals"),
        ("post", "/v1/referrals"),
        ("post", "/v1/referrals:batch"),
        ("post", "/v1/referrals:check"),
        ("get", "/v1/referrals/{referral_id}"),
        ("post", "/v1/referrals/{referral_id}:amend"),
        ("post", "/v1/referrals/{referral_id}:check"),
        ("post", "/v1/referrals/{referral_id}:drop"),
        ("post", "/v1/referrals/{referral_id}:release"),
        ("post", "/v1/referrals/{referral_id}:reroute"),
        ("post", "/v1/referrals/{referral_id}:withdraw"),
        ("get", "/v1/preservations"),
        ("get", "/v1/preservations/{preservation_id}"),
        *(("get", f"/v1/preservations/{{preservation_id}}/{view}") for view in ("timeline", "ts103120")),
        *(("post", f"/v1/preservations/{{preservation_id}}:{act}") for act in PRESERVING),
        *(("post", f"/v1/referrals/{{referral_id}}:{act}-override") for act in ("propose", "confirm")),
        *WEBHOOKS,
        ("get", "/v1/work"),
    }
    await app.machinery.close()
