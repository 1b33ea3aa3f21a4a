"""A party's events arrive at its address: in order, signed, repeated until confirmed, and never skipped."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import WebhookState
from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.envelope.webhooks import new_secret, signed_headers
from shared.core.errors import Unavailable
from shared.platform.courier import leases
from shared.platform.courier.addresses import AddressRules
from shared.platform.courier.courier import WebhookDispatcher
from shared.platform.courier.endpoints import ENDPOINTS_MAX
from shared.platform.courier.leases import LEASE, PAUSES, DeliveryLeases
from shared.platform.courier.sender import Sender, SendResult
from shared.platform.database.transactions import RowScope
from tests.architecture.source import ROOT
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.webhook_fixtures import ONE_PLACE, URL, HeldReceivers, Party, party
from tests.support.http_receiver import Raw, receiving
from tests.support.ports import free_port

AWAY, GONE = SendResult("connection_failed"), SendResult("status_refused", 410)


async def test_an_event_arrives_signed_at_a_real_receiver(agencies: Agencies, endpoint: DatabaseEndpoint) -> None:
    """Sent over HTTP to this machine, and read with the library that receivers use."""
    rules = AddressRules(loopback_http=True)
    async with party(endpoint, rules) as mine, receiving(Raw()) as raw:
        made = await mine.register(f"http://127.0.0.1:{raw.port}/hook")
        noted = await mine.note()
        mine.clock.advance((SystemClock().now() - mine.clock.now()).total_seconds())
        assert await mine.courier(Sender(rules)).carry() == 1
        head, _, body = raw.got[0].partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        told = Webhook(made["secret"]).verify(body, headers)
        (shown,) = await mine.events()
        epoch = told["data"].pop("epoch")
        assert told == {"type": "case.accept", "timestamp": shown["at"], "data": shown}
        assert shown["subject"] == noted[0]
        assert headers["webhook-id"] == f"evt_{epoch.replace('-', '')}_1"


async def test_events_arrive_in_their_order_each_once(mine: Party) -> None:
    made = await mine.register()
    noted = await mine.note(120)
    carried = [await mine.courier().carry() for _ in range(4)]
    assert carried == [1, 1, 1, 0]
    assert [body["data"]["subject"] for body in mine.receivers.bodies()] == noted
    assert mine.verified(made["secret"]) == len(set(mine.receivers.ids())) == 120
    shown = await mine.done("GET", f"/{made['webhook_id']}")
    assert (shown["number"], shown["last"], shown["failures"], shown["url"]) == (120, 120, 0, URL)


async def test_what_was_before_is_sent_only_where_it_is_asked_for(mine: Party) -> None:
    await mine.note(3)
    await mine.register()
    await mine.courier().carry()
    assert mine.receivers.got == []
    await mine.register("https://hooks.party.example/two", after=1)
    await mine.courier().carry()
    assert mine.receivers.numbers() == [2, 3]


async def test_a_receiver_that_was_away_gets_all_of_it_in_order(mine: Party) -> None:
    """Ten hours, by the retry pauses; meanwhile the feed shows everything."""
    made = await mine.register()
    noted = await mine.note(3)
    mine.receivers.answers[URL] = AWAY
    for _ in range(10 * 12):
        await mine.courier().carry()
        await mine.later(300)
    tried = mine.receivers.got[:]
    assert {headers["webhook-id"] for _, headers, _ in tried} == {mine.receivers.ids()[0]}
    assert 6 <= len(tried) <= 8
    noted += await mine.note(2)
    mine.receivers.got.clear()
    mine.receivers.answers.clear()
    await mine.later(PAUSES[6].total_seconds())
    while await mine.courier().carry():
        pass
    assert [body["data"]["subject"] for body in mine.receivers.bodies()] == noted
    assert [event["subject"] for event in await mine.events()] == noted
    assert mine.receivers.ids()[0] == tried[0][1]["webhook-id"]
    assert mine.verified(made["secret"]) == 5


async def test_after_the_last_attempt_the_address_is_paused_and_its_party_told(mine: Party) -> None:
    made = await mine.register()
    await mine.note()
    mine.receivers.answers[URL] = AWAY
    for pause in (timedelta(), *PAUSES):
        await mine.later(pause.total_seconds())
        assert await mine.courier().carry() == 1
        assert await mine.courier().carry() == 0
    await mine.later(10**6)
    assert await mine.courier().carry() == 0
    shown = await mine.done("GET", f"/{made['webhook_id']}")
    assert (shown["state"], shown["failures"]) == ("paused", len(PAUSES) + 1)
    assert await mine.leases.paused() == 1
    told = (await mine.events())[-1]
    assert (told["type"], told["subject"], told["state"]) == ("webhook.paused", made["webhook_id"], "paused")
    # Nothing is lost: sending restarts at the failed event, and the pause is an event, too.
    mine.receivers.answers.clear()
    mine.receivers.got.clear()
    await mine.done("POST", f"/{made['webhook_id']}:replay")
    await mine.courier().carry()
    assert mine.receivers.numbers() == [1, 2]


async def test_a_suspended_party_is_sent_nothing_and_goes_on_after_that(mine: Party) -> None:
    made = await mine.register()
    await mine.note(2)
    await mine.courier().carry()
    mine.suspended = True
    await mine.note(2)
    for _ in range(10):
        assert await mine.courier().carry() == 1
        assert await mine.courier().carry() == 0, "it is looked at again later"
        await mine.later(36_000)
    assert mine.receivers.numbers() == [1, 2], "a hundred hours: nothing was sent"
    log = (await mine.done("GET", f"/{made['webhook_id']}/deliveries"))["items"]
    shown = [(each["number"], each["code"], each["attempt"]) for each in log]
    assert shown == [(3, "party_suspended", 0), (2, "delivered", 1), (1, "delivered", 1)]
    shown = await mine.done("GET", f"/{made['webhook_id']}")
    assert (shown["state"], shown["failures"], shown["number"]) == ("active", 0, 2)
    mine.suspended = False
    assert await mine.courier().carry() == 1
    assert mine.receivers.numbers() == [1, 2, 3, 4]


async def test_a_receiver_that_is_gone_is_paused_at_once(mine: Party) -> None:
    made = await mine.register()
    await mine.note()
    mine.receivers.answers[URL] = GONE
    await mine.courier().carry()
    assert (await mine.done("GET", f"/{made['webhook_id']}"))["state"] == "paused"


async def test_an_address_that_is_away_holds_up_no_other(mine: Party) -> None:
    other = "https://hooks.other.example/"
    await mine.register()
    await mine.register(other)
    mine.receivers.answers[URL] = AWAY
    await mine.note(2)
    await mine.courier().carry()
    assert sorted(url for url, *_ in mine.receivers.got) == sorted([URL, other, other])


async def test_replacing_addresses_that_hang_holds_up_no_party(mine: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Party(mine.database, mine.http, mine.rules)
    receivers, looks, claim = HeldReceivers(), asyncio.Queue[None](), DeliveryLeases.claim

    async def noted(*given: Any, **how: Any) -> Any:
        looks.put_nowait(None)
        return await claim(*given, **how)

    monkeypatch.setattr(DeliveryLeases, "claim", noted)
    leases = DeliveryLeases(mine.database, KEK, lambda: [mine.name, other.name])
    running = asyncio.create_task(WebhookDispatcher(leases, receivers, clock=mine.clock).run())  # type: ignore[arg-type]
    await mine.note()
    made = [await mine.register(f"{URL}/{each}", after=0) for each in range(ENDPOINTS_MAX)]
    async with asyncio.timeout(30):
        first = [await receivers.begun.get() for _ in made]
    for each in made:
        await mine.done("DELETE", f"/{each['webhook_id']}")
        await mine.register(f"{URL}/more", after=0)
    for _ in range(looks.qsize() + 2):
        await looks.get()
    await other.register(URL)
    await other.note()
    async with asyncio.timeout(30):
        following = await receivers.begun.get()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert URL not in first
    assert following == URL


async def test_an_address_with_a_defect_stops_no_other(mine: Party) -> None:
    sent = asyncio.Queue[str]()

    class Failing:
        async def post(self, url: str, *_: Any) -> SendResult:
            if url != URL:
                raise ZeroDivisionError
            sent.put_nowait(url)
            return SendResult("delivered", 204)

    await mine.register(f"{URL}/defect")
    await mine.register(URL)
    await mine.note()
    running = asyncio.create_task(mine.courier(Failing()).run())  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        assert await sent.get() == URL
        await mine.note()
        assert await sent.get() == URL, "and it goes on"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def crashed(mine: Party, monkeypatch: pytest.MonkeyPatch, sender: Sender | None = None) -> None:
    """Send the due events, and fail before the result is noted."""

    async def fails(*_: Any, **__: Any) -> bool:
        raise Unavailable("database_unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(DeliveryLeases, "note", fails)
        with pytest.raises(Unavailable):
            await mine.courier(sender).carry()


async def test_what_was_sent_unnoted_is_sent_again_alike(mine: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    await mine.register()
    await mine.note(3)
    await crashed(mine, monkeypatch)
    assert await mine.courier().carry() == 0  # still leased to the failed process
    await mine.note(2)
    await mine.later(LEASE.total_seconds())
    await mine.courier().carry()
    assert mine.receivers.numbers() == [1, 2, 3, 1, 2, 3, 4, 5]
    assert mine.receivers.ids()[:3] == mine.receivers.ids()[3:6]


async def test_a_cursor_that_moves_first_would_skip_events(mine: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above: the number is noted when the address is claimed."""
    early = leases._CLAIM.replace("SET lease_id = $3", "SET confirmed_number = w.confirmed_number + 3, lease_id = $3")
    monkeypatch.setattr(leases, "_CLAIM", early.replace("w.confirmed_number AS", "w.confirmed_number - 3 AS"))
    await mine.register()
    await mine.note(3)
    await crashed(mine, monkeypatch)
    mine.receivers.got.clear()
    await mine.note(2)
    await mine.later(LEASE.total_seconds())
    monkeypatch.undo()
    await mine.courier().carry()
    assert mine.receivers.numbers() == [4, 5]


