"""Audit judges messages between agencies: case referrals, their answers, and contact suggestions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.audit import use_cases
from services.audit.domain.shown import Access, FlowFilter
from shared.contracts.answers import CaseAcceptedClear
from shared.contracts.case_referral import Contact, ContactSuggestedClear
from shared.contracts.holds import HoldEndedClear, HoldPlacedClear
from shared.contracts.registry import CASE_ACCEPTED, CONTACT_SUGGESTED, HOLD_ENDED, HOLD_PLACED, REFERRAL_PASSED_ON
from shared.exchange.accept import accept
from shared.exchange.message import Addressing, Draft, Received, Record, compose
from shared.exchange.prepare import Prepared
from shared.kernel.authority import Role
from shared.kernel.ids import uuid4
from shared.vocabulary.agencies import CaseReferReason, ContactGround
from shared.vocabulary.preservation import HoldBasis, HoldEnd, HoldScope
from tests.services.audit.log import AUDITOR, PURPOSE, Log, of_message
from tests.support.builders import HOTLINE
from tests.support.case_referral_fixtures import passable, passed_on
from tests.support.exchange_world import World

#: The sample's referral is sent to the first two agencies. The others can only receive it from these.
NL, BE, DE, AT_LARGE = (f"police-{place}.example" for place in ("nl", "be", "de", "se"))
DAY = timedelta(days=1)
STANDS, NOT_THEIRS = ("record", None), ("not_entitled", "statement_not_yours")


async def filed(log: Log) -> tuple[Prepared, Received]:
    """Submit a referral; return it and the message that carries it to the first agency."""
    prepared = log.world.prepared()
    records = await log.file(prepared)
    read = [accept(each, log.world.reader("law_enforcement")) for each in records if "law_enforcement" in each.topic]
    (offered,) = (each for each in read if each.recipient == NL)
    return prepared, offered


def addressed(here: World, referral_id: UUID, sender: str, to: str) -> Addressing:
    directory = here.documents.directory
    return Addressing(subject=referral_id, sender=sender, recipient=to, directory=directory, exercise=True, at=here.at)


def passed(here: World, offered: Received, sender: str, to: str) -> Draft:
    sealed = passable(here, offered).sealed(CaseReferReason.SUSPECT_ELSEWHERE)
    return passed_on(here, offered, sealed, sender=sender, to=to)


def accepted(here: World, referral_id: UUID, by: str) -> Draft:
    clear = CaseAcceptedClear(referral_id=referral_id, revision=1, act=uuid4(), number=1)
    return compose(CASE_ACCEPTED, clear, addressed(here, referral_id, by, HOTLINE))


def suggested(here: World, referral_id: UUID, to: str, other: str) -> Draft:
    clear = ContactSuggestedClear(referral_id=referral_id, revision=1)
    contact = Contact(agency=other, ground=ContactGround.SAME_REFERRAL, their_referral_id=referral_id)
    address = addressed(here, referral_id, HOTLINE, to)
    return compose(CONTACT_SUGGESTED, clear, address, sealed=contact.model_dump_json().encode())


async def kept(log: Log, draft: Draft, *, by: str = "law_enforcement") -> Record:
    log.world.at += timedelta(seconds=1)
    [record] = log.world.records([draft], by)
    await log.keep(record)
    return record


def acts(prepared: Prepared, number: int) -> dict[str, Any]:
    return {"referral_id": prepared.referral_id, "revision": 1, "act": uuid4(), "number": number}


async def judged(log: Log, prepared: Prepared, record: Record) -> tuple[str, str | None]:
    [line] = of_message(await log.flow(prepared.referral_id), record)
    return line["kind"], line.get("problem")


@pytest.mark.parametrize(("by", "stands"), [(NL, STANDS), (AT_LARGE, NOT_THEIRS)], ids=["sent", "not sent"])
async def test_who_was_sent_a_case_passes_it_on_and_the_other_answers(
    log: Log, by: str, stands: tuple[str, str]
) -> None:
    prepared, offered = await filed(log)
    gone = await kept(log, passed(log.world, offered, by, DE))
    answer = await kept(log, accepted(log.world, prepared.referral_id, DE))
    assert [await judged(log, prepared, each) for each in (gone, answer)] == [stands, stands]


async def test_an_answer_that_audit_reads_before_the_case_was_passed_on_stands_once_it_has_read_that(log: Log) -> None:
    prepared, offered = await filed(log)
    answer = await kept(log, accepted(log.world, prepared.referral_id, DE))
    assert await judged(log, prepared, answer) == NOT_THEIRS
    await kept(log, passed(log.world, offered, NL, DE))
    assert await judged(log, prepared, answer) == STANDS


async def test_contact_is_suggested_to_who_has_the_referral(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, offered = await filed(log)
    directory = log.world.documents.directory
    monkeypatch.setattr(directory, "contactable", directory.contactable | {AT_LARGE})
    await kept(log, passed(log.world, offered, NL, DE))
    told = [
        await kept(log, suggested(log.world, prepared.referral_id, to, other), by="hotline")
        for to, other in ((BE, DE), (DE, BE), (AT_LARGE, BE))
    ]
    assert [await judged(log, prepared, each) for each in told] == [STANDS, STANDS, NOT_THEIRS]


async def test_who_has_not_opted_in_is_told_of_nobody(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """An origin that lies suggests the contact anyway. The recipient's instance and audit both detect this."""
    prepared, _ = await filed(log)
    directory = log.world.documents.directory
    monkeypatch.setattr(directory, "contactable", directory.contactable - {BE})
    to_be, to_nl = [
        await kept(log, suggested(log.world, prepared.referral_id, to, other), by="hotline")
        for to, other in ((BE, NL), (NL, BE))
    ]
    found = [await judged(log, prepared, each) for each in (to_be, to_nl)]
    assert found == [("not_entitled", "contact_not_agreed"), STANDS]


