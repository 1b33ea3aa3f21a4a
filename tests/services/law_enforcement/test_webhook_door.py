"""The acts of a party on its webhooks and its views of them. No other party sees them, and secrets are shown once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import WebhookState
from shared.core.authority import Role
from shared.core.ids import uuid4
from shared.platform.courier.addresses import URL_CHARACTERS_MAX
from shared.platform.courier.endpoints import BOTH_SECRETS, ENDPOINTS_A_DAY, ENDPOINTS_MAX, WebhookEndpoints
from shared.platform.courier.sender import SendResult
from shared.platform.database.transactions import RowScope
from tests.services.databases import stored_text
from tests.services.doors import CLOCK
from tests.services.law_enforcement.agency import KEK
from tests.services.law_enforcement.webhook_fixtures import ONE_PLACE, URL, Party, party


async def test_an_address_is_shown_to_its_party_without_its_secret(mine: Party) -> None:
    made = await mine.register()
    (shown,) = (await mine.done("GET"))["items"]
    assert shown == await mine.done("GET", f"/{made['webhook_id']}")
    assert (shown["webhook_id"], shown["url"], shown["state"]) == (made["webhook_id"], URL, "active")
    assert "secret" not in str(shown)


async def test_the_same_request_is_answered_with_the_same_secret_and_no_other_is(mine: Party) -> None:
    key = uuid4().hex
    first, again = [await mine.done("POST", url=URL, key=key) for _ in range(2)]
    assert first == again
    assert len((await mine.done("GET"))["items"]) == 1
    other = await mine.ask("POST", url="https://hooks.other.example/", key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("rotated", [False, True])
async def test_once_it_is_removed_its_secrets_are_shown_to_nobody_again(mine: Party, rotated: bool) -> None:
    """The stored answers of the creating requests do not show them either."""
    key, made = uuid4().hex, await mine.register()
    path, said = (f"/{made['webhook_id']}:rotate", {}) if rotated else ("", {"url": URL})
    first = await mine.done("POST", path, key=key, **said)
    await mine.done("DELETE", f"/{first['webhook_id']}")
    again = await mine.ask("POST", path, key=key, **said)
    assert (again.status_code, again.json()["code"]) == (409, "webhook_removed")
    assert "whsec_" not in again.text


async def test_neither_address_nor_secret_stands_in_the_database(mine: Party, endpoint: DatabaseEndpoint) -> None:
    secrets = [(await mine.register())["secret"]]
    webhook_id = (await mine.done("GET"))["items"][0]["webhook_id"]
    secrets.append((await mine.done("POST", f"/{webhook_id}:rotate"))["secret"])
    text = await stored_text(endpoint.owner_url, [mine.name])
    assert webhook_id in text
    for hidden in (URL, "hooks.party.example", *(each.removeprefix("whsec_") for each in secrets)):
        assert hidden not in text
        assert hidden.encode().hex() not in text


@pytest.mark.parametrize(
    "url",
    ["http://hooks.party.example/", "https://127.0.0.1/"],
)
async def test_an_address_that_may_not_be_is_refused_and_not_said_again(mine: Party, url: str) -> None:
    answer = await mine.ask("POST", url=url)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "webhook_url_refused", "/url")
    assert url not in answer.text


LONGEST = f"{URL}/".ljust(URL_CHARACTERS_MAX, "a")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 422),
        ({"url": ""}, 422),
        ({"url": "é" * 9}, 422),
        ({"url": LONGEST}, 202),
        ({"url": LONGEST + "a"}, 422),
        ({"url": URL, "after": -1}, 422),
        ({"url": URL, "x": 1}, 422),
    ],
)
async def test_a_wrong_registration_is_refused(mine: Party, said: dict[str, Any], status: int) -> None:
    assert (await mine.ask("POST", **said)).status_code == status


async def test_a_number_that_was_never_given_is_refused(mine: Party) -> None:
    await mine.note(2)
    assert (await mine.ask("POST", url=URL, after=3)).json()["code"] == "webhook_number_unknown"
    made = await mine.register(after=2)
    for number in (4, 9):
        answer = await mine.ask("POST", f"/{made['webhook_id']}:replay", number=number)
        assert (answer.json()["code"], answer.json()["field"]) == ("webhook_number_unknown", "/number")


async def test_there_are_no_more_than_a_few_also_at_once(mine: Party) -> None:
    answers = await asyncio.gather(*(mine.ask("POST", url=URL) for _ in range(ENDPOINTS_MAX + 3)))
    assert sorted(each.status_code for each in answers) == [202] * ENDPOINTS_MAX + [409] * 3
    webhook_id = (await mine.done("GET"))["items"][0]["webhook_id"]
    await mine.done("DELETE", f"/{webhook_id}")
    await mine.register()


async def test_a_party_registers_a_limited_number_a_day(mine: Party) -> None:
    """The guard charges no bits of an address, so removing it makes no room before the next day."""
    for _ in range(ENDPOINTS_A_DAY):
        made = await mine.register()
        await mine.done("DELETE", f"/{made['webhook_id']}")
    spent = await mine.ask("POST", url=URL)
    assert (spent.status_code, spent.json()["code"]) == (429, "budget_exceeded")
    tomorrow = CLOCK.now() + timedelta(seconds=float(spent.headers["Retry-After"]))
    async with mine.database.transaction(RowScope([mine.name], Role.MACHINE, "submit")) as session:
        await WebhookEndpoints(session.driver, KEK, mine.name).register(URL, after=None, at=tomorrow)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR, Role.SERVICE])
async def test_who_may_only_look_changes_nothing(mine: Party, role: Role) -> None:
    made = await mine.register()
    path = f"/{made['webhook_id']}"
    for method, at, said in (
        ("POST", "", {"url": URL}),
        ("POST", f"{path}:replay", {}),
        ("POST", f"{path}:rotate", {}),
        ("POST", f"{path}:trigger", {}),
        ("DELETE", path, {}),
    ):
        assert (await mine.ask(method, at, role=role, **said)).status_code == 403, at
    assert (await mine.ask("GET", path, role=role)).status_code == (200 if role is Role.VIEWER else 403)


async def test_another_partys_address_is_answered_as_absent(mine: Party, endpoint: DatabaseEndpoint) -> None:
    made = await mine.register()
    await mine.note()
    await mine.courier().carry()
    async with party(endpoint) as other:
        for webhook_id in (made["webhook_id"], str(uuid4())):
            path = f"/{webhook_id}"
            for method, at in (
                *(("GET", path), ("GET", f"{path}/deliveries"), ("DELETE", path)),
                *(("POST", f"{path}:{act}") for act in ("replay", "rotate", "trigger")),
            ):
                assert (await other.ask(method, at)).status_code == 404
        assert (await other.done("GET"))["items"] == []
        # PostgreSQL itself shows none of it, for any query.
        for table in ("webhook", "webhook_delivery"):
            for scope in (RowScope([other.name], "machine", "read"), RowScope([other.name], "service", "apply")):
                async with other.database.transaction(scope) as session:
                    assert await session.driver.fetchval(f"SELECT count(*) FROM {table}") == 0
            async with other.database.transaction(RowScope([mine.name], "machine", "read")) as session:
                assert await session.driver.fetchval(f"SELECT count(*) FROM {table}") == 1  # control
    assert (await mine.done("GET", f"/{made['webhook_id']}"))["state"] == "active"


async def test_for_a_day_either_secret_verifies_then_the_new_one_alone(mine: Party) -> None:
    made = await mine.register()
    changed = await mine.done("POST", f"/{made['webhook_id']}:rotate")
    assert changed["secret"] != made["secret"]
    await mine.note()
    await mine.courier().carry()
    for secret in (made["secret"], changed["secret"]):
        assert mine.verified(secret) == 1
    mine.receivers.got.clear()
    mine.clock.advance(BOTH_SECRETS.total_seconds())
    await mine.note()
    await mine.courier().carry()
    assert mine.verified(changed["secret"]) == 1
    assert mine.receivers.got[0][1]["webhook-signature"].count("v1,") == 1


async def test_every_attempt_is_in_the_log_newest_first(mine: Party) -> None:
    made = await mine.register()
    path = f"/{made['webhook_id']}/deliveries"
    mine.receivers.answers[URL] = SendResult("status_refused", 503)
    await mine.note(2)
    await mine.courier().carry()
    await mine.later(5)
    mine.receivers.answers.clear()
    await mine.courier().carry()
    items = (await mine.done("GET", path))["items"]
    assert [(each["number"], each["attempt"], each["code"], each.get("status")) for each in items] == [
        (2, 1, "delivered", 204),
        (1, 2, "delivered", 204),
        (1, 1, "status_refused", 503),
    ]
    assert items[1]["message_id"] == items[2]["message_id"] == mine.receivers.ids()[0]
    older = (await mine.done("GET", f"{path}?before={items[0]['entry']}&limit=1"))["items"]
    assert older == items[1:2]


async def test_the_log_keeps_the_newest_alone(mine: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.platform.courier.leases.LOG_LINES_MAX", 4)
    made = await mine.register()
    for count in (3, 3, 2):
        await mine.note(count)
        await mine.courier().carry()
    items = (await mine.done("GET", f"/{made['webhook_id']}/deliveries"))["items"]
    assert [each["number"] for each in items] == [8, 7, 6, 5]


async def test_a_replay_sends_again_in_order_under_the_same_ids(mine: Party) -> None:
    made = await mine.register()
    await mine.note(5)
    await mine.courier().carry()
    answer = await mine.done("POST", f"/{made['webhook_id']}:replay", number=3)
    assert (answer["state"], answer["number"]) == ("active", 2)
    await mine.courier().carry()
    assert mine.receivers.numbers() == [1, 2, 3, 4, 5, 3, 4, 5]
    assert mine.receivers.ids()[2:5] == mine.receivers.ids()[5:]


async def test_a_replay_while_it_is_sent_keeps_the_order(mine: Party) -> None:
    """A result that was under way is not noted, and no second courier begins meanwhile."""
    made = await mine.register()
    await mine.note(3)
    (leased,) = await mine.leases.claim(ONE_PLACE, at=mine.clock.now())
    await mine.done("POST", f"/{made['webhook_id']}:replay", number=1)
    assert await mine.courier().carry() == 0
    assert not await mine.leases.note(leased, [], state=WebhookState.ACTIVE, pause=timedelta())
    await mine.later(90)
    await mine.courier().carry()
    assert mine.receivers.numbers() == [1, 2, 3]


async def test_a_test_event_goes_the_whole_way(mine: Party) -> None:
    made = await mine.register()
    await mine.done("POST", f"/{made['webhook_id']}:trigger")
    await mine.courier().carry()
    (body,) = mine.receivers.bodies()
    assert (body["type"], body["data"]["subject"]) == ("webhook.test", made["webhook_id"])


async def test_to_a_removed_one_nothing_is_sent_and_nothing_kept(mine: Party, endpoint: DatabaseEndpoint) -> None:
    made = await mine.register()
    await mine.note()
    assert (await mine.done("DELETE", f"/{made['webhook_id']}"))["state"] == "removed"
    await mine.courier().carry()
    assert mine.receivers.got == []
    assert (await mine.ask("DELETE", f"/{made['webhook_id']}")).status_code == 404
    assert (await mine.ask("GET", f"/{made['webhook_id']}")).status_code == 404
    async with mine.database.transaction(RowScope([mine.name], "machine", "read")) as session:
        kept = await session.driver.fetch("SELECT wrapped_key, url, secret, previous_secret FROM webhook")
    assert [tuple(row) for row in kept] == [(None,) * 4]
