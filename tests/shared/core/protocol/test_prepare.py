"""Messages of an origin: nothing personal in the clear part, and only the content that its purpose needs."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from shared.core.contracts.decision import EDGES_MAX
from shared.core.contracts.facts import ReferralDecidedSealed
from shared.core.contracts.referral import ReferralRecord
from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED
from shared.core.envelope.segment_sealing import BUCKET_BYTES_MAX
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.accept import RECORD_BYTES_MAX, accept
from shared.core.protocol.decision_fact import FactBody, StatedEdge, decided_fact, sealed_of_decided, stated_edges
from shared.core.protocol.message import Draft
from shared.core.protocol.outgoing_messages import StaleEdge
from shared.core.protocol.prepare import Filing, Prepared, prepare_again, prepare_batch
from shared.core.vocabulary.routing import PartyKind, Purpose
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import (
    ACCOUNT,
    CORRELATION,
    ELSEWHERE,
    EXTERNAL_REF,
    LOCATION,
    MD5,
    SUBMISSION,
    World,
    opened,
    submission,
    told_to_audit,
    world,
)

#: References to the documents of an earlier decision. Their content does not matter.
LAW = "0" * 64
HIDDEN = (LOCATION, ELSEWHERE, ACCOUNT, EXTERNAL_REF, CORRELATION, MD5)
HOTLINE_NL, POLICE_NL, POLICE_BE = "hotline-nl.example", "police-nl.example", "police-be.example"
POLICE_FR = "police-fr.example"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def prepared(here: World) -> Prepared:
    return here.prepared()


def kind_of(here: World, draft: Draft) -> str:
    party = here.documents.directory.party(draft.recipient)
    return party.kind if party else "audit"


def record_of(here: World, draft: Draft) -> dict[str, Any]:
    """Return the record that it carries."""
    record = opened(here, draft)["record"]
    assert isinstance(record, dict)
    return record


def clear_text(draft: Draft) -> str:
    """Return the clear part as the recipient's instance and audit read it."""
    return json.dumps(draft.clear)


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
        assert not [value for value in HIDDEN if value in clear_text(draft)]


def test_the_search_for_sealed_values_would_find_them(here: World, prepared: Prepared) -> None:
    found = json.dumps([opened(here, draft) for draft in prepared.drafts[:-1]])
    assert [value for value in HIDDEN if value in found] == list(HIDDEN)


def test_withheld_fields_are_absent_from_the_sealed_part(here: World, prepared: Prepared) -> None:
    withholding = 0
    for emitted, draft in zip(prepared.emitted, prepared.drafts[:-1], strict=True):
        withheld = emitted.edge.terms.withheld
        withholding += bool(withheld)
        assert not set(withheld) & record_of(here, draft).keys()
    assert withholding >= 3


def test_reported_accounts_go_to_agencies_alone(here: World, prepared: Prepared) -> None:
    holders = [d.recipient for d in prepared.drafts[:-1] if "subject_accounts" in record_of(here, d)]
    assert holders == [POLICE_BE, POLICE_NL]
    assert all(kind_of(here, to(prepared, holder)) == PartyKind.LAW_ENFORCEMENT for holder in holders)


def test_a_provider_gets_only_its_own_items_and_only_what_it_needs(here: World, prepared: Prepared) -> None:
    record = record_of(here, to(prepared, PROVIDER))
    assert record.keys() == {"incident_kind", "media_kind", "items"}
    assert [item["locator"]["value"] for item in record["items"]] == [LOCATION]
    assert record["items"][0].keys() == {"n", "locator", "site_type", "hashes", "assessments"}


def test_industry_never_sees_a_referral_id(here: World, prepared: Prepared) -> None:
    notice = to(prepared, PROVIDER)
    referral_id = str(prepared.referral_id)
    assert notice.message is NOTICE_ISSUED
    assert referral_id not in notice.subject + clear_text(notice) + json.dumps(opened(here, notice))
    assert referral_id in clear_text(to(prepared, POLICE_NL))


def test_only_audit_can_link_a_notice_to_its_referral(here: World, prepared: Prepared) -> None:
    """The link is the edge's id. The notice states it, and audit finds it in the sealed part of the decided fact."""
    notice = to(prepared, PROVIDER).clear
    edges = told_to_audit(here, prepared.drafts[-1])["edges"]
    assert notice["edge_id"] in {str(UUID(bytes=urlsafe_b64decode(each[0] + "=="))) for each in edges}
    assert not [draft.recipient for draft in prepared.drafts[:-1] if notice["edge_id"] in clear_text(draft)][1:]


