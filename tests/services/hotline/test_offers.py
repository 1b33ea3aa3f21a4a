"""A hotline's handling of referrals that others offer or transfer: each guard of its receiving half.

It accepts an offer and assesses the items one by one, or declines. It claims a transferred referral, and learns whether
the claim was granted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.contracts import registry
from shared.core.contracts.referral import ReferralSubmission
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.derived_referral import derived_from
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.filing.effects import OriginHandler
from shared.features.offers.api import offers_router
from shared.features.offers.effects import hotline_handler
from shared.features.offers.store import transfers_waiting
from shared.platform.database.transactions import Database, RowScope
from tests.services.databases import stored_text
from tests.services.deliveries import (
    AGENCY,
    AT,
    HOTLINE,
    LOCATION,
    OTHER_HOTLINE,
    directory,
    issued,
    offered,
    received,
    withdrawn,
)
from tests.services.doors import asking, door, serving, waiting
from tests.services.outgoing import NO_LAW, clear_parts
from tests.support.manual_clock import ManualClock

ACKNOWLEDGE, ERASED = "acknowledge-withdrawal", {"fate": "erased"}
BASELINE = {"assessed": [{"n": 1, "assessment": "baseline"}]}
REMOVED = {"assessed": [{"action": "reported_to_police"}, {"action": "removed"}]}
FORBIDDEN, NOT_FOUND, STATE_FORBIDS = (403, "forbidden"), (404, "not_found"), (409, "state_forbids")
KEK = KeyEncryptionKey(bytes(range(32)))


def an_offer(referral_id: UUID, *, priority: str = "p2_normal") -> Received:
    return offered(referral_id, to=OTHER_HOTLINE, purpose="assessment", priority=priority)


class Hotlines:
    """Both sample hotlines, served by one instance. One of them offers referrals to the other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = directory()
        bus = OriginHandler(
            database, law=NO_LAW, instance="hotline", kek=KEK, clock=ManualClock(AT), unreleased_days=7, catalog=CATALOG
        )
        self.door = hotline_handler(kek=KEK, origin=bus)

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self.database.transaction(RowScope((HOTLINE, OTHER_HOTLINE), Role.SERVICE, "apply")) as session:
            refusals = await self.door.apply(Unit(session), messages)
        return [refusals.get(message.message_id) for message in messages]

    async def offer(self) -> UUID:
        """Receive a referral that one hotline offers to the other."""
        referral_id = uuid7()
        assert await self.receive(an_offer(referral_id)) == [None]
        return referral_id

    async def sent(self, referral_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        """Return (type, clear part) of the messages about a referral, without the facts of its looks."""
        found = await clear_parts(self.database, referral_id)
        assert {each[1:4] for each in found if each[2] != "audit"} <= {(OTHER_HOTLINE, HOTLINE, True)}
        return [(kind, clear) for kind, _, to, _, clear in found if to != "audit"]


@dataclass(frozen=True)
class Prompt:
    """A user of a hotline at the HTTP routes of its service."""

    client: httpx.AsyncClient

    async def act(
        self,
        referral_id: UUID,
        name: str,
        said: Any = None,
        *,
        party: str = OTHER_HOTLINE,
        role: Role = Role.ANALYST,
        key: str | None = None,
    ) -> tuple[int, str]:
        """Return the status with the state after an act, or the code of a refusal."""
        headers = asking(party, role=role, key=key or uuid7().hex)
        answer = await self.client.post(f"/v1/inbox/{referral_id}:{name}", json=said or {}, headers=headers)
        body = answer.json()
        return answer.status_code, body["state"] if answer.is_success else body["code"]

    async def get(self, path: str, *, party: str = OTHER_HOTLINE, role: Role = Role.ANALYST) -> httpx.Response:
        return await self.client.get(f"/v1/inbox{path}", headers=asking(party, role=role))

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.get(f"/{referral_id}")).json()
        return shown


