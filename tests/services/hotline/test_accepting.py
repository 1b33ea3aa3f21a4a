"""The signed acceptance of a submission: it covers the posted bytes and is stored with the answer.

Tests also compare it with audit. An operator can erase a referral that it has accepted before anything of it was sent.
Then only the sender knows of it, and its acceptance proves it.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.canonical import digest
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.acceptance import AuditState, at_audit, check_acceptance
from tests.services.audit.log import Log
from tests.services.databases import connected
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, body_of
from tests.services.outgoing import about, forget_sent
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import submission
from tests.support.foreign_proofs import foreign_verdicts

#: Statements that erase one referral, in tables with and without row-level security.
ERASED = (
    "DELETE FROM edge WHERE referral_id = $1",
    "DELETE FROM referral WHERE referral_id = $1",
    "DELETE FROM idempotency_key WHERE created_at > now() - interval '1 minute' AND $1::uuid IS NOT NULL",
    "UPDATE intake_count SET submitted = submitted - 1, accepted = accepted - 1 WHERE $1::uuid IS NOT NULL",
)


def written(**changes: Any) -> bytes:
    """Return a referral with a spacing that no serialiser of the project produces."""
    return json.dumps(body_of(**changes), indent=3).encode()


async def post(client: httpx.AsyncClient, path: str, body: bytes, key: str | None = None) -> httpx.Response:
    headers = asking(HOTLINE, key=key or uuid7().hex) | {"content-type": "application/json"}
    return await client.post(f"/v1/referrals{path}", content=body, headers=headers)


def checked(origin: Origin, answer: dict[str, Any]) -> SignedAcceptance:
    """Return the acceptance in an answer, after checking that it is valid here and in Node and matches the answer."""
    acceptance = SignedAcceptance.model_validate(answer["acceptance"])
    check_acceptance(acceptance, origin.world.documents.directory, at=AT)
    assert foreign_verdicts(origin.world.document, acceptance=[answer["acceptance"]]) == [True]
    assert (acceptance.party, str(acceptance.referral_id)) == (HOTLINE, answer["referral_id"])
    assert answer["acceptance"]["accepted_at"] == answer["accepted_at"]
    return acceptance


async def erase(origin: Origin, endpoint: DatabaseEndpoint, acceptance: SignedAcceptance) -> None:
    """Erase a referral as the instance's own operator could, before the relay has read any of it."""
    async with connected(endpoint.owner_url) as owner:
        async with owner.transaction():
            for table in ("referral", "edge"):
                await owner.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            for statement in ERASED:
                await owner.execute(statement, acceptance.referral_id)
            for table in ("referral", "edge"):
                await owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        sent = await about(origin.database, UUID(str(acceptance.referral_id)))
        forget_sent(origin.database, [each.message_id for each in sent])


async def told_to_audit(origin: Origin, acceptance: SignedAcceptance) -> list[str]:
    """Return the body hashes that audit has of the referral, once all messages have reached it."""
    entries = Log(origin.database, origin.world).entries_of(*origin.world.records(await origin.waiting()))
    decided = [json.loads(one.detail) for each in entries for one in each.decisions]
    return [each["body_sha256"] for each in decided if each["referral_id"] == str(acceptance.referral_id)]


async def test_it_is_over_the_bytes_that_were_posted_and_audit_is_told_the_same(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    body = written()
    answer = await post(client, "", body)
    assert answer.status_code == 202
    acceptance = checked(origin, answer.json())
    assert acceptance.body_sha256 == digest(body)
    assert await told_to_audit(origin, acceptance) == [digest(body)]


async def test_in_a_list_it_is_over_the_items_own_bytes(origin: Origin, client: httpx.AsyncClient) -> None:
    items = [written(), b'{"not": "a referral"}', written(exercise=False), written()]
    answer = await post(client, ":batch", b'{ "referrals" :[\n ' + b" ,\n".join(items) + b"\n] }")
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [202, 422, 422, 202]
    for item, result in zip(items, results, strict=True):
        assert ("acceptance" in result) == (result["status"] == 202)
        if "acceptance" in result:
            acceptance = checked(origin, result)
            assert acceptance.body_sha256 == digest(item)
            assert await told_to_audit(origin, acceptance) == [digest(item)]


@pytest.mark.parametrize("path", ["", ":batch"])
async def test_whoever_repeats_the_request_is_given_the_same_bytes(
    origin: Origin, client: httpx.AsyncClient, path: str
) -> None:
    body = written() if not path else b'{"referrals":[' + written() + b"]}"
    key = uuid7().hex
    first = await post(client, path, body, key)
    origin.clock.advance(90)
    assert (await post(client, path, body, key)).content == first.content


async def test_all_requests_of_a_transaction_share_a_signature(origin: Origin) -> None:
    """Also if a reference turns out to be taken: all submissions are answered again in the next transaction."""
    taken, *others = [submission(external_ref=f"kept-{uuid7().hex[:24]}") for _ in range(5)]
    requests = [origin.request(*each) for each in ((others[0],), others[1:3], (taken, others[3]))]
    async with origin.intake.running():
        await origin.intake.submit(origin.request(taken))
        replies = await asyncio.gather(*map(origin.intake.submit, requests))
        assert replies == await asyncio.gather(*map(origin.intake.submit, requests))
    single, both, mixed = (json.loads(each.body) for each in replies)
    refused, changed = mixed["results"]
    assert (refused["status"], "acceptance" in refused) == (409, False)
    answers = [single, *both["results"], changed]
    assert [checked(origin, each).referral_id for each in answers] == [UUID(each["referral_id"]) for each in answers]
    assert len({each["acceptance"]["proof"]["signature"] for each in answers}) == 1


async def test_what_is_decided_again_is_still_told_with_the_same_hash(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    body = written()
    acceptance = checked(origin, (await post(client, "", body)).json())
    before = await origin.waiting()
    await origin.refused(before)
    assert await told_to_audit(origin, acceptance) == [digest(body)] * 2
    forget_sent(origin.database, [each.message_id for each in before])
    assert await told_to_audit(origin, acceptance) == [digest(body)]


@pytest.mark.parametrize("erased", [True, False], ids=["erased", "kept"])
async def test_what_was_erased_before_it_was_sent_is_proven_missing(
    origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint, erased: bool
) -> None:
    answer = (await post(client, "", written())).json()
    acceptance = checked(origin, answer)
    if erased:
        await erase(origin, endpoint, acceptance)
    gone = await client.get(f"/v1/referrals/{acceptance.referral_id}", headers=asking(HOTLINE))
    assert gone.status_code == (404 if erased else 200)
    stated = await told_to_audit(origin, acceptance)
    in_time, late = AT + timedelta(hours=23), AT + timedelta(hours=25)
    assert at_audit(acceptance, stated, at=in_time) is (AuditState.DUE if erased else AuditState.FOUND)
    assert at_audit(acceptance, stated, at=late) is (AuditState.MISSING if erased else AuditState.FOUND)


async def test_nobody_can_claim_an_acceptance_that_was_never_given(origin: Origin, client: httpx.AsyncClient) -> None:
    given = SignedAcceptance.model_validate((await post(client, "", written())).json()["acceptance"])
    forged = given.model_copy(update={"referral_id": uuid7()})
    with pytest.raises(Refused, match="signature_invalid"):
        check_acceptance(forged, origin.world.documents.directory, at=AT)
    assert foreign_verdicts(origin.world.document, acceptance=[forged.model_dump(mode="json")]) == [False]
