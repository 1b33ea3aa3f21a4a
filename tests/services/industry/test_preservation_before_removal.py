"""A preservation request is answered before or with the removal of its item, in any order of events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.act import Subject, Track
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts.answers import NoticeStatements
from shared.core.contracts.preservation import PreservationRequestedClear, PreservationWithdrawnClear
from shared.core.contracts.preservation_api import PreservationAnswering, PreservationRecord
from shared.core.contracts.registry import PRESERVATION_REQUESTED, PRESERVATION_WITHDRAWN
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.notices import service
from shared.features.notices.rules import AUTHORITY
from shared.features.preservation.service import PreserveActor, act
from shared.features.preservation.store import ProviderPreservations
from shared.platform.database.transactions import RowScope
from tests.services.databases import connected, until_one_waits_for_a_lock
from tests.services.deliveries import AGENCY, AT, LOCATION, OTHER_AGENCY, PROVIDER, directory, issued, received
from tests.services.doors import ACTOR
from tests.services.industry.provider import APPLYING, KEK, Providers
from tests.services.outgoing import clear_parts
from tests.support.privileges import may_not

REMOVED = {"action": "removed", "effective_at": AT}
PRESERVED = {"answer": "preserved", "until": "2026-07-03"}
NOT_POSSIBLE = {"answer": "not_possible", "impossible": "never_stored"}
REFUSED = {"answer": "refused", "reason": "conflicting_law"}


def asked(preservation_id: UUID, *, location: str = LOCATION, by: str = AGENCY) -> Received:
    terms = {"kind": "preserve", "instrument": "eu_2023_1543", "term": "eu_60d"}
    named = {"preservation_id": preservation_id, "act": uuid4(), "number": 1}
    record = {"locations": [{"kind": "url", "value": location}], "order_reference": "PL-2026/00317"}
    return received(
        PRESERVATION_REQUESTED,
        PreservationRequestedClear.model_validate(terms | named),
        subject=preservation_id,
        sender=by,
        recipient=PROVIDER,
        sealed=PreservationRecord.model_validate(record),
    )


def withdrawn(preservation_id: UUID, *, by: str = AGENCY) -> Received:
    named = {"preservation_id": preservation_id, "act": uuid4(), "number": 2, "reason": "replaced"}
    clear = PreservationWithdrawnClear.model_validate(named)
    return received(PRESERVATION_WITHDRAWN, clear, subject=preservation_id, sender=by, recipient=PROVIDER)


def removing(*beside: tuple[UUID, dict[str, Any]]) -> NoticeStatements:
    said = [{"preservation_id": preservation_id} | words for preservation_id, words in beside]
    return NoticeStatements.model_validate({"items": [REMOVED], "preservations": said})


async def answer(providers: Providers, preservation_id: UUID, words: dict[str, Any], *, by: str = "answer") -> str:
    """Answer a request alone, without a notice. `by` is the name of the act."""
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, by)) as session:
        acting = PreserveActor(
            party=PROVIDER,
            role=Role.ANALYST,
            actor=ACTOR,
            track=Track.ANSWER,
            authority=AUTHORITY,
            preservations=ProviderPreservations(session.driver, KEK),
            directory=providers.directory,
            at=AT,
        )
        said = PreservationAnswering.model_validate(words)
        return await act(row(Subject.PRESERVATION, by), preservation_id, said=said, acting=acting)


async def test_an_agency_that_has_left_is_answered_too(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    preservation_id = uuid7()
    await providers.receive(asked(preservation_id, location=f"{LOCATION}/elsewhere"))
    monkeypatch.setattr(providers, "directory", directory(AGENCY))
    assert await answer(providers, preservation_id, PRESERVED) == "preserved"
    assert await providers.sent(preservation_id) == [], "nobody is there to be told"


async def test_nothing_was_removed_in_a_time_to_come(providers: Providers) -> None:
    preservation_id = uuid7()
    await providers.receive(asked(preservation_id, location=f"{LOCATION}/elsewhere"))
    with pytest.raises(Refused) as refusal:
        await answer(providers, preservation_id, {"answer": "too_late", "removed_at": "9999-12-31T00:00:00.000Z"})
    assert (refusal.value.code, refusal.value.field) == ("time_ahead", "/removed_at")


async def test_what_is_removed_is_answered_first_or_in_the_same_act(providers: Providers) -> None:
    notice_id, preservation_id = uuid7(), uuid7()
    assert await providers.receive(issued(notice_id), asked(preservation_id)) == [None, None]
    with pytest.raises(Refused, match="preservation_unanswered") as refused:
        await providers.act("answer", removing(), notice_id)
    assert refused.value.field == "/preservations"
    assert "preserved or not_possible" in refused.value.detail
    await providers.act("answer", removing((preservation_id, PRESERVED)), notice_id)


@pytest.mark.parametrize("words", [PRESERVED, NOT_POSSIBLE], ids=["preserved", "not_possible"])
async def test_the_notifier_is_told_the_same_bytes_whether_or_not_somebody_asked(
    providers: Providers, words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The messages are equal except for random ids, and the stored notice does not mention the request."""
    plain, wanted, preservation_id = uuid7(), uuid7(), uuid7()
    assert await providers.receive(issued(plain)) == [None]
    await providers.act("answer", removing(), plain)
    assert await providers.receive(issued(wanted), asked(preservation_id)) == [None, None]
    await providers.act("answer", removing((preservation_id, words)), wanted)

    async def told(notice_id: UUID) -> bytes:
        [(kind, sender, recipient, exercise, clear)] = await clear_parts(providers.database, notice_id)
        alike = {name: word for name, word in clear.items() if name not in ("act", "notice_id")}
        return json.dumps([kind, sender, recipient, exercise, alike]).encode()

    assert await told(plain) == await told(wanted)
    assert (await providers.show(plain))["items"] == (await providers.show(wanted))["items"]
    [(kind, _, recipient, _, clear)] = await clear_parts(providers.database, preservation_id)
    assert (kind, recipient, clear["answer"]) == ("causeway.preservation_answered.v1", AGENCY, words["answer"])


