"""Two instances of one kind: each has its own parties, keys, database and principal, in one exchange."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from client.api import CausewayClient
from client.views import NoticeView
from deploy.accounting import books
from deploy.accounting.edges import SealedDays
from deploy.site.installation import environment
from deploy.site.settings import SAMPLE_INSTANCES
from shared.core.clock import COARSE_S, SystemClock
from shared.core.contracts.answers import ItemStatement, NoticeStatements
from shared.core.contracts.case_referral import CaseReferral
from shared.core.errors import Refused
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import NoticeAction
from tests.journeys.parties import operated
from tests.support.driver import has_document
from tests.support.driver_delivery import list_parties_told
from tests.support.running import AGENCY, HOTLINE, Exchange, clean_environment, referral, running_exchange, until

#: One provider of each instance of the kind, both from the sample directory.
pytestmark = [pytest.mark.long, pytest.mark.timing]

AT = {"industry": "provider-001.example", "industry_two": "provider-012.example"}


#: An agency of the sample directory, and the instance to which it moves. That instance serves no other party.
OTHER, OTHERS = "police-de.example", "law_enforcement_two"
INSTANCES = {**SAMPLE_INSTANCES, OTHERS: "law_enforcement"}
#: The refusal of a suspended agency.
REFUSED = "agency_unknown"
AGENCIES, AUDITOR = "law_enforcement", "auditor.example"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with running_exchange(tmp_path_factory.mktemp("two"), instances=INSTANCES) as running:
        yield running


def found_at(*providers: str) -> dict[str, Any]:
    """Return a referral with an item at each of these providers."""
    made = [referral()["items"][0] for _ in providers]
    for item, provider in zip(made, providers, strict=True):
        item["locator"]["value"] = item["locator"]["value"].replace(AT["industry_two"], provider)
        item["hosting"][0]["provider"] = provider
    return referral(items=made)


async def notices_of(exchange: Exchange, provider: str) -> list[NoticeView]:
    async with exchange.client(provider) as client:
        return [notice async for page in client.notices() for notice in page.items]


async def held(exchange: Exchange, instance: str) -> set[str]:
    """Return the parties at this instance that received messages from others."""
    return await list_parties_told(exchange, instance)


async def test_one_referral_reaches_providers_of_both_and_both_answer(two: Exchange) -> None:
    assert {name: urls(two)[party] for name, party in AT.items()} == {name: two.endpoints.http[name] for name in AT}
    async with two.client(HOTLINE) as hotline:
        filed = await hotline.submit(found_at(*AT.values()))
        assert set(AT.values()) <= {each.recipient for each in filed.recipients}
        await two.until_taken()
        for provider in AT.values():
            [notice] = await notices_of(two, provider)
            async with two.client(provider) as client:
                said = ItemStatement(action=NoticeAction.REMOVED, effective_at=SystemClock().now())
                await client.act_on_notice("answer", notice.notice_id, NoticeStatements(items=(said,)))
        await two.until_taken()
        shown = await hotline.show(UUID(str(filed.referral_id)))
    assert {each.recipient: each.answer for each in shown.edges if each.recipient in AT.values()} == dict.fromkeys(
        AT.values(), "actioned"
    )
    assert {name: await held(two, name) & {*AT.values()} for name in AT} == {name: {AT[name]} for name in AT}


async def test_the_accounts_add_up_over_six_databases(two: Exchange) -> None:
    await two.until_audited()
    accounts = operated(two, "audit", "reconcile")
    assert [accounts[name]["difference"] for name in ("I", "II", "III", "IV")] == [0, 0, 0, 0]
    assert accounts["differences"] == []
    assert accounts["II"]["numbered"] == accounts["II"]["applied"] >= 4


async def test_books_that_nobody_read_do_not_add_up(two: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control, and its safeguard: an instance of the directory that the site does not have."""
    with monkeypatch.context() as patch:
        fewer = {name: kind for name, kind in INSTANCES.items() if name != "industry_two"}
        patch.setattr(books, "_kinds", lambda _: fewer)
        found = (await books.compare_all(two.endpoints, SealedDays())).result
    assert found.messages["in_flight"] > 0
    kept = {name: {each: getattr(two.endpoints, name)[each] for each in fewer} for name in ("databases", "http")}
    lacking = two.endpoints.model_copy(update={"kinds": {}, **kept})
    with pytest.raises(Refused, match="instance_not_in_site"):
        await books.compare_all(lacking, SealedDays())
    with pytest.raises(Refused, match="instance_of_another_kind"):
        await books.compare_all(two.endpoints.model_copy(update={"kinds": {"industry_two": "hotline"}}), SealedDays())


def test_the_operators_verbs_know_each_instance_by_its_name(two: Exchange) -> None:
    assert [each["instance"] for each in operated(two, "status")["instances"]] == [*INSTANCES]
    assert [each for each in operated(two, "doctor")["findings"] if not each["well"]] == []
    [checked] = operated(two, "db", "check", "industry_two")["databases"]
    assert (checked["instance"], checked["current"]) == ("industry_two", True)
    assert operated(two, "dead-letters", "list", "industry_two") == {"messages": []}


def test_a_service_of_another_kind_does_not_take_an_instances_name(two: Exchange) -> None:
    """It does not take the topic and parties either. Its messages there would not be accepted."""
    told = environment(two.installation, two.endpoints, "industry_two")
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "serve", "hotline", "--instance", "industry_two", "--only", "documents"],
        env=clean_environment() | told,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, "instance_of_another_kind" in ran.stderr) == (1, True)