@pytest.fixture(scope="session")
def hotlines(database: Database) -> Hotlines:
    return Hotlines(database)


@pytest.fixture
async def prompt(hotlines: Hotlines) -> AsyncIterator[Prompt]:
    async with door(offers_router(serving(hotlines.database, "hotline", kek=KEK, directory=hotlines.directory))) as at:
        yield Prompt(at)


async def test_nothing_of_a_record_is_stored_in_the_clear(hotlines: Hotlines, endpoint: DatabaseEndpoint) -> None:
    referral_id = await hotlines.offer()
    stored = await stored_text(endpoint.owner_url, [OTHER_HOTLINE])
    assert str(referral_id) in stored
    assert LOCATION not in stored
    assert LOCATION.encode().hex() not in stored


async def test_a_referral_is_offered_and_withdrawn_once(hotlines: Hotlines) -> None:
    referral_id = uuid7()
    assert await hotlines.receive(an_offer(referral_id), an_offer(referral_id)) == [None, "offer_exists"]
    assert await hotlines.receive(an_offer(referral_id)) == ["offer_exists"]
    twice = withdrawn(referral_id, to=OTHER_HOTLINE), withdrawn(referral_id, to=OTHER_HOTLINE)
    assert await hotlines.receive(*twice) == [None, "state_forbids"]
    assert await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE)) == ["state_forbids"]


async def test_a_message_for_another_kind_of_party_is_refused(hotlines: Hotlines) -> None:
    assert await hotlines.receive(issued(uuid7(), to=OTHER_HOTLINE)) == ["message_not_for_hotlines"]


async def test_only_the_origin_may_withdraw(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    foreign = withdrawn(referral_id, to=OTHER_HOTLINE, origin=AGENCY)
    assert await hotlines.receive(foreign) == ["offer_unknown"]
    assert (await prompt.show(referral_id))["state"] == "offered"


async def test_an_offer_is_listed_and_shown_and_its_withdrawal_acknowledged(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert LOCATION not in (await prompt.get("?limit=1")).text
    shown = await prompt.show(referral_id)
    assert (shown["state"], shown["origin"], shown["purpose"]) == ("offered", HOTLINE, "assessment")
    assert shown["record"]["items"][0]["locator"]["value"] == LOCATION
    assert await prompt.act(referral_id, ACKNOWLEDGE, ERASED) == STATE_FORBIDS, "there is no withdrawal yet"
    await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE))
    assert (await prompt.show(referral_id))["state"] == "withdrawn"
    for _ in range(2):
        done = await prompt.act(referral_id, ACKNOWLEDGE, ERASED, key="once")
        assert done == (202, "withdrawal_acknowledged")
    assert await prompt.act(referral_id, ACKNOWLEDGE, ERASED, role=Role.VIEWER, key="once") == FORBIDDEN
    shown = await prompt.show(referral_id)
    assert (shown["record"], shown["fate"]) == (None, "erased")
    clear = {"referral_id": str(referral_id), "revision": 1, "number": 1, "fate": "erased"}
    assert await hotlines.sent(referral_id) == [("causeway.withdrawal_acknowledged.v1", clear)]


async def test_a_foreign_offer_is_answered_exactly_like_an_absent_one(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), withdrawn(referral_id, to=OTHER_HOTLINE))
    for asked in (referral_id, uuid7()):
        assert await prompt.act(asked, ACKNOWLEDGE, ERASED, party=HOTLINE) == NOT_FOUND
        assert (await prompt.get(f"/{asked}", party=HOTLINE)).status_code == 404
        for role in (Role.VIEWER, Role.AUDITOR):
            assert await prompt.act(asked, ACKNOWLEDGE, ERASED, role=role) == FORBIDDEN, "with and without an offer"
        assert (await prompt.get(f"/{asked}", role=Role.AUDITOR)).status_code == 403
    assert (await prompt.get("", role=Role.AUDITOR)).status_code == 403


# -- It is assessed.


