"""Absent and foreign things get byte-equal answers, on every route that names one thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.clock import SystemClock, rfc3339
from shared.core.ids import uuid4, uuid7
from tests.support import running

#: A party at each service that is unrelated to the referrals of this module.
_OTHERS = ("hotline-de.example", "police-fr.example", "provider-021.example")
STRANGERS = dict(zip(running.SERVICES, _OTHERS, strict=True))
#: An allowed end of a hold.
NOT_AFTER = rfc3339(SystemClock().now() + timedelta(hours=8))
#: The body of each act, by the name after the colon of its path.
BODIES: dict[str, dict[str, Any]] = {
    "withdraw": {"reason": "filed_in_error"},
    "check": {"checked": [{"n": 1, "found": "gone"}]},
    "assess": {"assessed": [{"n": 1, "assessment": "baseline"}]},
    "reinstate": {"reinstated": [{"reason": "court_order"}]},
    "release": {},
    "amend": running.referral(),
    "reroute": {"notice_id": str(uuid7())},
    "drop": {},
    "acknowledge-withdrawal": {"fate": "erased"},
    "accept": {},
    "decline": {"reason": "no_crime"},
    "outcome": {"outcome": "arrest", "child_identified": "no", "child_safeguarded": "unknown"},
    "claim": {},
    "hand-over": {},
    "refer": {"agency": "police-de.example", "reason": "suspect_elsewhere"},
    "place-hold": {"scope": "removal", "basis": "court_order", "not_after": NOT_AFTER},
    "extend-hold": {"basis": "court_order", "not_after": NOT_AFTER},
    "release-hold": {},
    "no-objection": {},
    "propose-override": {"hold": str(uuid4()), "basis": "court_order"},
    "confirm-override": {"hold": str(uuid4())},
    "acknowledge": {},
    "answer": {"items": [{"action": "removed", "effective_at": "2026-03-21T08:00:00Z"}]},
    "not-ours": {"disowned": [{}]},
    "ask": {"needs": ["location"]},
    "dispute": {"disputed": [{"reason": "duplicate"}]},
    "reply": {"party": running.PROVIDER, "question": 1, "replied": [{"reply": "gone"}]},
    "uphold": {"party": running.PROVIDER, "dispute": 1, "decided": [{"verdict": "upheld"}]},
    "replay": {},
    "transfer": {"reason": "no_mandate"},
    "rotate": {},
    "trigger": {},
}
#: Bodies of acts on preservations. Some of these acts share their names with others.
PRESERVING: dict[str, dict[str, Any]] = {
    "extend": {"until": "2099-12-31"},
    "withdraw": {"reason": "replaced"},
    "answer": {"answer": "not_possible", "impossible": "never_stored"},
    "correct": {"answer": "not_possible", "impossible": "never_stored"},
    "answer-extension": {"answer": "extended"},
    "end": {"reason": "produced"},
    "acknowledge-withdrawal": {},
}
#: Bodies of acts on work items.
WORKING: dict[str, dict[str, Any]] = {"answer": {"outcomes": [{"action": "removed"}]}, "not-ours": {}}
#: An agency's request.
ASKED = {
    "provider": running.PROVIDER,
    "kind": "preserve",
    "instrument": "eu_2023_1543",
    "term": "eu_60d",
    "locations": [{"kind": "url", "value": "https://images.example/kept/1"}],
}
#: Headers that differ between any two answers.
OF_THE_MOMENT = {"date", "request-id"}


@dataclass(frozen=True, slots=True)
class Filed:
    """A referral of a hotline that reached all three kinds, one of a provider, and an agency's preservation request."""

    by_hotline: UUID
    notice: UUID
    by_provider: UUID
    preservation: UUID
    work_item: UUID
    webhooks: dict[str, UUID]

    def foreign(self, service: str, path: str) -> UUID:
        """Return an id that exists at the service under this path and belongs to others."""
        if "webhook_id" in path:
            return self.webhooks[service]
        if "preservation_id" in path:
            return self.preservation
        if "work_item" in path:
            return self.work_item
        if "notice_id" in path:
            return self.notice
        return self.by_provider if service == "industry" else self.by_hotline