async def test_a_party_that_is_moved_is_served_by_the_other_instance(two: Exchange, tmp_path: Path) -> None:
    """The move takes one flag on a stack. `tests/failures/test_moves.py` covers messages in transit."""
    provider, version = AT["industry"], json.loads((two.state / "directory.json").read_text())["version"]
    operated(two, "directory", "move", provider, "industry_two", "--out", str(tmp_path / "next.json"), "--publish")
    assert json.loads((two.state / "directory.json").read_text())["version"] == version + 1
    key = operated(two, "key", "issue", provider)
    assert key["url"] == two.endpoints.http["industry_two"]
    async with CausewayClient(key["url"], key["key"]) as client:

        async def reached() -> bool:
            async with two.client(HOTLINE) as hotline:
                await hotline.submit(found_at(provider))
            await two.until_taken()
            return any([page.items async for page in client.notices()])

        await until(reached)
    assert provider in await held(two, "industry_two")


async def test_what_the_other_agencys_instance_refuses_comes_back_with_its_code(two: Exchange, tmp_path: Path) -> None:
    """The agency was suspended while the case referral waited. The directory in force at its instance forbids it."""
    operated(two, "directory", "move", OTHER, OTHERS, "--out", str(tmp_path / "moved.json"), "--publish")
    async with two.client(HOTLINE) as hotline, two.client(AGENCY) as first:
        referral_id = (await hotline.submit(referral())).referral_id
        await until(lambda: has(first, referral_id))
        await two.until_taken()
        owed = await due(two, referral_id)
        await asyncio.sleep(COARSE_S)  # a clock that starts again has a later time in messages
        two.stop(AGENCIES)
        two.serve(AGENCIES, only=("api", "documents"))
        two.wait_ready(AGENCIES)
        to = CaseReferral(agency=OTHER, reason=CaseReferReason.SUSPECT_ELSEWHERE)
        assert (await first.act_on_case("refer", referral_id, to)).state == "referred"
        await suspended(two, tmp_path)
        two.stop(AGENCIES)
        two.serve(AGENCIES)
        two.wait_ready(AGENCIES)

        async def back() -> bool:
            return (await first.inbox_item(referral_id)).state == "offered"

        await until(back)
        await two.until_taken()
        assert await waits(first, referral_id) == [(("came_back",), OTHER, REFUSED)]
        assert await waits(hotline, referral_id) == [(("came_back",), AGENCY, REFUSED)]
        edges = {edge.recipient: edge.answer for edge in (await hotline.show(referral_id)).edges}
        assert (edges[AGENCY], OTHER in edges) == ("none", False)

        async def owed_anew() -> bool:
            # Each clock starts again, from the same time at both. No act is due from the other agency, which never had
            # the case.
            at_both = [await due(two, referral_id, party) for party in (HOTLINE, AGENCY)]
            later = {each: when for each, when in at_both[0].items() if when > owed[each]}
            return at_both[0] == at_both[1] and at_both[0].keys() == owed.keys() == later.keys()

        await until(owed_anew)
        await first.act_on_case("accept", referral_id)
        await two.until_taken()
        assert await waits(first, referral_id) == await waits(hotline, referral_id) == []
    await two.until_audited()
    flow = await shown_by_audit(two, referral_id)
    assert {each.get("problem") for each in flow} == {None}
    assert [each.get("outcome") for each in flow if each["type"] == "causeway.referral_passed_on.v1"] == ["refused"]
    assert [each["sender"] for each in flow if each["type"] == "causeway.case_came_back.v1"] == [AGENCY]


async def suspended(exchange: Exchange, folder: Path) -> None:
    """Suspend the other agency in the directory in force, and wait until its instance knows."""
    directory = json.loads((exchange.state / "directory.json").read_text())
    directory["version"] += 1
    [party] = [each for each in directory["parties"] if each["id"] == OTHER]
    party["status"] = "suspended"
    (folder / "suspended.json").write_text(json.dumps(directory))
    digest = operated(exchange, "directory", "publish", str(folder / "suspended.json"))["digest"]

    await until(lambda: has_document(exchange, OTHERS, digest))


async def has(agency: CausewayClient, referral_id: UUID) -> bool:
    return referral_id in {item.referral_id async for page in agency.inbox() for item in page.items}


async def waits(party: CausewayClient, referral_id: UUID) -> list[tuple[tuple[str, ...], str | None, str | None]]:
    """Return the party's attention items about this referral: reasons, counterpart and code."""
    rows = [row async for page in party.attention() for row in page.items if row.subject == referral_id]
    return [(row.reasons, row.party, row.code) for row in rows]


async def due(exchange: Exchange, referral_id: UUID, party: str = HOTLINE) -> dict[tuple[str, str], str]:
    """Return the agency's due acts on this referral in a party's view: clock and act, with the time."""
    async with exchange.http(party) as http:
        answer = await http.get("/v1/due", params={"subject": str(referral_id)})
    assert answer.status_code == 200, answer.text
    owed = [each for each in answer.json()["items"] if AGENCY in (each["owed_by"], each["counterpart"])]
    return {(each["clock"], each["due"]): each["due_at"] for each in owed}


async def shown_by_audit(exchange: Exchange, referral_id: UUID) -> list[dict[str, Any]]:
    async with exchange.http(AUDITOR) as http:
        answer = await http.get(f"/v1/flows/{referral_id}", headers={"Purpose": "a case that comes back"})
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


def urls(exchange: Exchange) -> Mapping[str, str]:
    return {party: key.url for party, key in exchange.parties.items()}
