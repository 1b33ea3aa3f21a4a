"""Exercises stay among sandbox parties. The sample directory also has live parties that could receive them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.contracts.referral import ReferralSubmission
from shared.core.protocol.message import Draft
from shared.core.protocol.prepare import Documents
from shared.core.routing.documents import read_directory, read_policy
from shared.delivery.control import ControlLetterWriter
from shared.delivery.sending import StreamSending, find_sealing_keys
from shared.features.filing.store.intake import FilingBatch, PostgresFiling
from shared.instance.settings import load_keys
from shared.messaging.composition import SegmentComposer
from shared.platform.database.transactions import Database, RowScope
from tests.services.outgoing import subjects_of
from tests.support.preparing import prepare
from tests.support.running import HOTLINE, Exchange, referral

LIVE_HOTLINE, LIVE_AGENCY = "hotline-live.example", "police-live.example"


def as_it_is(draft: Draft) -> Draft:
    return draft


def exercise_outside(draft: Draft) -> Draft:
    """Return a draft whose envelope is an exercise and whose body is not."""
    return replace(draft, exercise=True)


def exercise_throughout(draft: Draft) -> Draft:
    """Return a draft whose envelope and body are an exercise."""
    assert draft.plaintext is not None
    return replace(draft, exercise=True, plaintext=draft.plaintext.replace(b'"exercise":false', b'"exercise":true'))


async def sent_by_a_live_hotline(exchange: Exchange, change: Callable[[Draft], Draft]) -> UUID:
    """Submit a live referral in the name of the live hotline, without its API, with each of its offers changed."""
    documents = Documents(
        read_directory((exchange.state / "directory.json").read_bytes()),
        read_policy((exchange.state / "policy.json").read_bytes()),
    )
    origin = documents.directory.party(LIVE_HOTLINE)
    assert origin is not None
    submission = ReferralSubmission.model_validate(referral(exercise=False))
    prepared = prepare(submission, origin=origin, documents=documents, at=SystemClock().now())
    *offers, fact = prepared.drafts
    assert [offer.recipient for offer in offers] == [LIVE_AGENCY]
    keys = load_keys(exchange.installation.keys_dir("hotline"))
    database = Database(exchange.endpoints.databases["hotline"].service_url, pool_size=1)
    directory, clock = documents.directory, SystemClock()
    composer = SegmentComposer(
        keys.signing,
        sealing_keys=find_sealing_keys(lambda: directory, clock),
        control_letters=ControlLetterWriter("hotline", clock),
    )
    database.last_step = StreamSending("hotline", composer, subjects_of("hotline", clock), clock=clock)
    async with database.transaction(RowScope([LIVE_HOTLINE], Role.MACHINE, "submit")) as session:
        filing = PostgresFiling(session.driver, keys.kek)
        await filing.file([], FilingBatch([prepared], {LIVE_HOTLINE: 1}, clock.now().date(), {}, {}))
        await filing.send([*map(change, offers), fact])
    await database.close()
    return prepared.referral_id


async def received(exchange: Exchange, referral_id: UUID) -> tuple[list[tuple[str, str | None]], int]:
    """Return the outcomes of the offer at its origin, None for one without, and the number of cases that it created."""
    await exchange.until_taken()
    kept = await exchange.count_as_accountant(
        "hotline", "SELECT receipt_outcome, receipt_code FROM edge WHERE referral_id = $1", referral_id
    )
    cases = await exchange.count_as_accountant(
        "law_enforcement", "SELECT 1 FROM received WHERE subject = $1", referral_id
    )
    return [(row["receipt_outcome"], row["receipt_code"]) for row in kept], len(cases)


async def test_an_exercise_goes_to_no_live_party(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        accepted = await client.submit(referral())
    assert len(accepted.recipients) == 3
    assert not {each.recipient for each in accepted.recipients} & {LIVE_HOTLINE, LIVE_AGENCY}


async def test_a_sandbox_party_cannot_file_in_earnest(exchange: Exchange) -> None:
    body = referral(exercise=False)
    async with exchange.http(HOTLINE) as http:
        answer = await http.post("/v1/referrals", json=body, headers={"Idempotency-Key": "in-earnest"})
    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (422, "exercise_mismatch", "/exercise")


@pytest.mark.parametrize("change", [exercise_outside, exercise_throughout])
async def test_an_exercise_record_that_reaches_a_live_party_is_refused(
    exchange: Exchange, change: Callable[[Draft], Draft]
) -> None:
    referral_id = await sent_by_a_live_hotline(exchange, change)
    assert await received(exchange, referral_id) == ([("refused", "exercise_mismatch")], 0)


async def test_the_same_record_in_earnest_is_applied(exchange: Exchange) -> None:
    """Control of the test above: the exercise flag is the only fault of the record."""
    referral_id = await sent_by_a_live_hotline(exchange, as_it_is)
    assert await received(exchange, referral_id) == ([(None, None)], 1)