def test_the_fact_for_audit_says_nothing_of_the_decision_in_the_clear(prepared: Prepared) -> None:
    clear = prepared.drafts[-1].clear
    told = {"referral_id": str(prepared.referral_id), "revision": 1, "disposition": "routed"}
    assert clear == {"decisions": [told]}


def test_an_edge_names_nobody_else(here: World) -> None:
    """Two items at two places: each agency and each provider gets its own item only."""
    first, second = SUBMISSION["items"]
    items = [
        first | {"hosting": [{"jurisdiction": "NL"}]},
        second | {"hosting": [{"jurisdiction": "BE"}], "assessments": first["assessments"]},
    ]
    prepared = here.prepared(items=items, user_jurisdictions=[], victim_jurisdictions=[])
    for recipient, number, place in ((POLICE_NL, 0, "NL"), (POLICE_BE, 1, "BE")):
        sealed = opened(here, to(prepared, recipient))
        assert [each["locator"] for each in sealed["record"]["items"]] == [items[number]["locator"]]
        assert [each["hosting"] for each in sealed["edge"]["facts"]["items"]] == [[place]]


def test_a_decision_of_two_hundred_edges_is_told_to_audit_in_one_record() -> None:
    """Each edge has maximal length, and so do the facts with them. An edge costs at most 110 bytes."""
    parties = [f"{'p' * 28}-{number:03}.{'q' * 31}" for number in range(EDGES_MAX)]
    purpose = max((each.value for each in Purpose), key=len)
    edges = [(uuid4(), party, purpose, f"{number:064x}") for number, party in enumerate(parties)]
    stated = FactBody(
        referral_id=uuid7(),
        origin=HOTLINE,
        body_sha256="0" * 64,
        disposition="routed",
        decision={"directory": "a" * 64, "policy": "b" * 64, "engine": 2, "decided_at": "2026-05-04T12:00:00.000Z"},
        salt="c" * 64,
        facts=world().prepared().facts,
        edges=edges,
    )
    sealed = to_json(sealed_of_decided(stated))
    [decision] = json.loads(sealed)["decisions"]
    assert len(json.dumps(decision["edges"], separators=(",", ":"))) <= 110 * EDGES_MAX
    there = world()
    draft = decided_fact(
        stated, instance="hotline", directory=there.documents.directory, exercise=True, at=there.at, traceparent=None
    )
    [record] = there.records([draft])
    assert len(record.value or b"") <= RECORD_BYTES_MAX
    [read] = ReferralDecidedSealed.model_validate_json(sealed).decisions
    assert stated_edges(read) == [StatedEdge(*each) for each in edges]


