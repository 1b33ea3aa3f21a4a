"""A referral is transferred: hotlines that have it may claim it, and exactly one claim is granted."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.guard.charge import BYTE
from shared.core.ids import uuid4, uuid7
from shared.core.vocabulary.referral import TransferReason, WithdrawalReason
from shared.features.filing.service.referrals import OriginSender
from shared.features.filing.store.attention import unclaimed_waits
from shared.features.transfers.ports import LockedReferral, TransferStatus
from shared.features.transfers.service import repeat_messages
from tests.services.doors import waiting
from tests.services.hotline.origin import Origin, applied, said
from tests.services.hotline.transferring import ASIA, EUROPE, claim, orphan, told, transfer
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import move


async def state(origin: Origin, referral_id: UUID) -> str:
    return str((await origin.show(referral_id))["state"])


async def test_an_orphan_is_transferred_and_the_first_that_claims_it_has_it(origin: Origin) -> None:
    referral_id = await orphan(origin)
    assert await state(origin, referral_id) == "orphaned"
    status, body = await transfer(origin, referral_id)
    assert (status, body["state"], body["offered"]) == (202, "orphaned", [EUROPE, ASIA])
    assert await told(origin, "transfer_offered") == [EUROPE, ASIA]
    first = claim(referral_id, ASIA)
    assert [await applied(origin, first) for _ in range(2)] == [[None]] * 2, "the same claim may come again"
    assert await state(origin, referral_id) == "transferred"
    assert (await told(origin, "claim_granted"), await told(origin, "claim_gone")) == ([ASIA], [EUROPE])
    # A later claim crossed the answer that the hotline already received.
    assert await applied(origin, claim(referral_id, EUROPE)) == [None]
    assert (await told(origin, "claim_granted"), await told(origin, "claim_gone")) == ([ASIA], [EUROPE])


async def test_each_request_to_transfer_counts_against_the_day(origin: Origin) -> None:
    referral_id, spent = await orphan(origin), [0]
    for _ in range(3):
        assert (await transfer(origin, referral_id))[0] == 202
        rows = await origin.sql("SELECT bits FROM daily_quota_usage WHERE party = $1", HOTLINE)
        spent.append(sum(row["bits"] for row in rows))
    assert spent[3] - spent[2] == spent[2] - spent[1] > 0
    quota = origin.world.documents.directory.quota(HOTLINE) * BYTE
    for used, status in ((2 * quota, 202), (10 * quota, 429)):
        await origin.sql("UPDATE daily_quota_usage SET bits = $1 WHERE party = $2", used, HOTLINE)
        assert (await transfer(origin, referral_id))[0] == status
    await origin.sql("DELETE FROM daily_quota_usage WHERE party = $1", HOTLINE)


async def listed(origin: Origin, referral_id: UUID) -> list[tuple[tuple[str, ...], str]]:
    """Return the unclaimed transfer of a referral in the hotline's attention list."""
    rows = await waiting(origin.database, unclaimed_waits, HOTLINE, referral_id)
    return [(each.reasons, each.mend.value) for each in rows]


@pytest.mark.parametrize("end", ["claimed", "withdrawn"])
async def test_what_nobody_has_claimed_stands_on_its_origins_list_once(origin: Origin, end: str) -> None:
    referral_id = await orphan(origin)
    assert await listed(origin, referral_id) == []
    await transfer(origin, referral_id)
    assert await listed(origin, referral_id) == [(("unclaimed",), "call")]
    if end == "claimed":
        await applied(origin, claim(referral_id, ASIA))
    else:
        await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await listed(origin, referral_id) == []


async def told_anew(origin: Origin, referral_id: UUID) -> list[str]:
    """Return the messages about a referral to the moved orphan hotline of Europe, at its new instance."""
    await origin.forget()
    move(origin.world, EUROPE)
    await origin.bus.follow(origin.world.documents.directory)
    waiting = [each for each in await origin.waiting() if each.recipient == EUROPE]
    found = [each for each in waiting if each.subject == str(referral_id)]
    assert {each.recipient_instance for each in found} == {"hotline_two"}
    return [each.message.name for each in found]


@pytest.mark.parametrize(
    ("steps", "messages"),
    [(0, []), (1, ["transfer_offered"]), (2, ["transfer_offered", "claim_gone"])],
    ids=["not transferred", "transferred", "claimed by another"],
)
async def test_a_moved_hotline_is_told_anew_what_may_be_claimed_or_is_gone(
    origin: Origin, steps: int, messages: list[str]
) -> None:
    referral_id = await orphan(origin)
    if steps > 0:
        await transfer(origin, referral_id)
    if steps > 1:
        await applied(origin, claim(referral_id, ASIA))
    assert await told_anew(origin, referral_id) == ["referral_offered", *messages]


@pytest.mark.parametrize("answered", [False, True], ids=["silent", "answered"])
async def test_a_claim_from_the_old_place_counts_until_the_new_place_has_answered(
    origin: Origin, *, answered: bool
) -> None:
    referral_id = await orphan(origin)
    await transfer(origin, referral_id)
    await told_anew(origin, referral_id)
    if answered:
        declined = said("offer_declined", referral_id, EUROPE, reason="no_capacity", instance="hotline_two")
        assert await applied(origin, declined) == [None]
    assert await applied(origin, claim(referral_id, EUROPE)) == [None]
    assert await told(origin, "claim_granted") == ([] if answered else [EUROPE])


