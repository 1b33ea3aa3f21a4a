"""Roles, track keys, acts and names of messages: equal at both ends, and independent of the subject's content."""

from __future__ import annotations

import pytest

from shared.catalog import CATALOG
from shared.core.contracts.registry import (
    BETWEEN_PARTIES,
    CASE_ACCEPTED,
    NOTICE_ISSUED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    MessageType,
)
from shared.core.ids import uuid4, uuid7
from shared.messaging.streams import WireRole
from shared.messaging.tracks import CONTENT, act_of, key_of, name_unread, named_of, role_of, track_of

ORIGIN, AGENCY = "hotline-a.example", "police-a.example"


@pytest.mark.parametrize("message", CATALOG.messages, ids=lambda message: message.name)
def test_every_message_has_a_role(message: MessageType) -> None:
    of_parties = message.family in BETWEEN_PARTIES
    assert (role_of(message) in {WireRole.STATE, WireRole.ANSWER, WireRole.WITHDRAWAL}) is of_parties


def test_both_parties_of_a_subject_have_the_same_track() -> None:
    subject = uuid7()
    tracks = {
        track_of(REFERRAL_OFFERED, ORIGIN, AGENCY, subject=subject),
        track_of(REFERRAL_WITHDRAWN, ORIGIN, AGENCY, subject=subject),
        track_of(CASE_ACCEPTED, AGENCY, ORIGIN, subject=subject),
    }
    assert tracks == {key_of(ORIGIN, AGENCY, subject=subject)}


def test_a_track_is_that_of_one_owner_one_other_party_and_one_subject() -> None:
    subject = uuid7()
    tracks = [
        track_of(REFERRAL_OFFERED, ORIGIN, AGENCY, subject=subject),
        track_of(REFERRAL_OFFERED, AGENCY, ORIGIN, subject=subject),
        track_of(REFERRAL_OFFERED, ORIGIN, "police-b.example", subject=subject),
        track_of(REFERRAL_OFFERED, ORIGIN, AGENCY, subject=uuid7()),
    ]
    assert len(set(tracks)) == 4


def test_a_track_keeps_the_day_of_its_subject_and_nothing_else_of_it() -> None:
    subject = uuid7()
    track = track_of(NOTICE_ISSUED, ORIGIN, AGENCY, subject=subject)
    assert track is not None
    assert (track.version, track.int >> 80) == (8, subject.int >> 80)
    assert track.int & (1 << 62) - 1 != subject.int & (1 << 62) - 1


def test_a_fact_has_no_track() -> None:
    named = named_of(
        uuid7(), REFERRAL_DECIDED, sender="hotline", recipient="audit", subject=uuid7(), clear={"act": str(uuid4())}
    )
    assert (named.role, named.subject, named.acts) == (WireRole.FACT, None, ())


def test_an_edge_is_one_act_a_revision_and_an_act_is_itself() -> None:
    message_id, edge_id, act = uuid7(), uuid4(), uuid4()
    first = act_of(message_id, {"edge_id": str(edge_id), "revision": 1})
    assert act_of(uuid7(), {"edge_id": str(edge_id)}) == first
    assert act_of(uuid7(), {"edge_id": str(edge_id), "revision": 2}) != first
    assert act_of(message_id, {"act": str(act), "edge_id": str(edge_id)}) == act
    assert act_of(message_id, {}) == message_id


def test_the_name_of_an_edge_has_content_and_that_of_an_answer_has_none() -> None:
    subject, clear = uuid7(), {"edge_id": str(uuid4()), "revision": 3}
    edge = named_of(uuid7(), REFERRAL_OFFERED, sender=ORIGIN, recipient=AGENCY, subject=subject, clear=clear)
    assert (edge.revision, edge.content, edge.kind) == (1, CONTENT, "referral_offered")
    answer = named_of(
        uuid7(), CASE_ACCEPTED, sender=AGENCY, recipient=ORIGIN, subject=subject, clear={"act": str(uuid4())}
    )
    assert (answer.revision, answer.content) == (None, None)


def test_a_message_of_a_later_version_has_the_track_of_its_name_and_an_unknown_one_has_none() -> None:
    subject = uuid7()
    later = name_unread(
        uuid7(), "causeway.case_accepted.v9", CATALOG, sender=AGENCY, recipient=ORIGIN, subject=subject, clear={}
    )
    assert (later.role, later.subject) == (WireRole.ANSWER, track_of(CASE_ACCEPTED, AGENCY, ORIGIN, subject=subject))
    unknown = name_unread(
        uuid7(), "causeway.case_sung_about.v1", CATALOG, sender=AGENCY, recipient=ORIGIN, subject=subject, clear={}
    )
    assert (unknown.role, unknown.subject, unknown.kind) == (WireRole.FACT, None, "unknown")


def test_ids_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        act_of(uuid7(), {"act": "x"})