async def test_who_comes_back_after_its_lease_changes_nothing(mine: Party) -> None:
    await mine.register()
    await mine.note(2)
    (late,) = await mine.leases.claim(ONE_PLACE, at=mine.clock.now())
    await mine.later(LEASE.total_seconds())
    await mine.courier().carry()
    moved = replace(late, number=1)
    assert not await mine.leases.note(moved, [], state=WebhookState.ACTIVE, pause=timedelta())
    assert await mine.courier().carry() == 0


async def test_many_couriers_send_each_event_once(mine: Party) -> None:
    for number in range(8):
        await mine.register(f"https://hooks.party.example/{number}")
    await mine.note(5)
    assert sum(await asyncio.gather(*(mine.courier().carry() for _ in range(4)))) == 8
    for number in range(8):
        url = f"https://hooks.party.example/{number}"
        ids = [headers["webhook-id"] for found, headers, _ in mine.receivers.got if found == url]
        assert ids == sorted(set(ids))
    assert sorted(mine.receivers.numbers()) == sorted([*range(1, 6)] * 8)


async def test_a_process_sends_until_it_is_told_to_end(mine: Party) -> None:
    await mine.register()
    running = asyncio.create_task(mine.courier().run())
    await mine.note(2)
    while len(mine.receivers.got) < 2:
        mine.clock.advance(1)
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert mine.receivers.numbers()[:2] == [1, 2]