def test_whoever_has_it_is_told_so_anew(origin: Origin) -> None:
    letters = OriginSender(origin.world.documents.directory, "hotline", origin.world.at)
    held = LockedReferral(uuid7(), HOTLINE, "transferred", exercise=True, revision=1, offered=())
    stands = TransferStatus(held.referral_id, ASIA, TransferReason.NO_MANDATE, uuid4(), gone=False)
    drafts = repeat_messages(stands, held, letters)
    assert [each.message.name for each in drafts] == ["transfer_offered", "claim_granted"]
    assert {(each.subject, each.recipient) for each in drafts} == {(str(held.referral_id), ASIA)}


async def test_what_was_not_transferred_is_claimed_by_nobody(origin: Origin) -> None:
    referral_id = await orphan(origin)
    assert await applied(origin, claim(referral_id, EUROPE)) == ["claim_not_offered"]
    await transfer(origin, referral_id, to=ASIA)
    assert await applied(origin, claim(referral_id, EUROPE)) == ["claim_not_offered"]
    assert await state(origin, referral_id) == "orphaned"
    assert await told(origin, "claim_granted") == []


async def test_it_is_transferred_to_a_hotline_that_a_rule_has_sent_it_to(origin: Origin) -> None:
    referral_id = await origin.file()
    recipients = [str(edge["recipient"]) for edge in (await origin.show(referral_id))["edges"]]
    hotline = next(each for each in recipients if each.startswith("hotline"))
    status, body = await transfer(origin, referral_id, to=hotline, reason="not_our_jurisdiction")
    assert (status, body["state"], body["offered"]) == (202, "routed", [hotline])
    assert await applied(origin, claim(referral_id, hotline)) == [None]
    assert await state(origin, referral_id) == "transferred"
    # The history travels with it, by numbers alone.
    (granted,) = [each for each in await origin.waiting() if each.message.name == "claim_granted"]
    assert granted.clear["done"][0] == {"n": 1, "issued": 1, "actioned": 0}
    (record,) = origin.world.records([granted])
    assert PROVIDER.encode() not in (record.value or b"")


async def test_nobody_whom_no_rule_has_sent_it_to_is_asked(origin: Origin) -> None:
    referral_id = await origin.file()
    recipients = [edge["recipient"] for edge in (await origin.show(referral_id))["edges"]]
    agency = next(each for each in recipients if each.startswith("police"))
    for to in ({}, {"to": "hotline-us.example"}, {"to": agency}, {"to": PROVIDER}):
        status, body = await transfer(origin, referral_id, **to)
        assert (status, body["code"], body["field"]) == (409, "transfer_not_entitled", "/to")
    assert await told(origin, "transfer_offered") == []


async def test_who_may_not_and_what_is_not_there_is_refused(origin: Origin) -> None:
    referral_id = await orphan(origin)
    assert (await transfer(origin, referral_id, role=Role.VIEWER))[1]["code"] == "forbidden"
    assert (await transfer(origin, uuid7()))[1]["code"] == "not_found"
    assert (await transfer(origin, referral_id, party=EUROPE))[1]["code"] == "not_found"
    assert (await transfer(origin, referral_id, reason="because"))[1]["code"] == "fields_invalid"
    await origin.withdraw(referral_id, WithdrawalReason.DUPLICATE)
    assert (await transfer(origin, referral_id))[1]["code"] == "state_forbids"


async def test_a_claim_that_crosses_a_withdrawal_is_kept_and_grants_nothing(origin: Origin) -> None:
    referral_id = await orphan(origin)
    await transfer(origin, referral_id)
    await origin.withdraw(referral_id, WithdrawalReason.DUPLICATE)
    assert await applied(origin, claim(referral_id, EUROPE)) == [None]
    assert await state(origin, referral_id) == "withdrawn"
    assert await told(origin, "claim_granted") == []


async def test_what_was_transferred_can_be_withdrawn(origin: Origin) -> None:
    referral_id = await orphan(origin)
    await transfer(origin, referral_id)
    await applied(origin, claim(referral_id, EUROPE))
    await origin.withdraw(referral_id, WithdrawalReason.DUPLICATE)
    assert await state(origin, referral_id) == "withdrawn"
    assert EUROPE in await told(origin, "referral_withdrawn")


@pytest.mark.parametrize("hands_over", [True, False])
async def test_what_is_planned_is_issued_no_more(origin: Origin, *, hands_over: bool) -> None:
    referral_id = await orphan(origin)
    planned = (
        "UPDATE edge SET state = 'planned', message_id = NULL, hold_window_ends_at = now(), issue_due_at = now() "
        "WHERE referral_id = $1 AND recipient NOT LIKE 'hotline%'"
    )
    await origin.sql(planned, referral_id)
    await transfer(origin, referral_id)
    if hands_over:
        await applied(origin, claim(referral_id, EUROPE))
    left = await origin.sql("SELECT FROM edge WHERE referral_id = $1 AND state = 'planned'", referral_id)
    assert (not left) is hands_over
