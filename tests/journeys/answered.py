"""Parties that call every route for each kind of answer. Each answer is compared with its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from client.api import CausewayClient
from shared.core.authority import Role
from shared.core.clock import SystemClock, rfc3339
from shared.core.contracts.holds import Assignment, CaseClaim
from shared.core.ids import uuid7
from tests.contracts.described import Described
from tests.support.driver import BODY_BYTES_MAX
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, over_budget, referral
from tests.support.stack import INSTANCES

AUDITOR = "auditor.example"
SERVED_BY = {
    HOTLINE: "hotline",
    OTHER_HOTLINE: "hotline",
    AGENCY: "law_enforcement",
    "police-de.example": "law_enforcement",
    PROVIDER: "industry",
    AUDITOR: "audit",
}
WITHDRAWAL = {"reason": "filed_in_error"}
REPORT = {"items": [{"n": 1, "action": "removed"}]}
ERASED = {"fate": "erased"}
KEPT = {"fate": "kept", "kept": {"retention": "us_1y", "basis": "accepted_case", "until": "2099-05-04"}}
#: A provider may not erase a notice right after its action.
COMPLAINT = {"fate": "kept", "kept": {"retention": "minimal", "basis": "open_complaint", "until": "2099-05-04"}}
OUTCOME = {"outcome": "ongoing_investigation", "child_identified": "unknown", "child_safeguarded": "no"}
REFERRED = {"agency": "police-de.example", "reason": "suspect_elsewhere"}
PURPOSE = {"Purpose": "answers as described"}


@dataclass
class Asked:
    """A client for all parties. It compares each answer with the document of the service that gave it."""

    exchange: Exchange
    documents: Mapping[str, Described] = field(default_factory=lambda: {name: Described(name) for name in INSTANCES})
    differing: list[tuple[str, list[str]]] = field(default_factory=list)

    async def get(self, party: str, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
        async with self.exchange.http(party) as http:
            return self.compared(party, await http.get(path, headers=headers), status)

    async def delete(self, party: str, path: str, *, status: int = 200) -> Any:
        async with self.exchange.http(party) as http:
            return self.compared(party, await http.delete(path), status)

    async def post(
        self, party: str, path: str, body: Any = None, *, status: int = 202, key: str = "", **options: Any
    ) -> Any:
        headers = {"Idempotency-Key": key or str(uuid7())} | options.pop("headers", {})
        async with self.exchange.http(party) as http:
            return self.compared(party, await http.post(path, headers=headers, **(options or {"json": body})), status)

    def compared(self, party: str, answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, (answer.request.url.path, answer.text)
        if found := self.documents[SERVED_BY[party]].differences(answer):
            self.differing.append((f"{answer.request.method} {answer.request.url.path} {status}", found))
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    async def filed(self) -> tuple[str, str]:
        """Submit a referral and deliver it; return it and its notice."""
        referral_id = (await self.post(HOTLINE, "/v1/referrals", referral()))["referral_id"]
        await self.exchange.until_taken()
        shown = await self.get(HOTLINE, f"/v1/referrals/{referral_id}")
        return referral_id, next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])


async def origin_answers(asked: Asked, party: str, make: Any) -> None:
    first, lost = make(), make(user_jurisdictions=["Europe"])
    filed = await asked.post(party, "/v1/referrals", first)
    await asked.post(party, "/v1/referrals", lost)
    taken = await asked.post(party, "/v1/referrals", first, status=409)
    assert taken["referral"] == f"/v1/referrals/{filed['referral_id']}"
    batch = {"referrals": [make(), lost, make(exercise=False)]}
    await asked.post(party, "/v1/referrals:check", batch, status=200)
    await asked.post(party, "/v1/referrals:check", make(), status=200)
    results = (await asked.post(party, "/v1/referrals:batch", batch, status=200))["results"]
    assert [each["status"] for each in results] == [202, 409, 422]
    await asked.get(party, "/v1/referrals?limit=1")
    await asked.get(party, "/v1/work?reason=unknown_jurisdiction&limit=1")
    path = f"/v1/referrals/{filed['referral_id']}"
    await asked.exchange.until_taken()
    await asked.get(party, path)
    assert (await asked.get(party, f"{path}/timeline"))["items"][0]["type"] == "referral.submit"
    follows = {"If-Match": '"1"'}
    await asked.post(party, f"{path}:amend", json=first | {"viewed_by": "nobody"}, headers=follows)
    await asked.post(party, f"{path}:amend", json=first, headers=follows, status=412)
    await asked.post(party, f"{path}:amend", first, status=428)
    await asked.post(party, f"{path}:reroute", {"notice_id": str(uuid7())}, status=422)
    unknown = {"checked": [{"n": 99, "found": "gone"}]}
    await asked.post(party, f"{path}:check", unknown, status=422)
    withdrawn = await asked.post(party, f"{path}:withdraw", WITHDRAWAL)
    assert await asked.post(party, f"{path}:withdraw", {"reason": "duplicate"}) == withdrawn
    await asked.get(party, path)


async def second_persons_answer(asked: Asked, party: str, make: Any) -> None:
    """Release one referral above its budget and drop another, by another user than the submitter."""
    second = {"Authorization": f"Bearer {await asked.exchange.issued(SERVED_BY[party], party, Role.ANALYST)}"}
    for act in ("release", "drop"):
        filed = await asked.post(party, "/v1/referrals", over_budget(make()))
        path = f"/v1/referrals/{filed['referral_id']}:{act}"
        await asked.post(party, path, status=403)
        await asked.post(party, path, headers=second)
        await asked.post(party, path, headers=second, status=409)


async def hotline_assesses(asked: Asked, first: str, second: str) -> None:
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{first}:accept")
    assessed = {"assessed": [{"assessment": "baseline"}, {"action": "removed"}]}
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{first}:assess", assessed)
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{first}:assess", assessed, status=409)
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{second}:decline", {"reason": "no_capacity"})
    await asked.get(OTHER_HOTLINE, f"/v1/inbox/{first}")


async def work_is_answered(asked: Asked) -> None:
    """Answer work items at new locations with one notice each. The newest work item is listed first."""
    for act, body in (("answer", {"outcomes": [{"action": "removed"}]}), ("not-ours", {})):
        _, notice_id = await asked.filed()
        await asked.exchange.until_taken()
        (item,) = (await asked.get(PROVIDER, "/v1/work-items?limit=1"))["items"]
        path = f"/v1/work-items/{item['work_item']}"
        assert [each["notice_id"] for each in (await asked.get(PROVIDER, path))["items"]] == [notice_id]
        answer = await asked.post(PROVIDER, f"{path}:{act}", body, status=200)
        assert [each["status"] for each in answer["results"]] == [202]
        await asked.post(PROVIDER, f"{path}:{act}", body, status=404)


async def many_are_answered(asked: Asked) -> None:
    """Send the same act twice for each item. The first is done; the second is refused next to it."""
    referral_id, notice_id = await asked.filed()
    for party, path, line in (
        (OTHER_HOTLINE, "inbox", {"referral_id": referral_id, "act": "accept"}),
        (AGENCY, "cases", {"referral_id": referral_id, "act": "accept"}),
        (PROVIDER, "notices", {"notice_id": notice_id, "act": "acknowledge"}),
    ):
        answer = await asked.post(party, f"/v1/{path}:batch", {"answers": [line, line]}, status=200)
        assert [each["status"] for each in answer["results"]] == [202, 409]
    await work_is_answered(asked)


async def looked_at_again(asked: Asked, first: str, notice: str) -> None:
    await asked.post(HOTLINE, f"/v1/referrals/{first}:check", {"checked": [{"n": 1, "found": "up"}]})
    await asked.exchange.until_taken()
    await asked.post(PROVIDER, f"/v1/notices/{notice}:answer", REPORT)
    back = {"reinstated": [{"n": 1, "reason": "acted_in_error"}]}
    await asked.post(PROVIDER, f"/v1/notices/{notice}:reinstate", back)
    await asked.exchange.until_taken()


async def another(asked: Asked, free: str) -> str:
    """Return the name of another officer of the agency, as a case that this officer claimed shows it."""
    key = await asked.exchange.issued("law_enforcement", AGENCY, Role.ANALYST)
    async with CausewayClient(asked.exchange.endpoints.http["law_enforcement"], key) as officer:
        await officer.act_on_case("claim", UUID(free), CaseClaim(hours=1))
        found = (await officer.inbox_item(UUID(free))).claimed_by
        await officer.act_on_case("hand_over", UUID(free), Assignment())
    assert found is not None
    return found


async def officers_and_agencies(asked: Asked, first: str, second: str, third: str) -> None:
    """Claim and hand over a case, and refer one to another agency."""
    await asked.post(AGENCY, f"/v1/cases/{third}:claim", {"hours": 1})
    await asked.post(AGENCY, f"/v1/cases/{third}:hand-over", {"to": "0" * 32}, status=422)
    await asked.post(AGENCY, f"/v1/cases/{third}:hand-over", {"to": await another(asked, first)})
    await asked.post(AGENCY, f"/v1/cases/{third}:claim", {}, status=409)
    await asked.post(AGENCY, f"/v1/cases/{second}:refer", REFERRED | {"agency": PROVIDER}, status=422)
    fourth, _ = await asked.filed()
    await asked.post(AGENCY, f"/v1/cases/{fourth}:refer", REFERRED)
    await asked.exchange.until_taken()
    assert (await asked.get(REFERRED["agency"], f"/v1/inbox/{fourth}"))["passed_on"]["by"] == AGENCY
    await asked.post(REFERRED["agency"], f"/v1/cases/{fourth}:accept", {})
    await asked.exchange.until_taken()
    await asked.get(AGENCY, f"/v1/inbox/{fourth}")
    await asked.get(HOTLINE, f"/v1/referrals/{fourth}")
    await asked.post(AGENCY, f"/v1/cases/{second}:hand-over", {}, status=409)


async def recipients_answer(asked: Asked) -> None:
    first, notice = await asked.filed()
    second, other_notice = await asked.filed()
    third, last_notice = await asked.filed()
    for party in (OTHER_HOTLINE, AGENCY):
        await asked.get(party, "/v1/inbox?limit=1")
        await asked.get(party, f"/v1/inbox/{first}")
        await asked.get(party, f"/v1/inbox/{first}/evidence")
    await asked.get(PROVIDER, "/v1/notices?limit=1")
    await asked.get(PROVIDER, f"/v1/notices/{notice}/evidence")
    await officers_and_agencies(asked, first, second, third)
    await asked.post(AGENCY, f"/v1/cases/{first}:accept", {"case_reference": "BE-2026-17"})
    await asked.post(AGENCY, f"/v1/cases/{first}:accept", {}, status=409)
    await asked.post(AGENCY, f"/v1/cases/{first}:outcome", OUTCOME)
    await asked.post(AGENCY, f"/v1/cases/{second}:decline", {"reason": "no_crime"})
    await hotline_assesses(asked, first, second)
    await asked.post(PROVIDER, f"/v1/notices/{notice}:acknowledge")
    await asked.post(PROVIDER, f"/v1/notices/{notice}:answer", REPORT)
    await asked.post(PROVIDER, f"/v1/notices/{other_notice}:answer", {"items": [{"n": 1, "rejection": "not_found"}]})
    await asked.post(
        PROVIDER, f"/v1/notices/{last_notice}:not-ours", {"disowned": [{"suggested": "provider-001.example"}]}
    )
    await asked.exchange.until_taken()
    await looked_at_again(asked, first, notice)
    await many_are_answered(asked)
    for path in (f"/v1/referrals/{each}" for each in (first, second, third)):
        [await asked.get(HOTLINE, each) for each in (path, f"{path}/timeline")]
    for party, path in ((OTHER_HOTLINE, f"inbox/{first}"), (AGENCY, f"inbox/{first}"), (PROVIDER, f"notices/{notice}")):
        assert (await asked.get(party, f"/v1/{path}/timeline?limit=1"))["items"]
    for party in (HOTLINE, AGENCY, PROVIDER):
        assert (await asked.get(party, "/v1/events?limit=2&wait=30"))["items"]
        await asked.get(party, "/v1/attention?limit=2")
        await asked.get(party, "/v1/due?limit=2")
        await asked.get(party, f"/v1/events?epoch={uuid7()}", status=409)
    await asked.get(AGENCY, f"/v1/inbox/{first}")
    await asked.get(PROVIDER, f"/v1/notices/{notice}")
    await asked.get(PROVIDER, f"/v1/notices/{last_notice}")
    await asked.post(HOTLINE, f"/v1/referrals/{first}:withdraw", WITHDRAWAL)
    await asked.exchange.until_taken()
    for party, path, fate in (
        (OTHER_HOTLINE, f"/v1/inbox/{first}", ERASED),
        (AGENCY, f"/v1/inbox/{first}", KEPT),
        (PROVIDER, f"/v1/notices/{notice}", COMPLAINT),
    ):
        await asked.post(party, f"{path}:acknowledge-withdrawal", fate)
        await asked.post(party, f"{path}:acknowledge-withdrawal", fate, status=409)
        await asked.get(party, path)
    await asked.exchange.until_taken()
    await asked.get(HOTLINE, f"/v1/referrals/{first}")


async def preservations_answer(asked: Asked) -> None:
    """Preserve, extend and end one request, and withdraw another."""
    ask = {
        "provider": PROVIDER,
        "kind": "preserve",
        "instrument": "eu_2023_1543",
        "term": "eu_60d",
        "locations": [{"kind": "url", "value": "https://images.example/gallery/17"}],
    }
    kept = (await asked.post(AGENCY, "/v1/preservations", ask))["preservation_id"]
    over = (await asked.post(AGENCY, "/v1/preservations", ask))["preservation_id"]
    await asked.post(AGENCY, f"/v1/preservations/{over}:withdraw", {"reason": "replaced"})
    await asked.exchange.until_taken()
    preserved = {"answer": "preserved", "until": "2099-07-03"}
    await asked.post(PROVIDER, f"/v1/preservations/{kept}:answer", preserved)
    await asked.post(PROVIDER, f"/v1/preservations/{kept}:answer", preserved, status=409)
    await asked.post(PROVIDER, f"/v1/preservations/{kept}:correct", preserved | {"until": "2099-07-04"})
    await asked.post(PROVIDER, f"/v1/preservations/{over}:acknowledge-withdrawal")
    await asked.exchange.until_taken()
    await asked.post(AGENCY, f"/v1/preservations/{kept}:extend", {"until": "2099-08-02"})
    await asked.exchange.until_taken()
    await asked.post(PROVIDER, f"/v1/preservations/{kept}:answer-extension", {"answer": "extended"})
    await asked.post(PROVIDER, f"/v1/preservations/{kept}:end", {"reason": "term_over"})
    await asked.exchange.until_taken()
    for party in (AGENCY, PROVIDER):
        await asked.get(party, "/v1/preservations?state=ended&limit=1")
        assert (await asked.get(party, f"/v1/preservations/{kept}"))["state"] == "ended"
        await asked.get(party, f"/v1/preservations/{kept}/ts103120")
        assert len((await asked.get(party, f"/v1/preservations/{kept}/timeline"))["items"]) == 6
        await asked.get(party, f"/v1/preservations/{uuid7()}", status=404)


async def holds_answer(asked: Asked) -> None:
    """Try each act on holds. No notice of the sample policy can be held, so the hold is too late.

    It cannot be extended, released or overridden.
    """
    case, _ = await asked.filed()
    until = {"basis": "court_order", "not_after": rfc3339(SystemClock().now() + timedelta(hours=1))}
    await asked.post(AGENCY, f"/v1/cases/{case}:no-objection")
    await asked.post(AGENCY, f"/v1/cases/{case}:place-hold", until | {"scope": "removal"})
    await asked.exchange.until_taken()
    (hold,) = (await asked.get(AGENCY, "/v1/holds?state=too_late&limit=1"))["items"]
    for act, body in (("extend-hold", until), ("release-hold", None)):
        await asked.post(AGENCY, f"/v1/cases/{case}:{act}", body, status=409)
    second_person = {"Authorization": f"Bearer {await asked.exchange.issued('hotline', HOTLINE, Role.ANALYST)}"}
    for act, body in (("propose", {"basis": "court_order"}), ("confirm", {})):
        path, named = f"/v1/referrals/{case}:{act}-override", {"hold": hold["hold"]} | body
        await asked.post(HOTLINE, path, named, status=403)
        await asked.post(HOTLINE, path, named, headers=second_person, status=409)


async def transfers_answer(asked: Asked) -> None:
    """Transfer a referral. A hotline that received it by its rules may claim it, and claims it."""
    referral_id, _ = await asked.filed()
    path = f"/v1/referrals/{referral_id}:transfer"
    await asked.post(HOTLINE, path, {"reason": "no_mandate"}, status=409)
    await asked.post(HOTLINE, path, {"reason": "no_capacity", "to": OTHER_HOTLINE})
    await asked.exchange.until_taken()
    await asked.get(OTHER_HOTLINE, "/v1/inbox?state=claimable&limit=1")
    await asked.get(OTHER_HOTLINE, f"/v1/inbox/{referral_id}/draft", status=409)
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{referral_id}:claim")
    await asked.exchange.until_taken()
    await asked.post(OTHER_HOTLINE, f"/v1/inbox/{referral_id}:claim", status=409)
    assert (await asked.get(OTHER_HOTLINE, f"/v1/inbox/{referral_id}"))["state"] == "transferred"
    await asked.get(OTHER_HOTLINE, f"/v1/inbox/{referral_id}/draft")
    assert (await asked.get(HOTLINE, f"/v1/referrals/{referral_id}"))["state"] == "transferred"


async def questions_answer(asked: Asked) -> None:
    """Ask and dispute as each kind of recipient. The origin answers both."""
    case, notice = await asked.filed()
    ask, dispute = {"needs": ["location"], "about": [1]}, {"disputed": [{"n": 1, "reason": "duplicate"}]}
    raised = {OTHER_HOTLINE: f"inbox/{case}", AGENCY: f"cases/{case}", PROVIDER: f"notices/{notice}"}
    for party, path in raised.items():
        await asked.post(party, f"/v1/{path}:ask", ask)
        await asked.post(party, f"/v1/{path}:ask", ask, status=409)
        await asked.post(party, f"/v1/{path}:dispute", dispute)
    await asked.exchange.until_taken()
    for number, act, said in (
        (1, "reply", {"replied": [{"reply": "as_stated"}]}),
        (2, "uphold", {"decided": [{"verdict": "conceded"}]}),
    ):
        named = {"party": PROVIDER, "question" if act == "reply" else "dispute": number}
        await asked.post(HOTLINE, f"/v1/referrals/{case}:{act}", named | said)
        await asked.post(HOTLINE, f"/v1/referrals/{case}:{act}", named | said, status=409)
    await asked.exchange.until_taken()
    for party in (HOTLINE, *raised):
        assert (await asked.get(party, "/v1/questions?limit=2"))["items"]
        await asked.get(party, "/v1/attention")
    await asked.get(PROVIDER, "/v1/questions?state=answered&kind=dispute&limit=1")


async def webhooks_answer(asked: Asked, party: str) -> None:
    """Register a webhook whose address has no listener."""
    await asked.post(party, "/v1/webhooks", {"url": "https://127.0.0.1/"}, status=422)
    made = await asked.post(party, "/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})
    path = f"/v1/webhooks/{made['webhook_id']}"
    await asked.get(party, "/v1/webhooks")
    await asked.get(party, path)
    for act, body in (("rotate", None), ("replay", {"number": 1}), ("trigger", None)):
        await asked.post(party, f"{path}:{act}", body)
    await asked.get(party, f"{path}/deliveries?limit=1")
    await asked.delete(party, path)
    await asked.get(party, path, status=404)


async def audit_answers(asked: Asked) -> None:
    referral_id, _ = await asked.filed()
    await asked.exchange.until_audited()
    await asked.get(AUDITOR, "/v1/flows", headers=PURPOSE)
    await asked.get(AUDITOR, f"/v1/flows/{referral_id}", headers=PURPOSE)
    await asked.get(AUDITOR, f"/v1/flows/{uuid7()}", headers=PURPOSE, status=404)
    await asked.get(AUDITOR, f"/v1/flows/{referral_id}", status=400)
    await asked.get(AUDITOR, "/v1/topics", headers=PURPOSE)
    await asked.get(AUDITOR, "/v1/whoami")
    for topic in map("causeway.inbox.{}.v1".format, ("audit.hotline", "hotline.industry", "industry.hotline")):
        await asked.get(AUDITOR, f"/v1/entries?topic={topic}&partition=0", headers=PURPOSE)


async def refusals(asked: Asked) -> None:
    body, referral_id = referral(), uuid7()
    await asked.post(HOTLINE, "/v1/referrals", body, key="described")
    await asked.post(HOTLINE, "/v1/referrals", referral(), key="described", status=422)
    await asked.post(HOTLINE, "/v1/referrals", body, key="not a key", status=400)
    await asked.post(HOTLINE, "/v1/referrals", {"items": []}, status=422)
    await asked.post(HOTLINE, "/v1/referrals", content=b"{}", headers={"content-type": "text/plain"}, status=415)
    await asked.post(HOTLINE, "/v1/referrals", content=b" " * (BODY_BYTES_MAX + 1), status=413)
    await asked.get(HOTLINE, "/v1/referrals?cursor=x", status=400)
    await asked.get(HOTLINE, "/v1/referrals/not-an-id", status=400)
    await asked.get(HOTLINE, f"/v1/referrals/{referral_id}", status=404)
    await asked.get(HOTLINE, "/v1/referrals", headers={"Authorization": "Bearer none"}, status=401)
    key = await asked.exchange.issued("hotline", HOTLINE, Role.VIEWER)
    viewer = {"Authorization": f"Bearer {key}"}
    withdraw = f"/v1/referrals/{referral_id}:withdraw"
    await asked.post(HOTLINE, withdraw, json=WITHDRAWAL, headers=viewer, status=403)
