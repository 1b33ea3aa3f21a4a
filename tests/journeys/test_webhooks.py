"""A party has its events sent to its receiver, from the verb that registers it to the one that removes it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from tests.journeys.parties import Party, written
from tests.shared.runtime.courier.test_sender import Raw, receiving
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral

DEADLINE_S = 300


async def told(raw: Raw, secret: str, kind: str) -> dict[str, str]:
    """The event of this type that comes next, as the library of Standard Webhooks verifies it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            while raw.got:
                head, _, body = raw.got.pop(0).partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
                message = Webhook(secret).verify(body, headers)
                if message["type"] == kind:
                    data: dict[str, str] = message["data"]
                    return data
            await asyncio.sleep(0.1)


async def test_an_agency_and_a_provider_are_told_of_what_they_are_sent(exchange: Exchange, tmp_path: Path) -> None:
    hotline, agency, provider = (Party(exchange, name) for name in (HOTLINE, AGENCY, PROVIDER))
    async with receiving(Raw()) as to_agency, receiving(Raw()) as to_provider:
        registered = [
            party.told("webhook", "add", f"http://127.0.0.1:{raw.port}/hook")
            for party, raw in ((agency, to_agency), (provider, to_provider))
        ]
        body = referral()
        referral_id = hotline.told("referral", "submit", written(tmp_path, body))["referral_id"]
        secret = registered[0]["secret"]
        offered = await told(to_agency, secret, "case.offer")
        assert offered["subject"] == referral_id
        issued = await told(to_provider, registered[1]["secret"], "notice.issue")
        assert provider.told("inbox", "notice", issued["subject"])["state"] == "issued"
        assert body["items"][0]["locator"]["value"] not in json.dumps([offered, issued])

        agency.told("webhook", "trigger", registered[0]["webhook_id"])
        assert (await told(to_agency, secret, "webhook.test"))["subject"] == registered[0]["webhook_id"]
        newest = agency.told("webhook", "deliveries", registered[0]["webhook_id"])
        assert {each["code"] for each in newest} <= {"delivered"}
        for party, made in zip((agency, provider), registered, strict=True):
            assert party.told("webhook", "remove", made["webhook_id"])["state"] == "removed"
            assert made["webhook_id"] not in {each["webhook_id"] for each in party.told("webhook", "list")}
