"""A party receives its events at its receiver, from registering the webhook to removing it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.journeys.parties import Party, written
from tests.support.http_receiver import Raw, receiving
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral

DEADLINE_S = 300


@dataclass(frozen=True, slots=True)
class Prompt:
    """A party at its prompt. Its receiver keeps answering meanwhile."""

    party: Party

    async def told(self, *arguments: str) -> Any:
        return await asyncio.to_thread(self.party.told, *arguments)


async def told(raw: Raw, secret: str, kind: str, subject: str) -> dict[str, str]:
    """Return the event of this type about this subject, verified by the Standard Webhooks library.

    Other events are skipped, because those of earlier tests may still arrive.
    """
    async with asyncio.timeout(DEADLINE_S):
        while True:
            while raw.got:
                head, _, body = raw.got.pop(0).partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
                message = Webhook(secret).verify(body, headers)
                data: dict[str, str] = message["data"]
                if (message["type"], data["subject"]) == (kind, subject):
                    return data
            await asyncio.sleep(0.1)


async def test_an_agency_and_a_provider_are_told_of_what_they_are_sent(exchange: Exchange, tmp_path: Path) -> None:
    hotline, agency, provider = (Prompt(Party(exchange, name)) for name in (HOTLINE, AGENCY, PROVIDER))
    async with receiving(Raw()) as to_agency, receiving(Raw()) as to_provider:
        registered = [
            await party.told("webhook", "add", f"http://127.0.0.1:{raw.port}/hook")
            for party, raw in ((agency, to_agency), (provider, to_provider))
        ]
        body = referral()
        referral_id = (await hotline.told("referral", "submit", written(tmp_path, body)))["referral_id"]
        await exchange.until_taken()
        shown = await hotline.told("referral", "show", referral_id)
        notice_id = next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])
        secret = registered[0]["secret"]
        offered = await told(to_agency, secret, "case.offer", referral_id)
        issued = await told(to_provider, registered[1]["secret"], "notice.issue", notice_id)
        assert (await provider.told("inbox", "notice", notice_id))["state"] == "issued"
        assert body["items"][0]["locator"]["value"] not in json.dumps([offered, issued])

        webhook_id = registered[0]["webhook_id"]
        await agency.told("webhook", "trigger", webhook_id)
        await told(to_agency, secret, "webhook.test", webhook_id)
        newest = await agency.told("webhook", "deliveries", webhook_id)
        assert {each["code"] for each in newest} <= {"delivered"}
        for party, made in zip((agency, provider), registered, strict=True):
            assert (await party.told("webhook", "remove", made["webhook_id"]))["state"] == "removed"
            assert made["webhook_id"] not in {each["webhook_id"] for each in await party.told("webhook", "list")}