async def test_the_receiver_of_the_page_takes_each_event_once_and_nothing_forged(
    agencies: Agencies, endpoint: DatabaseEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver is the code of the page, unchanged, in a process of its own."""
    rules, page = AddressRules(loopback_http=True), (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    (receiver,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "receiver.py").write_text(receiver, encoding="utf-8")
    port = free_port()
    async with party(endpoint, rules) as mine:
        made = await mine.register(f"http://127.0.0.1:{port}/")
        noted = await mine.note(3)
        mine.clock.advance((SystemClock().now() - mine.clock.now()).total_seconds())
        told = {"CAUSEWAY_WEBHOOK_SECRET": made["secret"], "PORT": str(port)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(tmp_path / "receiver.py")), env=told, stdout=PIPE, stderr=DEVNULL
        )
        try:
            await until_it_listens(port)
            sender = Sender(rules)
            await crashed(mine, monkeypatch, sender)
            await mine.later(LEASE.total_seconds())
            await mine.courier(sender).carry()
            forged = signed_headers([new_secret()], "evt_1", b"{}", at=SystemClock().now())
            assert await sender.post(f"http://127.0.0.1:{port}/", forged, b"{}") == SendResult("status_refused", 401)
            assert (await mine.done("GET", f"/{made['webhook_id']}"))["number"] == 3
        finally:
            process.terminate()
        assert process.stdout is not None
        printed = (await process.stdout.read()).decode().splitlines()
        await process.wait()
    assert [json.loads(line)["subject"] for line in printed] == noted


async def until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def test_an_address_that_cannot_be_opened_keeps_nobody_elses_waiting(mine: Party) -> None:
    """The row was changed in the database, or written under another key."""
    broken, other = await mine.register(), await mine.register("https://hooks.other.example/")
    await mine.note()
    async with mine.database.transaction(RowScope([mine.name], Role.SERVICE, "apply")) as session:
        changed = "UPDATE webhook SET secret = set_byte(secret, 2, get_byte(secret, 2) # 255) WHERE webhook_id = $1"
        await session.driver.execute(changed, UUID(broken["webhook_id"]))
    assert await mine.courier().carry() == 1
    assert (await mine.done("GET", f"/{other['webhook_id']}"))["number"] == 1
