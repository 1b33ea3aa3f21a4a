"""Audit judges messages between agencies: case referrals, their answers, and contact suggestions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.audit import use_cases
from services.audit.domain.shown import Access, FlowFilter
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptedClear
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.holds import HoldEndedClear, HoldPlacedClear
from shared.core.contracts.registry import (
    CASE_ACCEPTED,
    CLAIM_GONE,
    CLAIM_GRANTED,
    HOLD_ENDED,
    HOLD_PLACED,
    PRESERVATION_ANSWERED,
    PRESERVATION_CORRECTED,
    PRESERVATION_REQUESTED,
    PRESERVATION_WITHDRAWN,
    REFERRAL_PASSED_ON,
    MessageType,
)
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Addressing, Draft, Received, Record, compose, compose_revealed
from shared.core.protocol.prepare import Prepared
from shared.core.vocabulary.agencies import CaseReferReason, ContactGround
from shared.core.vocabulary.preservation import (
    HoldBasis,
    HoldEnd,
    HoldScope,
)
from shared.features.contacts.contract import CONTACT_SUGGESTED, Contact, ContactSuggestedClear
from tests.services.audit.log import AUDITOR, PURPOSE, Log, of_message
from tests.services.hotline.transferring import ASIA, EUROPE, items
from tests.support.builders import HOTLINE, POLICE, PROVIDER
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


async def outsiders(log: Log, referral_id: UUID) -> dict[str, int]:
    """Return the number of records of each sender without a part in the referral."""
    page = await log.flow_page(referral_id)
    return {each["sender"]: each["count"] for each in page["outsiders"]}


async def line_of(log: Log, referral_id: UUID, record: Record) -> dict[str, Any]:
    """Return a record's line of its flow. A record of an outsider has none, so its verdict alone is returned."""
    lines = of_message(await log.flow(referral_id), record)
    if not lines:
        assert await outsiders(log, referral_id)
        return {"kind": "not_entitled", "verified": True, "problem": "statement_not_yours", "rules": []}
    [line] = lines
    return line


async def judged(log: Log, prepared: Prepared, record: Record) -> tuple[str, str | None]:
    line = await line_of(log, prepared.referral_id, record)
    return line["kind"], line.get("problem")


@pytest.mark.parametrize(("by", "stands"), [(NL, STANDS), (AT_LARGE, NOT_THEIRS)], ids=["sent", "not sent"])
async def test_who_was_sent_a_case_passes_it_on_to_be_answered(log: Log, by: str, stands: tuple[str, str]) -> None:
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


# -- Audit judges transfers: a referral is granted once, to a hotline that was sent it.


async def filed_orphan(log: Log) -> Prepared:
    """Submit an orphaned referral that two hotlines receive."""
    prepared = log.world.prepared(items=items("NO", "SG"))
    await log.file(prepared)
    return prepared


async def told(log: Log, filed_orphan: Prepared, message: MessageType, to: str, **said: Any) -> Record:
    log.world.at += timedelta(seconds=1)
    clear = message.clear.model_validate({"referral_id": filed_orphan.referral_id, "revision": 1} | said)
    [record] = log.world.records([compose(message, clear, log.world.address(filed_orphan.referral_id, HOTLINE, to))])
    await log.keep(record)
    return record


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        (((CLAIM_GRANTED, ASIA), (CLAIM_GONE, EUROPE)), [STANDS, STANDS]),
        (((CLAIM_GRANTED, ASIA), (CLAIM_GRANTED, EUROPE)), [NOT_THEIRS, NOT_THEIRS]),
        (((CLAIM_GRANTED, "hotline-us.example"),), [NOT_THEIRS]),
    ],
    ids=["once", "to two", "to whom it was not sent"],
)
async def test_a_claim_is_granted_once_and_to_whom_the_referral_was_sent(
    log: Log, claims: tuple[tuple[MessageType, str], ...], found: list[tuple[str, str | None]]
) -> None:
    referral = await filed_orphan(log)
    records = [
        await told(log, referral, message, to, **({"claim": uuid4()} if message is CLAIM_GRANTED else {}))
        for message, to in claims
    ]
    assert [await judged(log, referral, each) for each in records] == found


# -- Audit judges statements about a preservation: only the requesting agency and the asked provider may make them.


ABROAD = "police-us.example"
OTHER_AGENCY, OTHER_PROVIDER = "police-be.example", "provider-002.example"
AT_AGENCIES, AT_PROVIDERS = "law_enforcement", "industry"


