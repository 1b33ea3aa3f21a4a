"""Two notifiers, one location: two notices, one work item, two answers. Neither notifier learns of the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.ids import coarse_uuid7, uuid7
from tests.services.databases import count_rows
from tests.services.deliveries import AT, HOTLINE, OTHER_HOTLINE, OTHER_PROVIDER, PROVIDER, issued
from tests.services.doors import asking
from tests.services.industry.provider import Providers
from tests.services.industry.test_notices_in_bulk import statements
from tests.services.industry.test_preservation_before_removal import asked
from tests.services.outgoing import clear_parts

REMOVED = {"action": "removed", "effective_at": "2026-05-04T11:59:00Z"}


@dataclass(frozen=True, slots=True)
class Place:
    """A location of one test, and the acts on it."""

    providers: Providers
    client: httpx.AsyncClient
    location: str

    async def issue(self, notifier: str = HOTLINE, *, items: int = 1, to: str = PROVIDER, at: datetime = AT) -> str:
        notice_id = uuid7() if at is AT else coarse_uuid7(at)
        notice = issued(notice_id, notifier=notifier, items=items, to=to, location=self.location)
        assert await self.providers.receive(notice) == [None]
        await self.came(str(notice_id), at)
        return str(notice_id)

    async def came(self, notice_id: str, at: datetime) -> None:
        """Set the arrival to a time of the service's clock, instead of the database's."""
        async with self.providers.notices("apply", role=Role.SERVICE) as notices:
            moved = "UPDATE received SET received_at = $2 WHERE subject = $1"
            await notices._driver.execute(moved, UUID(notice_id), at)

    async def listed(self, notice_id: str, party: str = PROVIDER) -> list[dict[str, Any]]:
        """Return the work items that contain this notice."""
        answer = await self.client.get("/v1/work-items", params={"limit": 200}, headers=asking(party))
        assert answer.status_code == 200, answer.text
        return [each for each in answer.json()["items"] if notice_id in {one["notice_id"] for one in each["items"]}]

    async def act(self, item: dict[str, Any], body: dict[str, Any], verb: str = "answer") -> httpx.Response:
        headers = asking(PROVIDER, role=Role.MACHINE, key=str(uuid7()))
        return await self.client.post(f"/v1/work-items/{item['work_item']}:{verb}", json=body, headers=headers)


@pytest.fixture(scope="module", autouse=True)
async def counted(providers: Providers, endpoint: DatabaseEndpoint) -> None:
    await count_rows(endpoint)


@pytest.fixture
def place(providers: Providers, client: httpx.AsyncClient) -> Place:
    return Place(providers, client, f"https://images.example/gallery/{uuid7()}")


async def test_two_notices_of_one_location_are_one_work_item_and_each_notifier_is_told_of_its_own(place: Place) -> None:
    first, second = await place.issue(), await place.issue(OTHER_HOTLINE)
    (item,) = await place.listed(first)
    members = [(each["notice_id"], each["n"], each["notifier"]) for each in item["items"]]
    assert members == [(first, 1, HOTLINE), (second, 1, OTHER_HOTLINE)]
    answer = await place.act(item, {"outcomes": [REMOVED]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "work_item": item["work_item"],
        "results": [
            {"notice_id": first, "status": 202, "state": "actioned"},
            {"notice_id": second, "status": 202, "state": "actioned"},
        ],
    }
    for notice_id, notifier in ((first, HOTLINE), (second, OTHER_HOTLINE)):
        [(kind, sender, recipient, _, clear)] = await place.providers.sent(UUID(notice_id))
        assert (kind, sender, recipient) == ("causeway.notice_answered.v1", PROVIDER, notifier)
        assert clear["notice_id"] == notice_id
    assert await place.listed(first) == []
    gone = await place.client.get(f"/v1/work-items/{item['work_item']}", headers=asking(PROVIDER))
    assert gone.status_code == 404


async def test_each_notifier_is_told_the_same_bytes_as_if_it_were_the_only_one(place: Place) -> None:
    """The messages are equal except for random ids: answered in a work item, alone, or as a plain notice."""
    plain = await place.issue()
    effective = {"items": [{"n": 1, "action": "removed"}]}
    headers = asking(PROVIDER, role=Role.MACHINE, key=str(uuid7()))
    await place.client.post(f"/v1/notices/{plain}:answer", json=effective, headers=headers)
    alone = await place.issue()
    (item,) = await place.listed(alone)
    await place.act(item, {"outcomes": [{"action": "removed"}]})
    grouped, beside = await place.issue(), await place.issue(OTHER_HOTLINE)
    (item,) = await place.listed(grouped)
    await place.act(item, {"outcomes": [{"action": "removed"}]})

    async def told(notice_id: str) -> bytes:
        [(kind, sender, _, exercise, clear)] = await place.providers.sent(UUID(notice_id))
        alike = {name: word for name, word in clear.items() if name not in ("act", "notice_id")}
        return json.dumps([kind, sender, exercise, alike]).encode()

    assert await told(plain) == await told(alone) == await told(grouped) == await told(beside)


async def test_a_notice_of_a_known_location_takes_its_statements(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the timing of its receipt reveals nothing. Control: open notices are looked up when the list is read."""
    ways = []
    for _ in range(2):
        with statements(monkeypatch) as ran:
            await place.issue(OTHER_HOTLINE)
        ways.append(list(ran))
    assert ways[0] == ways[1]
    assert not any("FROM notice_location AS l" in each for each in ways[0])
    with statements(monkeypatch) as ran:
        await place.listed(str(uuid7()))
    assert any("FROM notice_location AS l" in each for each in ran)