def test_a_decision_that_no_record_holds_reaches_nobody_but_a_person(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(stated: FactBody) -> dict[str, Any]:
        return sealed_of_decided(stated) | ({"more": "x" * BUCKET_BYTES_MAX} if stated.edges else {})

    monkeypatch.setattr("shared.core.protocol.decision_fact.sealed_of_decided", too_large)
    prepared = here.prepared()
    assert (prepared.disposition, prepared.unrouted_reason) == ("unroutable", "too_wide")
    assert [draft.recipient for draft in prepared.drafts] == ["audit"]


def test_a_record_opens_only_for_the_instance_that_serves_its_recipient(here: World, prepared: Prepared) -> None:
    [record] = here.records([to(prepared, POLICE_NL)])
    assert accept(record, here.reader("law_enforcement")).sealed is not None
    with pytest.raises(Refused, match="sealed_unopenable"):
        accept(record, here.reader("law_enforcement", opening_keys=[here.keys["hotline"].opening]))


@pytest.mark.parametrize(("level", "urgent"), [("p0_child_at_risk", True), ("p1_urgent", False)])
def test_what_tells_of_a_child_at_risk_is_urgent_and_nothing_else(here: World, level: str, urgent: bool) -> None:
    """A provider does not get the priority, so the lane must not reveal it. The fact for audit is not urgent either."""
    prepared = here.prepared(priority={"level": level, "basis": ["ongoing_abuse"]})
    told = {draft.recipient: draft.is_p0 for draft in prepared.drafts}
    assert told == {recipient: urgent and recipient not in (PROVIDER, "audit") for recipient in told}
    assert {POLICE_NL, PROVIDER, "audit"} <= told.keys()


@pytest.mark.parametrize("filed", [{"exercise": False}, {"origin": "hotline-live.example"}], ids=["sandbox", "live"])
def test_a_sandbox_party_files_exercises_only_and_a_live_party_none(here: World, filed: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="exercise_mismatch"):
        here.prepared(**filed)


def test_an_unknown_code_reaches_nobody_but_audit(here: World) -> None:
    prepared = here.prepared(user_jurisdictions=["Europe"])
    assert (prepared.disposition, prepared.unrouted_reason) == ("unknown_code", "unknown_jurisdiction")
    assert [draft.recipient for draft in prepared.drafts] == ["audit"]


def decided_again(here: World, prepared: Prepared, only: dict[tuple[str, str], StaleEdge]) -> Prepared:
    """Decide these edges of a referral again."""
    return prepare_again(
        ReferralRecord.model_validate_json(prepared.content),
        referral_id=prepared.referral_id,
        origin=here.documents.directory.party(HOTLINE),
        exercise=True,
        documents=here.documents,
        at=here.at,
        only=only,
        body_sha256=prepared.body_sha256,
        traceparent=TRACEPARENT,
    )


def test_deciding_again_replaces_just_the_stale_edges_under_new_ids(here: World, prepared: Prepared) -> None:
    stale = {
        (each.recipient, each.purpose): StaleEdge(each.edge_id, each.message_id, LAW, here.at, 0)
        for each in prepared.emitted
        if each.recipient in (POLICE_NL, PROVIDER)
    }
    again = decided_again(here, prepared, stale)
    assert [each.recipient for each in again.emitted] == [POLICE_NL, PROVIDER]
    assert {draft.traceparent for draft in again.drafts} == {TRACEPARENT}
    assert not {each.message_id for each in again.emitted} & {each.message_id for each in stale.values()}
    assert not {each.edge_id for each in again.emitted} & {each.edge_id for each in stale.values()}
    assert again.dropped == ()
    superseded = told_to_audit(here, again.drafts[-1])["superseded"]
    assert superseded == sorted(str(each.edge_id) for each in stale.values())


def test_an_edge_that_is_not_decided_again_is_dropped(here: World, prepared: Prepared) -> None:
    stale = StaleEdge(prepared.emitted[0].edge_id, prepared.emitted[0].message_id, LAW, here.at, 0)
    again = decided_again(here, prepared, {("police-us.example", "investigation"): stale})
    assert (again.emitted, again.dropped) == ((), (stale,))


def test_a_refused_filing_touches_none_of_those_beside_it(here: World) -> None:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    filings = [Filing(submission(exercise=exercise), origin, body_sha256="0" * 64) for exercise in (True, False, True)]
    first, refused, last = prepare_batch(filings, documents=here.documents, at=here.at)
    assert isinstance(refused, Refused)
    assert refused.code == "exercise_mismatch"
    for each in (first, last):
        assert isinstance(each, Prepared)
        assert [draft.recipient for draft in each.drafts] == [draft.recipient for draft in here.prepared().drafts]


def test_each_recipient_gets_the_hashes_that_its_rules_allow_and_takes_no_others(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {"md5": "0" * 32, "sha256": "2" * 64, "pdq": "3" * 64, "photodna": "A" * 192}
    changes = {"items": [SUBMISSION["items"][0] | {"hashes": hashes}]}
    for recipient, instance, kinds in (
        (POLICE, "law_enforcement", hashes.keys()),
        (PROVIDER, "industry", {"sha256", "pdq"}),
    ):
        draft = here.offered(recipient, **changes)
        assert opened(here, draft)["record"]["items"][0]["hashes"].keys() == kinds
        assert accept(here.records([draft])[0], here.reader(instance)).sealed is not None
    monkeypatch.setattr("shared.core.protocol.minimise.sent_hashes", lambda items, _: items)
    with pytest.raises(Refused, match="edge_not_reproducible"):
        accept(here.records([here.offered(PROVIDER, **changes)])[0], here.reader("industry"))


def test_an_address_travels_in_its_one_spelling_and_without_what_was_cut(here: World) -> None:
    signed = (
        "https://bucket.s3.eu-central-1.amazonaws.com/%61.jpg?X-Amz-Date=20260101T000000Z&X-Amz-Signature=" + "0a" * 32
    )
    prepared = here.prepared(items=[SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": signed}}])
    (item,) = json.loads(prepared.content)["items"]
    assert item["locator"] == {
        "kind": "url",
        "value": "https://bucket.s3.eu-central-1.amazonaws.com/a.jpg",
        "cut": ["s3"],
    }
    assert prepared.cut == ({"n": 1, "rules": ("s3",)},)
