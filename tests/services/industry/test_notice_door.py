"""The HTTP routes of the providers' service: paths, bodies, answers, and one effect per idempotency key."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.serve import build_instance
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.ids import uuid7
from tests.services.deliveries import HOTLINE, LOCATION, OTHER_PROVIDER, PROVIDER
from tests.services.doors import ACTOR, asking
from tests.services.industry.provider import Providers
from tests.services.installed import installation, paths_of, published_paths


async def issue(providers: Providers) -> str:
    notice_id = await providers.issue()
    return str(notice_id)


async def test_a_list_shows_no_record_and_audit_is_told_who_has_opened_one(
    providers: Providers, client: httpx.AsyncClient
) -> None:
    notice_id = await issue(providers)
    listed = await client.get("/v1/notices", params={"state": "issued", "limit": 1}, headers=asking(PROVIDER))
    assert listed.json()["items"][0]["notice_id"] == notice_id
    assert LOCATION not in listed.text
    foreign = await client.get(f"/v1/notices/{notice_id}", headers=asking(OTHER_PROVIDER))
    assert (foreign.status_code, await providers.sent(UUID(notice_id))) == (404, [])
    shown = await client.get(f"/v1/notices/{notice_id}", headers=asking(PROVIDER))
    assert shown.json()["record"]["items"][0]["locator"]["value"] == LOCATION
    [(kind, *_, clear)] = await providers.sent(UUID(notice_id))
    assert (kind, clear) == ("causeway.record_revealed.v1", {"party": PROVIDER, "role": "analyst", "actor": ACTOR})


@pytest.mark.parametrize(
    ("verb", "body", "state"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("answer", {"items": [{"action": "removed", "effective_at": "2026-05-04T11:59:00Z"}]}, "actioned"),
        ("answer", {"items": [{"n": 1, "rejection": "insufficient_detail"}]}, "rejected"),
        ("not-ours", {"disowned": [{"n": 1, "suggested": OTHER_PROVIDER}]}, "not_ours"),
        ("not-ours", {"disowned": [{}]}, "not_ours"),
    ],
)
async def test_each_act_has_its_own_path(
    providers: Providers, client: httpx.AsyncClient, verb: str, body: dict[str, Any], state: str
) -> None:
    notice_id = await issue(providers)
    headers = asking(PROVIDER, role=Role.MACHINE, key=notice_id)
    answer = await client.post(f"/v1/notices/{notice_id}:{verb}", json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"notice_id": notice_id, "state": state})


@pytest.mark.parametrize(
    ("verb", "body", "code", "field"),
    [
        ("answer", {"items": []}, "fields_invalid", "/items"),
        (
            "answer",
            {"items": [{"action": "removed", "effective_at": "secret"}]},
            "fields_invalid",
            "/items/0/effective_at",
        ),
        ("answer", {"items": [{"rejection": "secret"}]}, "fields_invalid", "/items/0/rejection"),
        ("answer", {"items": [{"n": 1}]}, "fields_invalid", "/items/0"),
        ("answer", {"items": [{"n": 2, "action": "removed"}]}, "item_unknown", "/items/0/n"),
        ("not-ours", {"disowned": [{"suggested": "secret.example"}]}, "suggested_unknown", "/disowned/0/suggested"),
        ("not-ours", {"disowned": [{"suggested": HOTLINE}]}, "suggested_unknown", "/disowned/0/suggested"),
        ("not-ours", {"disowned": [{"suggested": PROVIDER}]}, "suggested_unknown", "/disowned/0/suggested"),
    ],
)
async def test_a_body_that_breaks_a_rule_is_refused_by_field_and_never_echoed(
    providers: Providers, client: httpx.AsyncClient, verb: str, body: dict[str, Any], code: str, field: str
) -> None:
    notice_id = await issue(providers)
    answer = await client.post(f"/v1/notices/{notice_id}:{verb}", json=body, headers=asking(PROVIDER, key=notice_id))
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)
    assert "secret" not in answer.text


async def test_an_act_without_a_key_is_refused(providers: Providers, client: httpx.AsyncClient) -> None:
    notice_id = await issue(providers)
    answer = await client.post(f"/v1/notices/{notice_id}:acknowledge", json={}, headers=asking(PROVIDER))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


async def test_a_viewer_may_look_and_never_act(providers: Providers, client: httpx.AsyncClient) -> None:
    """A viewer's request body is not checked, either: the provider that it suggests does not exist."""
    notice_id, said = await issue(providers), {"disowned": [{"suggested": "nobody.example"}]}
    viewer = asking(PROVIDER, role=Role.VIEWER, key=notice_id)
    assert (await client.get(f"/v1/notices/{notice_id}", headers=viewer)).status_code == 200
    for each in (notice_id, uuid7()):
        acted = await client.post(f"/v1/notices/{each}:not-ours", json=said, headers=viewer)
        assert (acted.status_code, acted.json()["code"]) == (403, "forbidden")
    for path in ("", f"/{notice_id}"):
        read = await client.get(f"/v1/notices{path}", headers=asking(PROVIDER, role=Role.AUDITOR))
        assert (read.status_code, read.json()["code"]) == (403, "forbidden"), "an auditor reads no notices"


# -- The providers' service, assembled.


PARTS = {"api", "documents", "timers", "relay", "courier", "consumer", "moves", "locations", "withdrawals", "lapses"}


async def test_it_serves_what_is_published(providers: Providers, endpoint: DatabaseEndpoint, tmp_path: Path) -> None:
    app = await build_instance("industry", "industry_two", **installation(tmp_path, endpoint.service_url))
    assert app.machinery.instance == "industry_two"
    assert app.parts.keys() == PARTS
    assert paths_of(app.http.openapi()) == published_paths("industry")
    await app.machinery.close()
