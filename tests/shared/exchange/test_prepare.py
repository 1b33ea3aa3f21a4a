"""What leaves an origin: nothing personal in the clear, for each recipient only what its purpose needs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from shared.contracts.referral import ReferralRecord
from shared.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED, REFERRAL_OFFERED
from shared.envelope.sealing import open_sealed
from shared.exchange.compose import seal_context
from shared.exchange.message import Draft
from shared.exchange.prepare import Filing, Prepared, check, prepare, prepare_again, prepare_batch
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import (
    ACCOUNT,
    CORRELATION,
    ELSEWHERE,
    EXTERNAL_REF,
    LOCATION,
    MD5,
    SUBMISSION,
    World,
    submission,
    world,
)

HIDDEN = (LOCATION, ELSEWHERE, ACCOUNT, EXTERNAL_REF, CORRELATION, MD5)
HOTLINE_NL, POLICE_NL, POLICE_BE = "hotline-nl.example", "police-nl.example", "police-be.example"
POLICE_FR = "police-fr.example"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture(scope="module")
def prepared(here: World) -> Prepared:
    return here.prepared()


def kind_of(here: World, draft: Draft) -> str:
    party = here.documents.directory.party(draft.recipient)
    return party.kind if party else "audit"


def opened(here: World, draft: Draft) -> dict[str, Any]:
    """The sealed part, as its recipient's instance opens it."""
    value = json.loads(draft.body)
    context = seal_context(
        draft.message,
        draft.message_id,
        draft.subject,
        clear=value["clear"],
        sender=draft.sender,
        recipient=draft.recipient,
    )
    record = json.loads(open_sealed(value["sealed"], here.keys[draft.recipient_instance].opening, context))
    assert isinstance(record, dict)
    return record


def to(prepared: Prepared, recipient: str) -> Draft:
    return next(draft for draft in prepared.drafts if draft.recipient == recipient)


def test_a_referral_reaches_every_kind_of_recipient_and_ends_with_the_fact_for_audit(
    here: World, prepared: Prepared
) -> None:
    recipients = [draft.recipient for draft in prepared.drafts]
    assert recipients == [HOTLINE_NL, POLICE_BE, POLICE_FR, POLICE_NL, PROVIDER, "audit"]
    assert prepared.drafts[-1].message is REFERRAL_DECIDED


def test_no_draft_holds_anything_sealed_in_its_clear_bytes(prepared: Prepared) -> None:
    for draft in prepared.drafts:
        assert not [value for value in HIDDEN if value.encode() in draft.body]


def test_the_search_for_sealed_values_would_find_them(here: World, prepared: Prepared) -> None:
    found = json.dumps([opened(here, draft) for draft in prepared.drafts[:-1]])
    assert [value for value in HIDDEN if value in found] == list(HIDDEN)


def test_withheld_fields_are_absent_from_the_sealed_part(here: World, prepared: Prepared) -> None:
    withholding = 0
    for emitted, draft in zip(prepared.emitted, prepared.drafts, strict=False):
        record = opened(here, draft)
        withholding += bool(emitted.edge["withheld"])
        assert not set(emitted.edge["withheld"]) & record.keys()
    assert withholding >= 3


def test_reported_accounts_go_to_agencies_alone(here: World, prepared: Prepared) -> None:
    holders = [d.recipient for d in prepared.drafts[:-1] if "subject_accounts" in opened(here, d)]
    assert holders == [POLICE_BE, POLICE_NL]
    assert all(kind_of(here, to(prepared, holder)) == PartyKind.LAW_ENFORCEMENT for holder in holders)


def test_a_provider_gets_only_its_own_items_and_only_what_it_needs(here: World, prepared: Prepared) -> None:
    record = opened(here, to(prepared, PROVIDER))
    assert record.keys() == {"incident_kind", "media_kind", "items"}
    assert [item["locator"]["value"] for item in record["items"]] == [LOCATION]
    assert record["items"][0].keys() == {"n", "locator", "site_type", "hashes", "assessment"}


def test_industry_never_sees_a_referral_id(here: World, prepared: Prepared) -> None:
    notice = to(prepared, PROVIDER)
    referral_id = str(prepared.referral_id)
    assert notice.message is NOTICE_ISSUED
    assert referral_id not in notice.subject + notice.body.decode() + json.dumps(opened(here, notice))
    assert referral_id in to(prepared, POLICE_NL).body.decode()


def test_only_the_fact_for_audit_links_a_notice_to_its_referral(prepared: Prepared) -> None:
    notice = to(prepared, PROVIDER)
    holders = [draft.recipient for draft in prepared.drafts if notice.subject.encode() in draft.body]
    assert holders == [PROVIDER, "audit"]