async def test_an_offer_is_taken_up_assessed_and_closed(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "assess", BASELINE) == STATE_FORBIDS
    assert await prompt.act(referral_id, "accept") == (202, "accepted")
    assert await prompt.act(referral_id, "accept") == STATE_FORBIDS
    assert await prompt.act(referral_id, "assess", BASELINE, party=HOTLINE) == NOT_FOUND
    assert await prompt.act(referral_id, "assess", BASELINE, role=Role.VIEWER) == FORBIDDEN
    assert await prompt.act(referral_id, "assess", BASELINE) == (202, "in_part")
    national = {"assessed": [{"action": "removed"}, {"n": 1, "assessment": "national"}]}
    assert await prompt.act(referral_id, "assess", national) == (422, "assessment_final")
    assert await prompt.act(referral_id, "assess", REMOVED) == (202, "closed")
    shown = await prompt.show(referral_id)
    assert shown["numbers"] == [1]
    said = [each.get("assessment") or each["action"] for each in shown["assessed"]]
    assert said == ["baseline", "reported_to_police", "removed"]
    names = ("accepted", "assessed", "assessed")
    told = [(kind, clear["number"]) for kind, clear in await hotlines.sent(referral_id)]
    assert told == [(f"causeway.offer_{name}.v1", number) for number, name in enumerate(names, 1)]


async def test_a_finding_cannot_contradict_the_record(hotlines: Hotlines, prompt: Prompt) -> None:
    for final, code in (("baseline", 422), ("not_illegal", 202)):
        offer = offered(uuid7(), to=OTHER_HOTLINE, purpose="assessment", finals=[final])
        assert await hotlines.receive(offer) == [None]
        assert await prompt.act(UUID(offer.subject), "accept") == (202, "accepted")
        found = {"assessed": [{"assessment": "not_illegal", "reason": "other"}]}
        assert (await prompt.act(UUID(offer.subject), "assess", found))[0] == code


async def test_it_is_declined_with_a_reason_and_then_is_over(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "decline", {"reason": "because"}) == (422, "fields_invalid")
    assert await prompt.act(referral_id, "decline", {"reason": "no_capacity"}) == (202, "declined")
    assert (await prompt.show(referral_id))["reason"] == "no_capacity"
    assert await prompt.act(referral_id, "accept") == STATE_FORBIDS
    await hotlines.receive(offered_over(referral_id))
    assert await prompt.act(referral_id, "claim") == (202, "claimed"), "once it is transferred"


async def test_what_is_taken_back_is_assessed_no_more(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    await prompt.act(referral_id, "accept")
    await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE))
    assert await prompt.act(referral_id, "assess", BASELINE) == STATE_FORBIDS


# -- It is transferred and claimed.


def stated(name: str, referral_id: UUID, sender: str = HOTLINE, **words: object) -> Received:
    message = getattr(registry, name.upper())
    clear = message.clear.model_validate({"referral_id": referral_id, "revision": 1} | words)
    return received(message, clear, subject=referral_id, sender=sender, recipient=OTHER_HOTLINE, instance="hotline")


def offered_over(referral_id: UUID, sender: str = HOTLINE) -> Received:
    return stated("transfer_offered", referral_id, sender, act=uuid4(), reason="no_mandate")


def granted(referral_id: UUID) -> Received:
    return stated("claim_granted", referral_id, claim=uuid4(), done=({"n": 1, "issued": 2, "actioned": 1},))


def gone(referral_id: UUID) -> Received:
    return stated("claim_gone", referral_id)