async def test_a_notice_that_was_amended_to_lie_elsewhere_hides_none_where_it_lay(place: Place) -> None:
    first, second = await place.issue(), await place.issue(OTHER_HOTLINE)
    await place.came(second, AT + timedelta(seconds=1))
    (item,) = await place.listed(first)
    elsewhere = issued(UUID(second), notifier=OTHER_HOTLINE, first=2, revision=2, location=f"{place.location}/moved")
    assert await place.providers.receive(elsewhere) == [None]
    (left,) = await place.listed(first)
    assert (left["work_item"], [each["notice_id"] for each in left["items"]]) == (item["work_item"], [first])


async def test_what_took_effect_before_a_notice_came_is_told_to_its_notifier_as_of_then(place: Place) -> None:
    early, late = await place.issue(at=AT - timedelta(days=2)), await place.issue(OTHER_HOTLINE)
    between = AT - timedelta(days=1)
    (item,) = await place.listed(late)
    said = between.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    await place.act(item, {"outcomes": [{"action": "removed", "effective_at": said}]})
    told = [(await place.providers.sent(UUID(each)))[0][-1]["items"][0]["effective_at"] for each in (early, late)]
    assert datetime.fromisoformat(told[0]) <= between < datetime.fromisoformat(told[0]) + timedelta(days=1)
    assert datetime.fromisoformat(told[1]) == datetime(AT.year, AT.month, AT.day, tzinfo=UTC)


async def test_an_answered_item_is_off_the_list_and_a_notice_of_several_is_answered_there_alone(place: Place) -> None:
    """One act answers both items of a notice at the location. If one is already answered, the other stays open."""
    both, other = await place.issue(items=2), await place.issue(OTHER_HOTLINE, items=2)
    headers = asking(PROVIDER, key=str(uuid7()))
    answered = {"items": [{"n": 2, "rejection": "technical"}]}
    assert (await place.client.post(f"/v1/notices/{other}:answer", json=answered, headers=headers)).status_code == 202
    (item,) = await place.listed(both)
    assert [(each["notice_id"], each["n"]) for each in item["items"]] == [(both, 1), (both, 2), (other, 1)]
    answer = await place.act(item, {"suggested": OTHER_PROVIDER}, "not-ours")
    assert [each["state"] for each in answer.json()["results"]] == ["not_ours", "rejected"]
    [(kind, *_, clear)] = await place.providers.sent(UUID(both))
    assert (kind, [each["n"] for each in clear["disowned"]]) == ("causeway.notice_not_ours.v1", [1, 2])


async def test_work_items_of_another_are_absent_and_its_own_token_says_nothing_there(place: Place) -> None:
    own = await place.issue()
    theirs = await place.issue(to=OTHER_PROVIDER)
    (ours,), (other,) = await place.listed(own), await place.listed(theirs, OTHER_PROVIDER)
    assert ours["work_item"] != other["work_item"]
    assert [each["notice_id"] for each in other["items"]] == [theirs]
    path = f"/v1/work-items/{other['work_item']}"
    absent = await place.client.get(f"/v1/work-items/{uuid7()}", headers=asking(PROVIDER))
    foreign = await place.client.get(path, headers=asking(PROVIDER))
    assert (foreign.status_code, foreign.content) == (404, absent.content)
    assert (await place.act(other, {"outcomes": [REMOVED]})).status_code == 404
    viewer = asking(PROVIDER, role=Role.VIEWER, key=str(uuid7()))
    for verb, body in (("answer", {"outcomes": [REMOVED]}), ("not-ours", {})):
        refused = await place.client.post(f"/v1/work-items/{ours['work_item']}:{verb}", json=body, headers=viewer)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await place.client.get(f"/v1/work-items/{ours['work_item']}", headers=viewer)).status_code == 200


async def test_what_agencies_want_kept_is_answered_once_for_all_notices_and_told_to_no_notifier(place: Place) -> None:
    notices, preservation_id = [await place.issue(), await place.issue(OTHER_HOTLINE)], uuid7()
    assert await place.providers.receive(asked(preservation_id, location=place.location)) == [None]
    (item,) = await place.listed(notices[0])
    refused = await place.act(item, {"outcomes": [REMOVED]})
    codes = [each["problem"]["code"] for each in refused.json()["results"]]
    assert codes == ["preservation_unanswered"] * 2
    beside = [{"preservation_id": str(preservation_id), "answer": "preserved", "until": "2026-07-03"}]
    done = await place.act(item, {"outcomes": [REMOVED], "preservations": beside})
    assert [each["status"] for each in done.json()["results"]] == [202, 202]
    assert len(await clear_parts(place.providers.database, preservation_id)) == 1
    for notice_id in notices:
        [(*_, clear)] = await place.providers.sent(UUID(notice_id))
        assert clear.keys() <= {"notice_id", "act", "number", "items"}


async def test_pages_go_by_the_newest_notice_and_show_each_location_once(place: Place) -> None:
    oldest = await place.issue(items=2)
    elsewhere = replace(place, location=f"{place.location}/2")
    between, newest = await elsewhere.issue(), await place.issue(OTHER_HOTLINE)
    for hour, each in enumerate((oldest, between, newest)):
        await place.came(each, datetime(2099, 1, 1, hour, tzinfo=UTC))
    cursor, seen = None, []
    while len(seen) < 2:
        asked_for = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        page = (await place.client.get("/v1/work-items", params=asked_for, headers=asking(PROVIDER))).json()
        seen += [[each["notice_id"] for each in item["items"]] for item in page["items"]]
        cursor = page["next"]
    for each in (oldest, between, newest):
        await place.came(each, AT)
    assert seen[:2] == [[oldest, oldest, newest], [between]]