def test_a_notice_carries_no_earlier_time_than_its_own_decision(here: World, prepared: Prepared) -> None:
    text = to(prepared, PROVIDER).body.decode()
    assert "2026-05-03" not in text
    assert "2026-05-04T12:00:00.000Z" in text


def test_a_draft_opens_only_for_the_instance_that_serves_its_recipient(here: World, prepared: Prepared) -> None:
    draft = to(prepared, POLICE_NL)
    value = json.loads(draft.body)
    context = seal_context(
        draft.message, draft.message_id, draft.subject, clear=value["clear"], sender=HOTLINE, recipient=POLICE_NL
    )
    with pytest.raises(Refused, match="sealed_unopenable"):
        open_sealed(value["sealed"], here.keys["hotline"].opening, context)


def test_everything_about_one_referral_has_one_key_towards_hotlines_and_agencies(prepared: Prepared) -> None:
    offers = [draft for draft in prepared.drafts if draft.message is REFERRAL_OFFERED]
    assert {draft.subject for draft in offers} == {str(prepared.referral_id)}


def test_what_the_guard_refuses_is_not_prepared(here: World) -> None:
    file = base64.urlsafe_b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(200))).decode()
    items = [SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": f"https://images.example/{file}"}}]
    with pytest.raises(Refused, match="guard_"):
        here.prepared(items=items)


def test_a_sandbox_party_files_exercises_only(here: World) -> None:
    with pytest.raises(Refused, match="exercise_mismatch"):
        here.prepared(exercise=False)


def test_a_live_party_files_no_exercise(here: World) -> None:
    with pytest.raises(Refused, match="exercise_mismatch"):
        here.prepared(origin="hotline-live.example")


def test_a_look_before_sending_decides_as_the_sending_does(here: World, prepared: Prepared) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    outcome = check(submission(), origin=origin, documents=here.documents, at=here.at)
    assert [edge.recipient for edge in outcome.edges] == [each.recipient for each in prepared.emitted]


def test_an_unknown_code_reaches_nobody_but_audit(here: World) -> None:
    prepared = here.prepared(user_jurisdictions=["Europe"])
    assert (prepared.disposition, prepared.work_reason) == ("unknown_code", "unknown_jurisdiction")
    assert [draft.recipient for draft in prepared.drafts] == ["audit"]


def test_deciding_again_replaces_just_the_stale_edges_under_new_ids(here: World, prepared: Prepared) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    stale = {(e.recipient, e.purpose): e.message_id for e in prepared.emitted if e.recipient in (POLICE_NL, PROVIDER)}
    again = prepare_again(
        ReferralRecord.model_validate_json(prepared.content),
        referral_id=prepared.referral_id,
        origin=origin,
        exercise=True,
        documents=here.documents,
        at=here.at,
        only=stale,
        traceparent=TRACEPARENT,
    )
    assert [each.recipient for each in again.emitted] == [POLICE_NL, PROVIDER]
    assert {draft.traceparent for draft in again.drafts} == {TRACEPARENT}
    assert not {each.message_id for each in again.emitted} & set(stale.values())
    assert again.dropped == ()
    assert json.loads(again.drafts[-1].body)["clear"]["superseded"] == [str(id_) for id_ in sorted(stale.values())]


def test_an_edge_that_is_not_decided_again_is_dropped(here: World, prepared: Prepared) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    stale = prepared.emitted[0].message_id
    again = prepare_again(
        ReferralRecord.model_validate_json(prepared.content),
        referral_id=prepared.referral_id,
        origin=origin,
        exercise=True,
        documents=here.documents,
        at=here.at,
        only={("police-us.example", "investigation"): stale},
        traceparent=None,
    )
    assert (again.emitted, again.dropped) == ((), (stale,))


def test_what_an_origin_keeps_is_enough_to_decide_again(here: World, prepared: Prepared) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    kept = ReferralRecord.model_validate_json(prepared.content)
    whole = submission().model_dump(mode="json", exclude={"exercise"}, exclude_defaults=True)
    numbered = [item | {"n": n} for n, item in enumerate(whole["items"], 1)]
    assert kept.model_dump(mode="json", exclude_defaults=True) == whole | {"items": numbered}
    assert prepare(submission(), origin=origin, documents=here.documents, at=here.at).facts == prepared.facts


def test_a_refused_filing_touches_none_of_those_beside_it(here: World) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    filings = [Filing(submission(exercise=exercise), origin) for exercise in (True, False, True)]
    first, refused, last = prepare_batch(filings, documents=here.documents, at=here.at)
    assert isinstance(refused, Refused)
    assert refused.code == "exercise_mismatch"
    for each in (first, last):
        assert isinstance(each, Prepared)
        assert [draft.recipient for draft in each.drafts] == [draft.recipient for draft in here.prepared().drafts]