async def test_audit_does_not_see_who_the_other_agency_is(log: Log) -> None:
    prepared, _ = await filed(log)
    record = await kept(log, suggested(log.world, prepared.referral_id, BE, NL), by="hotline")
    [line] = of_message(await log.flow(prepared.referral_id), record)
    assert NL not in str(line)
    assert NL.encode() not in (record.value or b"")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("later", [True, False], ids=["read later", "read before the decision"])
async def test_a_flow_is_found_by_whom_it_was_passed_on_to(log: Log, *, later: bool, version: int) -> None:
    prepared = log.world.prepared()
    records = log.world.records(prepared.drafts)
    read = [accept(each, log.world.reader("law_enforcement")) for each in records if "law_enforcement" in each.topic]
    (offered,) = (each for each in read if each.recipient == NL)
    if later:
        await log.keep(*records)
    log.world.at += timedelta(seconds=1)
    [one] = log.world.records([passed(log.world, offered, NL, DE)], "law_enforcement")
    spelt = {"type": REFERRAL_PASSED_ON.type, "dataschema": REFERRAL_PASSED_ON.schema}
    spelt = {name: text.replace("v1", f"v{version}") for name, text in spelt.items()}
    await log.keep(log.world.resigned(one, instance="law_enforcement", **spelt))
    if not later:
        await log.keep(*records)
    for party in (DE, NL, HOTLINE):
        sought = FlowFilter(party, log.world.at - timedelta(days=1), log.world.at + timedelta(days=1))
        shown = await use_cases.find_flows(sought, Access(AUDITOR, Role.AUDITOR, True, PURPOSE), entries=log.entries)
        (one,) = (each for each in shown.items if each.referral_id == prepared.referral_id)
        assert DE in one.recipients


async def test_a_hold_that_ends_as_its_case_is_passed_on_is_its_origins_to_end(log: Log) -> None:
    prepared, offered = await filed(log)
    hold = uuid4()
    placed = HoldPlacedClear(
        **acts(prepared, 1), scope=HoldScope.REMOVAL, basis=HoldBasis.COURT_ORDER, not_after=log.world.at + DAY
    )
    asked = await kept(log, compose(HOLD_PLACED, placed, addressed(log.world, prepared.referral_id, NL, HOTLINE)))
    await kept(log, passed(log.world, offered, NL, DE))
    over = HoldEndedClear(referral_id=prepared.referral_id, revision=1, hold=hold, end=HoldEnd.RELEASED)
    ended, forged = [
        await kept(log, compose(HOLD_ENDED, over, addressed(log.world, prepared.referral_id, origin, NL)), by="hotline")
        for origin in (HOTLINE, "hotline-be.example")
    ]
    assert [await judged(log, prepared, each) for each in (asked, ended, forged)] == [STANDS, STANDS, NOT_THEIRS]