async def test_another_place_and_what_was_taken_back_keep_nobody_from_removing(providers: Providers) -> None:
    notice_id, elsewhere, over = uuid7(), uuid7(), uuid7()
    messages = issued(notice_id), asked(elsewhere, location=f"{LOCATION}0"), asked(over), withdrawn(over)
    assert await providers.receive(*messages) == [None] * 4
    await providers.act("answer", removing(), notice_id)


async def test_a_removal_waits_for_who_asks_at_the_same_place_and_sees_it(providers: Providers) -> None:
    """Also if the notice arrived while the request was still being stored."""
    notice_id, preservation_id = uuid7(), uuid7()
    async with providers.database.transaction(APPLYING) as session:
        unit = Unit(session)
        assert await providers.door.apply(unit, [asked(preservation_id)]) == {}
        assert await providers.receive(issued(notice_id)) == [None]
        removal = asyncio.create_task(providers.act("answer", removing(), notice_id))
        await until_one_waits_for_a_lock(providers.database)
    with pytest.raises(Refused, match="preservation_unanswered"):
        await removal
    await providers.act("answer", removing((preservation_id, PRESERVED)), notice_id)


@pytest.mark.usefixtures("providers")
async def test_whoever_counts_can_stop_neither_side(endpoint: DatabaseEndpoint) -> None:
    """Earlier the accountant could hold the advisory lock of a place, whose number `pg_locks` shows, and block both."""
    async with connected(endpoint.accountant_url) as accountant:
        await may_not(
            accountant,
            "SELECT * FROM location_lock_slot FOR UPDATE",
            "INSERT INTO location_lock_slot VALUES (1)",
            "BEGIN; LOCK TABLE location_lock_slot IN ACCESS SHARE MODE",
            "SELECT pg_advisory_lock(1)",
        )


async def walk(providers: Providers, random: Random) -> list[UUID]:
    """Run notices, requests, answers and removals in random order; return open requests that a removal skipped."""
    places = [f"{LOCATION}/{random.randrange(10**9)}" for _ in range(2)]
    notices: list[UUID] = []
    waiting: dict[UUID, str] = {}
    of_notice: dict[UUID, str] = {}
    passed: list[UUID] = []
    answered: list[UUID] = []
    for _ in range(12):
        match random.choice(["notice", "ask", "ask", "answer", "correct", "withdraw", "remove", "remove", "beside"]):
            case "notice":
                notice_id, place = uuid7(), random.choice(places)
                message = issued(notice_id)
                located = message.sealed.model_dump(mode="json")  # type: ignore[union-attr]
                located["items"][0]["locator"]["value"] = place
                sealed = type(message.sealed).model_validate(located)
                assert await providers.receive(replace(message, sealed=sealed)) == [None]
                notices.append(notice_id)
                of_notice[notice_id] = place
            case "ask":
                preservation_id, place = uuid7(), random.choice(places)
                by = random.choice([AGENCY, OTHER_AGENCY])
                assert await providers.receive(asked(preservation_id, location=place, by=by)) == [None]
                waiting[preservation_id] = f"{by} {place}"
            case "answer" if waiting:
                preservation_id = random.choice(sorted(waiting))
                await answer(providers, preservation_id, random.choice([PRESERVED, NOT_POSSIBLE]))
                del waiting[preservation_id]
                answered.append(preservation_id)
            case "correct" if answered:
                await answer(providers, random.choice(answered), random.choice([PRESERVED, REFUSED]), by="correct")
            case "withdraw" if waiting:
                preservation_id = random.choice(sorted(waiting))
                by = waiting.pop(preservation_id).partition(" ")[0]
                assert await providers.receive(withdrawn(preservation_id, by=by)) == [None]
            case ("remove" | "beside") as how if notices:
                notice_id = notices.pop(random.randrange(len(notices)))
                open_ones = [each for each, at in waiting.items() if at.endswith(f" {of_notice[notice_id]}")]
                said = open_ones if how == "beside" else open_ones[1:]
                try:
                    await providers.act("answer", removing(*((each, PRESERVED) for each in said)), notice_id)
                except Refused as error:
                    assert error.code == "preservation_unanswered"
                    assert open_ones != said
                    notices.append(notice_id)
                    continue
                passed += [each for each in open_ones if each not in said]
                for each in said:
                    del waiting[each]
    return passed


async def test_in_no_order_is_something_removed_that_an_unanswered_request_wants_kept(providers: Providers) -> None:
    for seed in range(20):
        assert await walk(providers, Random(seed)) == []


async def test_with_the_check_off_some_order_removes_it(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the same walks without the check for preservation requests."""
    monkeypatch.setattr(service, "removed_by", lambda *_: frozenset[int]())
    found = [passed for seed in range(20) for passed in await walk(providers, Random(seed))]
    assert found