def asked(log: Log, of: UUID, by: str = POLICE, *, to: str = PROVIDER, under: str = "budapest") -> Draft:
    sealed = b'{"locations": [{"kind": "url", "value": "https://files.example/a"}]}'
    terms = {"kind": "preserve", "instrument": under, "until": "2026-08-01"}
    return said_of(log, PRESERVATION_REQUESTED, of, by, to=to, sealed=sealed, **terms)


#: What the provider, and then the agency, says of a preservation.
SAID: Mapping[MessageType, Mapping[str, Any]] = {
    PRESERVATION_ANSWERED: {"answer": "preserved", "until": "2026-12-01"},
    PRESERVATION_CORRECTED: {"answer": "not_possible", "impossible": "never_stored", "number": 2},
    PRESERVATION_WITHDRAWN: {"reason": "asked_in_error", "number": 2},
}


def said_of(
    log: Log, message: MessageType, of: UUID, by: str, *, to: str, sealed: bytes | None = None, **words: Any
) -> Draft:
    stated = {"preservation_id": of, "act": uuid4(), "number": 1} | SAID.get(message, {}) | words
    return compose(message, message.clear.model_validate(stated), log.world.address(of, by, to), sealed=sealed)


def answered(log: Log, of: UUID, by: str = PROVIDER) -> Draft:
    return said_of(log, PRESERVATION_ANSWERED, of, by, to=POLICE)


def corrected(log: Log, of: UUID, by: str = PROVIDER) -> Draft:
    return said_of(log, PRESERVATION_CORRECTED, of, by, to=POLICE)


def withdrawn(log: Log, of: UUID, by: str = POLICE, *, to: str = PROVIDER) -> Draft:
    return said_of(log, PRESERVATION_WITHDRAWN, of, by, to=to)


def opened(log: Log, of: UUID, party: str) -> Draft:
    clear = RecordRevealedClear(party=party, role=Role.ANALYST, actor="0" * 32)
    return compose_revealed(of, clear, exercise=True, directory=log.world.documents.directory, at=log.world.at)


async def verdicts(log: Log, of: UUID, *drafts: tuple[str, Draft]) -> list[tuple[str, str | None]]:
    """Return audit's verdict on each message, after it has read all of them."""
    records = []
    for by, draft in drafts:
        log.world.at += timedelta(seconds=1)
        records += log.world.records([draft], by)
    await log.keep(*records)
    lines = [await line_of(log, of, record) for record in records]
    return [(line["kind"], line.get("problem")) for line in lines]


async def test_what_both_say_of_it_to_each_other_stands(log: Log) -> None:
    of = uuid7()
    answers = (AT_PROVIDERS, answered(log, of)), (AT_PROVIDERS, corrected(log, of))
    elsewhere = AT_AGENCIES, withdrawn(log, of, to=OTHER_PROVIDER)
    said = (AT_AGENCIES, asked(log, of)), *answers, (AT_AGENCIES, withdrawn(log, of)), elsewhere
    assert await verdicts(log, of, *said) == [*[STANDS] * 4, NOT_THEIRS]


async def test_of_two_requests_of_one_name_the_first_stands_and_no_answer_to_none(log: Log) -> None:
    of = uuid7()
    assert await verdicts(log, unasked := uuid7(), (AT_PROVIDERS, answered(log, unasked))) == [NOT_THEIRS]
    said = (AT_AGENCIES, asked(log, of)), (AT_AGENCIES, asked(log, of, OTHER_AGENCY))
    assert await verdicts(log, of, *said) == [STANDS, NOT_THEIRS]


async def test_what_is_asked_under_an_instrument_of_elsewhere_is_found(log: Log) -> None:
    """The agency's own instance refuses such a request. An instance that lies sends it anyway."""
    for by, under, code in (
        (POLICE, "us_2258a", "instrument_not_yours"),
        (POLICE, "eu_2023_1543", "instrument_unknown"),
        (ABROAD, "us_2258a", None),
    ):
        of = uuid7()
        found = await verdicts(log, of, (AT_AGENCIES, asked(log, of, by, under=under)))
        assert found == [STANDS if code is None else ("not_entitled", code)]


async def test_what_was_law_when_it_was_said_is_named_by_nobody(log: Log) -> None:
    """The message was in transit when the law changed."""
    of = uuid7()
    draft = asked(log, of)
    later = log.world.policy.model_copy(update={"version": 77, "instruments": ()})
    log.world.place(later, log.world.at + timedelta(seconds=1))
    log.world.at += timedelta(seconds=5)
    assert await verdicts(log, of, (AT_AGENCIES, draft)) == [STANDS]
    log.world.at += timedelta(minutes=1)
    found = await verdicts(log, other := uuid7(), (AT_AGENCIES, asked(log, other)))
    assert found == [("not_entitled", "instrument_unknown")]