async def test_what_is_transferred_is_claimed_and_then_the_hotlines_own(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "claim") == STATE_FORBIDS
    assert await hotlines.receive(offered_over(referral_id)) == [None]
    shown = await prompt.show(referral_id)
    assert (shown["state"], shown["transfer"]) == ("claimable", "no_mandate")
    assert await prompt.act(referral_id, "claim", role=Role.VIEWER) == FORBIDDEN
    assert await prompt.act(referral_id, "claim", party=HOTLINE) == NOT_FOUND
    assert await prompt.act(referral_id, "claim") == (202, "claimed")
    assert await prompt.act(referral_id, "claim") == STATE_FORBIDS
    assert [kind for kind, _ in await hotlines.sent(referral_id)] == ["causeway.offer_claimed.v1"]
    assert await hotlines.receive(granted(referral_id)) == [None]
    shown = await prompt.show(referral_id)
    assert (shown["state"], shown["done"]) == ("transferred", [{"n": 1, "issued": 2, "actioned": 1}])


@pytest.mark.parametrize("claims", [True, False])
async def test_who_comes_second_or_never_learns_it_is_gone(hotlines: Hotlines, prompt: Prompt, *, claims: bool) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), offered_over(referral_id))
    if claims:
        assert await prompt.act(referral_id, "claim") == (202, "claimed")
    assert await hotlines.receive(gone(referral_id)) == [None]
    assert (await prompt.show(referral_id))["state"] == "gone"
    assert await prompt.act(referral_id, "claim") == STATE_FORBIDS
    assert await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE)) == [None]
    assert await prompt.act(referral_id, ACKNOWLEDGE, ERASED) == (202, "withdrawal_acknowledged")


async def listed(hotlines: Hotlines, referral_id: UUID) -> list[tuple[tuple[str, ...], str]]:
    """Return the reasons and suggested actions for a referral in the hotline's attention list."""
    found = await waiting(hotlines.database, transfers_waiting, OTHER_HOTLINE, referral_id)
    return [(each.reasons, each.mend.value) for each in found]


async def revealed(hotlines: Hotlines, referral_id: UUID) -> int:
    parts = await clear_parts(hotlines.database, referral_id)
    return [kind for kind, *_ in parts].count("causeway.record_revealed.v1")


@pytest.mark.parametrize("priority", ["p2_normal", "p0_child_at_risk"])
async def test_what_was_handed_over_is_listed_until_filed(hotlines: Hotlines, prompt: Prompt, priority: str) -> None:
    referral_id = uuid7()
    path = f"/{referral_id}/draft"
    await hotlines.receive(an_offer(referral_id, priority=priority), offered_over(referral_id))
    # An open offer with a child at risk is already on the list.
    assert await listed(hotlines, referral_id) == ([] if priority.startswith("p0") else [(("claimable",), "claim")])
    await prompt.act(referral_id, "claim")
    answer = await prompt.get(path)
    assert (answer.status_code, answer.json()["code"]) == STATE_FORBIDS
    assert (await revealed(hotlines, referral_id), await listed(hotlines, referral_id)) == (0, [])
    await hotlines.receive(granted(referral_id))
    assert await listed(hotlines, referral_id) == [(("handed_over",), "file")]
    draft = ReferralSubmission.model_validate((await prompt.get(path)).json())
    assert derived_from(draft.model_dump(mode="json")) == [referral_id]
    assert await revealed(hotlines, referral_id) == 1
    assert (await prompt.get(path, party=HOTLINE)).status_code == 404
    assert (await prompt.get(path, role=Role.AUDITOR)).status_code == 403
    filed = "INSERT INTO referral_relation (party, referral_id, other_referral_id, kind) VALUES ($1, $2, $3, $4)"
    async with hotlines.database.transaction(RowScope([OTHER_HOTLINE], Role.SERVICE, "apply")) as session:
        await session.driver.execute(filed, OTHER_HOTLINE, uuid7(), referral_id, "derived_from")
    assert await listed(hotlines, referral_id) == []


async def test_only_its_origin_says_who_has_it(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await hotlines.receive(offered_over(referral_id, "hotline-c.example")) == ["offer_unknown"]
    assert await hotlines.receive(granted(referral_id)) == ["state_forbids"]
    assert await hotlines.receive(gone(referral_id)) == ["state_forbids"]
    assert (await prompt.show(referral_id))["state"] == "offered"
