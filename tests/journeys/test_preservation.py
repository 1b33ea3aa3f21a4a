"""An agency requests preservation from a provider after a notice, on a running exchange, between two instances."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from shared.core.clock import rfc3339
from shared.core.ids import uuid7
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral, until

PAST = "2020-01-01"
#: The bytes that a party of the smallest class may send in a day of its own accord.
SMALLEST = 6 * 1024
REMOVED = {"items": [{"action": "removed"}]}


async def got(exchange: Exchange, party: str, path: str) -> Any:
    async with exchange.http(party) as http:
        answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def posted(exchange: Exchange, party: str, path: str, body: Any, *, status: int = 202) -> Any:
    async with exchange.http(party) as http:
        answer = await http.post(path, json=body, headers={"Idempotency-Key": str(uuid7())})
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused_as_over(exchange: Exchange, party: str, path: str, body: Any) -> None:
    refused = await posted(exchange, party, path, body, status=422)
    assert (refused["code"], refused["field"]) == ("day_over", "/until")


async def noticed(exchange: Exchange) -> tuple[str, str, str]:
    """Submit a referral; return it, its notice and the location."""
    filing = referral()
    referral_id = (await posted(exchange, HOTLINE, "/v1/referrals", filing))["referral_id"]
    await exchange.until_taken()
    shown = await got(exchange, HOTLINE, f"/v1/referrals/{referral_id}")
    notice_id = next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])
    return referral_id, notice_id, filing["items"][0]["locator"]["value"]


async def asked(exchange: Exchange, location: str, *, kind: str = "preserve") -> str:
    ask = {
        "provider": PROVIDER,
        "kind": kind,
        "instrument": "eu_2023_1543",
        "term": "eu_60d",
        "locations": [{"kind": "url", "value": location}],
        "order_reference": "PL-2026/00317",
    }
    by_day = {name: word for name, word in ask.items() if name != "term"} | {"until": PAST}
    await refused_as_over(exchange, AGENCY, "/v1/preservations", by_day)
    answer = await posted(exchange, AGENCY, "/v1/preservations", ask)
    assert answer["state"] == "requested"
    await exchange.until_taken()
    found: str = answer["preservation_id"]
    return found


async def test_one_agency_asks_for_no_more_than_its_day_and_withdraws_all_the_same(exchange: Exchange) -> None:
    """Earlier 120 requests of one key carried 144,480 bytes."""
    ask: dict[str, Any] = {"provider": PROVIDER, "kind": "preserve", "instrument": "eu_2023_1543", "term": "eu_60d"}
    answers = [dict[str, Any]()]
    async with exchange.http("police-at.example") as http:
        while "code" not in answers[-1] and len(answers) < 120:
            places = [{"kind": "url", "value": f"https://host.example/{token_hex(40)}"} for _ in range(8)]
            asked = ask | {"order_reference": "PL-2026/00318", "locations": places}
            answer = await http.post("/v1/preservations", json=asked, headers={"Idempotency-Key": str(uuid7())})
            answers.append(answer.json())
    assert (answers[-1]["code"], (len(answers) - 2) * 8 * 40 <= SMALLEST) == ("day_spent", True)
    path = f"/v1/preservations/{answers[1]['preservation_id']}:withdraw"
    assert await posted(exchange, "police-at.example", path, {"reason": "replaced"})


async def test_what_an_agency_wants_kept_is_answered_in_the_act_that_removes_it(exchange: Exchange) -> None:
    referral_id, notice_id, location = await noticed(exchange)
    preservation_id = await asked(exchange, location)
    shown = await got(exchange, PROVIDER, f"/v1/preservations/{preservation_id}")
    assert (shown["state"], shown["counterpart"]) == ("requested", AGENCY)
    assert shown["record"]["locations"] == [{"kind": "url", "value": location}]
    assert shown["matches"] == [{"notice_id": notice_id, "n": 1}]

    refused = await posted(exchange, PROVIDER, f"/v1/notices/{notice_id}:answer", REMOVED, status=409)
    assert (refused["code"], refused["field"]) == ("preservation_unanswered", "/preservations")
    kept = {"preservation_id": preservation_id, "answer": "preserved", "until": "2099-07-03"}
    await posted(exchange, PROVIDER, f"/v1/notices/{notice_id}:answer", REMOVED | {"preservations": [kept]})
    await exchange.until_taken()

    at_agency = await got(exchange, AGENCY, f"/v1/preservations/{preservation_id}")
    assert at_agency["state"] == "preserved"
    assert [each["name"] for each in at_agency["timeline"]] == ["submit", "answer"]
    assert at_agency["timeline"][1]["said"] == {"answer": "preserved", "until": "2099-07-03"}
    (edge,) = (
        each
        for each in (await got(exchange, HOTLINE, f"/v1/referrals/{referral_id}"))["edges"]
        if each["recipient"] == PROVIDER
    )
    assert edge["answer"] == "actioned"
    assert "preserv" not in str(edge)


async def due(exchange: Exchange, party: str, preservation_id: str) -> list[tuple[str, str, str]]:
    """Return the due acts of a preservation: clock, act and time."""
    found = await got(exchange, party, f"/v1/due?subject={preservation_id}")
    assert all((each["purpose"], each["owed_by"]) == (None, PROVIDER) for each in found["items"])
    return [(each["clock"], each["due"], each["due_at"]) for each in found["items"]]


async def fall_due(exchange: Exchange, preservation_id: str, *clocks: tuple[str, str, timedelta]) -> None:
    """Wait until both parties have exactly these due acts, counted from the request."""
    asked_at = datetime.fromisoformat((await got(exchange, AGENCY, f"/v1/preservations/{preservation_id}"))["asked_at"])
    wanted = [(clock, what, rfc3339(asked_at + term)) for clock, what, term in clocks]

    async def both() -> bool:
        return [await due(exchange, each, preservation_id) for each in (AGENCY, PROVIDER)] == [wanted, wanted]

    await until(both)


async def test_a_preservation_runs_out_by_the_law_that_it_was_asked_under_at_both(exchange: Exchange) -> None:
    _, _, location = await noticed(exchange)
    preservation_id = await asked(exchange, location)
    place = f"/v1/preservations/{preservation_id}"
    await fall_due(exchange, preservation_id, ("eu-2023-1543-preservation", "end_of_preservation", timedelta(days=60)))

    await refused_as_over(exchange, PROVIDER, f"{place}:answer", {"answer": "preserved", "until": PAST})
    await posted(exchange, PROVIDER, f"{place}:answer", {"answer": "preserved", "until": "2099-07-03"})
    await exchange.until_taken()
    await refused_as_over(exchange, AGENCY, f"{place}:extend", {"until": PAST})
    await posted(exchange, AGENCY, f"{place}:extend", {"until": "2099-08-02"})
    await exchange.until_taken()
    await posted(exchange, PROVIDER, f"{place}:answer-extension", {"answer": "extended"})
    await exchange.until_taken()
    await fall_due(exchange, preservation_id, ("eu-2023-1543-extension", "end_of_preservation", timedelta(days=90)))
    await posted(exchange, PROVIDER, f"{place}:end", {"reason": "term_over"})
    await exchange.until_taken()
    await fall_due(exchange, preservation_id)


async def test_what_is_to_be_produced_is_due_until_its_provider_has_refused(exchange: Exchange) -> None:
    _, _, location = await noticed(exchange)
    preservation_id = await asked(exchange, location, kind="produce")
    await fall_due(exchange, preservation_id, ("eu-2023-1543-production", "data", timedelta(days=10)))
    refused = {"answer": "refused", "reason": "manifest_error"}
    await posted(exchange, PROVIDER, f"/v1/preservations/{preservation_id}:answer", refused)
    await exchange.until_taken()
    await fall_due(exchange, preservation_id)
    await is_corrected(exchange, preservation_id)


async def is_corrected(exchange: Exchange, preservation_id: str) -> None:
    """Correct the refusal. Both parties learn of it, and the order is due again from then on."""
    again = {"answer": "preserved", "until": "2099-07-03"}
    await posted(exchange, PROVIDER, f"/v1/preservations/{preservation_id}:correct", again)
    await exchange.until_taken()
    timeline = (await got(exchange, AGENCY, f"/v1/preservations/{preservation_id}"))["timeline"]
    assert [(each["name"], each["state"]) for each in timeline[1:]] == [("answer", "refused"), ("correct", "preserved")]
    due_at = rfc3339(datetime.fromisoformat(timeline[-1]["at"]) + timedelta(days=10))
    wanted = [("eu-2023-1543-production", "data", due_at)]

    async def both() -> bool:
        return [await due(exchange, each, preservation_id) for each in (AGENCY, PROVIDER)] == [wanted, wanted]

    await until(both)