@pytest.fixture(scope="module")
async def filed(exchange: running.Exchange) -> Filed:
    async with exchange.client(running.HOTLINE) as hotline, exchange.client(running.PROVIDER) as provider:
        first = await hotline.submit(running.referral())
        other = await provider.submit(running.provider_filing())
        await exchange.until_taken()
        shown = await hotline.show(first.referral_id)
    notices = [edge.notice_id for edge in shown.edges if edge.notice_id]
    webhooks = {}
    for service, party in zip(running.SERVICES, (running.HOTLINE, running.AGENCY, running.PROVIDER), strict=True):
        async with exchange.client(party) as client:
            made = await client.call("POST", "/v1/webhooks", body={"url": "https://hooks.party.example/"})
            webhooks[service] = UUID(str(made["webhook_id"]))
    async with exchange.http(running.AGENCY) as agency:
        wanted = await agency.post("/v1/preservations", json=ASKED, headers={"Idempotency-Key": str(uuid7())})
    await exchange.until_taken()
    preservation = UUID(wanted.json()["preservation_id"])
    async with exchange.http(running.PROVIDER) as http:
        work = (await http.get("/v1/work-items", params={"limit": 1})).json()["items"]
    work_item = UUID(work[0]["work_item"])
    return Filed(first.referral_id, UUID(str(notices[0])), other.referral_id, preservation, work_item, webhooks)


async def routes_of(exchange: running.Exchange, service: str) -> Iterator[tuple[str, str]]:
    """Return (method, path) of every operation that names one thing, from the service's own document."""
    async with exchange.http(STRANGERS[service]) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
    return ((method.upper(), path) for path, methods in paths.items() if "{" in path for method in methods)


async def asked(http: httpx.AsyncClient, method: str, path: str, *, subject: UUID) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of one request, without the parts that vary with time."""
    start, _, end = path.partition("{")
    _, _, act = end.partition("}")
    bodies = PRESERVING if "preservations" in start else WORKING if "work-items" in start else BODIES
    body = bodies[act.lstrip(":")] if method == "POST" else None
    headers = {"Idempotency-Key": str(uuid7()), "If-Match": '"1"'} if method == "POST" else {}
    answer = await http.request(method, f"{start}{subject}{act}", json=body, headers=headers)
    kept = {name: value for name, value in answer.headers.items() if name not in OF_THE_MOMENT}
    return answer.status_code, answer.content, kept


@pytest.mark.parametrize("service", running.SERVICES)
async def test_absent_and_foreign_are_answered_with_the_same_bytes(
    exchange: running.Exchange, filed: Filed, service: str
) -> None:
    asked_about = 0
    key = await exchange.issued(service, STRANGERS[service], Role.ANALYST)
    async with exchange.http(STRANGERS[service]) as http:
        http.headers["Authorization"] = f"Bearer {key}"
        for method, path in await routes_of(exchange, service):
            absent = await asked(http, method, path, subject=uuid7())
            foreign = await asked(http, method, path, subject=filed.foreign(service, path))
            assert foreign == absent, path
            assert foreign[0] == 404, path
            asked_about += 1
    assert asked_about == {"hotline": 30, "law_enforcement": 27, "industry": 40}[service]


@pytest.mark.parametrize(
    ("party", "path"),
    [
        (running.HOTLINE, "/v1/referrals/{referral_id}"),
        (running.HOTLINE, "/v1/webhooks/{webhook_id}"),
        (running.HOTLINE, "/v1/webhooks/{webhook_id}/deliveries"),
        (running.OTHER_HOTLINE, "/v1/inbox/{referral_id}"),
        (running.AGENCY, "/v1/inbox/{referral_id}"),
        (running.AGENCY, "/v1/inbox/{referral_id}/evidence"),
        (running.AGENCY, "/v1/inbox/{referral_id}/timeline"),
        (running.HOTLINE, "/v1/referrals/{referral_id}/timeline"),
        (running.PROVIDER, "/v1/notices/{notice_id}"),
        (running.PROVIDER, "/v1/notices/{notice_id}/evidence"),
        (running.PROVIDER, "/v1/notices/{notice_id}/timeline"),
        (running.PROVIDER, "/v1/work-items/{work_item}"),
        (running.AGENCY, "/v1/preservations/{preservation_id}"),
        (running.PROVIDER, "/v1/preservations/{preservation_id}"),
        (running.PROVIDER, "/v1/preservations/{preservation_id}/timeline"),
    ],
)
async def test_whom_it_concerns_is_answered_otherwise(
    exchange: running.Exchange, filed: Filed, party: str, path: str
) -> None:
    """Control of the test above: the foreign things exist, and their parties see them."""
    async with exchange.http(party) as http:
        own = await asked(http, "GET", path, subject=filed.foreign("hotline", path))
    assert own[0] == 200


async def test_an_absent_flow_is_answered_like_any_absent_resource(exchange: running.Exchange, filed: Filed) -> None:
    async with exchange.http("auditor.example") as auditor, exchange.http(running.HOTLINE) as hotline:
        flow = await auditor.get(f"/v1/flows/{uuid7()}", headers={"Purpose": "looking for what is not there"})
        absent = await asked(hotline, "GET", "/v1/referrals/{referral_id}", subject=uuid7())
    assert (flow.status_code, flow.content) == absent[:2]
