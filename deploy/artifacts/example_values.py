"""What the examples say: for each schema accepted values, and refusals that change one thing in one of them."""

from __future__ import annotations

from typing import Any

from deploy.artifacts import (
    example_answers,
    example_contacts,
    example_delivery,
    example_holds,
    example_passing,
    example_preservation,
    example_questions,
    example_transfers,
)
from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_ID, _NOTICE = str(world.REFERRAL_ID), str(world.NOTICE_ID)
_EFFECTIVE = "2026-05-04T13:30:00.000Z"
_ACT = "7f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"
_REFERRAL, _NOTICE_ONLY = {"referral_id": _ID}, {"notice_id": _NOTICE}
_ON_REFERRAL = _REFERRAL | {"revision": 1, "act": _ACT, "number": 1}
_ON_NOTICE = _NOTICE_ONLY | {"act": _ACT, "number": 1}
_REMOVED = {"n": 1, "round": 1, "action": "removed", "effective_at": _EFFECTIVE}
_KEPT = {"retention": "us_1y", "basis": "accepted_case", "until": "2027-05-04"}


def _clear(**members: Any) -> dict[str, Any]:
    return members


def _decided(**changed: str) -> dict[str, Any]:
    [told] = world.decided()[0]["decisions"]
    return _clear(decisions=[told | changed])


def _reports() -> dict[str, Any]:
    """A provider's own filing: an account and a conversation at its service, seen by nobody yet."""
    return {
        "incident_kind": "enticement",
        "observed_at": "2026-05-04T09:15:00.000Z",
        "media_kind": "text",
        "viewed_by": "automated_only",
        "priority": {"level": "p1_urgent", "basis": ["ongoing_abuse"]},
        "actionable": {"status": "incomplete", "missing": ["user_jurisdiction"]},
        "items": [{"locator": {"kind": "message", "value": "room-12/204881"}, "site_type": "messaging"}],
        "subject_accounts": [
            {
                "service": world.PROVIDER,
                "account": "u-90417",
                "events": [{"ip": "192.0.2.17", "at": "2026-05-04T09:10:00.000Z", "kind": "login"}],
            }
        ],
        "correlations": [{"system": "xarf", "ref": "f81d4fae"}],
        "external_ref": "TS-88213",
        "exercise": True,
    }


ACCEPTED: dict[str, dict[str, Any]] = {
    "referral_offered.v1": {
        "investigation": world.clear_to(world.AGENCY),
    },
    "referral_offered.v1.sealed": {"whole": world.sealed_to(world.AGENCY)},
    "referral_withdrawn.v1": {"filed-in-error": _clear(**_REFERRAL, revision=1, act=_ACT, reason="filed_in_error")},
    "withdrawal_acknowledged.v1": {
        "erased": _clear(**_ON_REFERRAL, fate="erased"),
        "kept": _clear(**_ON_REFERRAL | {"number": 3}, fate="kept", kept=_KEPT),
    },
    "record_erased.v1": {"kept-until-then": _clear(**_ON_REFERRAL | {"number": 4}, fate="erased")},
    "notice_issued.v1": {"takedown": world.clear_to(world.PROVIDER)},
    "notice_issued.v1.sealed": {"one-item": world.sealed_to(world.PROVIDER)},
    "notice_withdrawn.v1": {"not-illegal": _clear(**_NOTICE_ONLY, act=_ACT, reason="not_illegal")},
    "notice_withdrawal_acknowledged.v1": {"erased": _clear(**_ON_NOTICE, fate="erased")},
    "notice_record_erased.v1": {"kept-until-then": _clear(**_ON_NOTICE | {"number": 3}, fate="erased")},
    "notice_acknowledged.v1": {"in-hand": _clear(**_ON_NOTICE)},
    "notice_answered.v1": {
        "removed-and-preserved": _clear(**_ON_NOTICE, items=[_REMOVED, _REMOVED | {"action": "preserved"}]),
        "one-of-each": _clear(
            **_ON_NOTICE | {"number": 2},
            items=[
                _REMOVED | {"n": 2},
                {"n": 1, "round": 1, "rejection": "not_found", "reason": "link_expired"},
            ],
        ),
    },
    "notice_not_ours.v1": {
        "nobody-suggested": _clear(**_ON_NOTICE, disowned=[{"n": 1}]),
        "party-suggested": _clear(**_ON_NOTICE, disowned=[{"n": 1, "suggested": "host.example"}, {"n": 2}]),
    },
    "case_accepted.v1": {"taken-on": _clear(**_ON_REFERRAL)},
    "case_accepted.v1.sealed": {"reference": {"case_reference": "PL-2026/00317"}},
    "case_declined.v1": {"not-our-jurisdiction": _clear(**_ON_REFERRAL, reason="not_our_jurisdiction")},
    "outcome_reported.v1": {
        "arrest": _clear(**_ON_REFERRAL, outcome="arrest", child_identified="yes", child_safeguarded="yes"),
        "closed": _clear(
            **_ON_REFERRAL | {"number": 2},
            outcome="closed",
            close_reason="subject_not_located",
            child_identified="unknown",
            child_safeguarded="unknown",
        ),
    },
    **example_holds.ACCEPTED,
    **example_passing.ACCEPTED,
    **example_contacts.ACCEPTED,
    **example_transfers.ACCEPTED,
    **example_questions.ACCEPTED,
    **example_answers.ACCEPTED,
    "referral_decided.v1": {
        "routed": _decided(),
        "unknown-code": _decided(disposition="unknown_code"),
    },
    "referral_decided.v1.sealed": {
        "routed": world.decided()[1],
        "unknown-code": {
            "decisions": [
                world.decided()[1]["decisions"][0]
                | {"work_reason": "unknown_jurisdiction", "edges": [], "recipients": []}
            ]
        },
    },
    "referral_refused.v1": {
        "guard": _clear(
            origin=world.ORIGIN, origin_kind="hotline", code="guard_rules_host_user", field="/items/0/locator/value"
        ),
    },
    "referral_reviewed.v1": {
        "released": _clear(origin=world.ORIGIN, outcome="released", filed_by="6e" * 16, by="5d" * 16),
        "expired": _clear(origin=world.ORIGIN, outcome="expired", filed_by="6e" * 16),
    },
    "record_revealed.v1": {"by-an-analyst": _clear(party=world.PROVIDER, role="analyst", actor="6e" * 16)},
    **example_delivery.ACCEPTED,
    **example_preservation.ACCEPTED,
    "referral_submission.v1": {"hotline-url": world.submission(), "provider-message": _reports()},
    "directory.v1": {
        "five-parties": world.directory(),
        "with-unknown-member": world.directory() | {"not_known_yet": {"anything": [1]}, "requires": ["parties.asns"]},
    },
    "policy.v1": {
        "three-rules": world.policy(),
        "with-unknown-member": world.policy() | {"not_known_yet": "ignored", "requires": ["rules.hold_window_h"]},
    },
    "document_activated.v1": {"directory": world.activated("directory"), "policy": world.activated("policy")},
    "published_document.v1": {"directory": world.published("directory"), "policy": world.published("policy")},
    "signed_beat.v1": {"newest": world.beat()},
}

_EDGE = (
    Refusal("edge-in-the-clear", "/edge", {}),
    Refusal("due-without-zone", "/act_by", "2026-05-04T12:00:00.000"),
    Refusal("commitment-in-capitals", "/commitment", "AB" * 32),
)
_SEALED_EDGE = (
    Refusal("basis-missing", "/edge/basis", []),
    Refusal("party-id-malformed", "/edge/recipient", "Police NL"),
    Refusal("decided-at-without-zone", "/decision/decided_at", "2026-05-04T12:00:00.000"),
    Refusal("salt-too-short", "/salt", "5a"),
    Refusal("purpose-unlisted", "/edge/purpose", "curiosity"),
    Refusal("fact-unlisted", "/edge/facts/weather", "rain"),
    Refusal("no-items", "/record/items", []),
    Refusal("locator-kind-unlisted", "/record/items/0/locator/kind", "ftp"),
    Refusal("value-not-in-scheme", "/record/items/0/assessments/0/value", "A1", by="model"),
    Refusal("user-in-address", "/record/items/0/locator/value", "https://anna@files.example/41", by="guard"),
)
_UUID_FORM = Refusal("id-in-capitals", "/notice_id", _NOTICE.upper())
_REASON_UNLISTED = Refusal("reason-unlisted", "/reason", "because")
_FIELD = "/items/0/locator/value"

REFUSED: dict[str, tuple[Refusal, ...]] = {
    "referral_offered.v1": (*_EDGE, Refusal("revision-zero", "/revision", 0)),
    "referral_offered.v1.sealed": _SEALED_EDGE,
    "referral_withdrawn.v1": (_REASON_UNLISTED,),
    "withdrawal_acknowledged.v1": (
        Refusal("revision-as-text", "/revision", "1"),
        Refusal("fate-unlisted", "/fate", "lost"),
        Refusal("number-zero", "/number", 0),
        Refusal("kept-without-reason", "/kept", GONE, by="model", of="kept"),
        Refusal("erased-and-kept", "/fate", "erased", by="model", of="kept"),
        Refusal("until-as-time", "/kept/until", "2027-05-04T00:00:00Z", of="kept"),
    ),
    "record_erased.v1": (Refusal("kept-after-all", "/fate", "kept"),),
    "notice_issued.v1": _EDGE,
    "notice_issued.v1.sealed": (*_SEALED_EDGE, Refusal("language-too-long", "/record/language", "eng")),
    "notice_withdrawn.v1": (_REASON_UNLISTED, _UUID_FORM),
    "notice_withdrawal_acknowledged.v1": (_UUID_FORM,),
    "notice_record_erased.v1": (_UUID_FORM, Refusal("kept-after-all", "/fate", "kept")),
    "notice_acknowledged.v1": (_UUID_FORM,),
    "notice_answered.v1": (
        Refusal("no-items", "/items", []),
        Refusal("item-zero", "/items/0/n", 0),
        Refusal("no-round", "/items/0/round", GONE),
        Refusal("action-unlisted", "/items/0/action", "archived"),
        Refusal("rejection-unlisted", "/items/1/rejection", "because", of="one-of-each"),
        Refusal("time-as-number", "/items/0/effective_at", 1_777_900_000),
        Refusal("neither-acted-nor-rejected", "/items/0/action", GONE, by="model"),
        Refusal("acted-and-rejected", "/items/1/action", "removed", by="model", of="one-of-each"),
    ),
    "notice_not_ours.v1": (
        Refusal("suggested-malformed", "/disowned/0/suggested", "Some Host Ltd"),
        Refusal("no-items", "/disowned", []),
        Refusal("item-twice", "/disowned/1/n", 1, by="model", of="party-suggested"),
    ),
    "case_accepted.v1.sealed": (Refusal("reference-too-long", "/case_reference", "P" * 49),),
    "case_declined.v1": (_REASON_UNLISTED,),
    "outcome_reported.v1": (
        Refusal("answer-unlisted", "/child_identified", "maybe"),
        Refusal("close-reason-without-closed", "/close_reason", "unfounded", by="model"),
        Refusal("closed-without-reason", "/close_reason", GONE, by="model", of="closed"),
    ),
    **example_holds.REFUSED,
    **example_passing.REFUSED,
    **example_contacts.REFUSED,
    **example_transfers.REFUSED,
    **example_questions.REFUSED,
    **example_answers.REFUSED,
    "referral_decided.v1": (
        Refusal("disposition-unlisted", "/decisions/0/disposition", "lost"),
        Refusal("facts-in-the-clear", "/decisions/0/facts", {}),
        Refusal("no-decision", "/decisions", []),
    ),
    "referral_decided.v1.sealed": (
        Refusal("salt-too-short", "/decisions/0/salt", "5a"),
        Refusal("fact-unlisted", "/decisions/0/facts/weather", "rain"),
        Refusal("edge-without-digest", "/decisions/0/edges/0/3", "short"),
    ),
    "referral_refused.v1": (Refusal("field-not-a-pointer", "/field", "items[0]"),),
    "referral_reviewed.v1": (
        Refusal("outcome-unlisted", "/outcome", "forgotten"),
        Refusal("actor-named", "/filed_by", "anna"),
    ),
    "record_revealed.v1": (
        Refusal("role-unlisted", "/role", "owner"),
        Refusal("actor-named", "/actor", "anna"),
    ),
    **example_delivery.REFUSED,
    **example_preservation.REFUSED,
    "referral_submission.v1": (
        Refusal("no-items", "/items", []),
        Refusal("too-many-items", "/items", [world.submission()["items"][0]] * 11),
        Refusal("locator-kind-unlisted", "/items/0/locator/kind", "ftp", field="/items/0/locator"),
        Refusal("address-with-other-script", _FIELD, "https://files.example/für"),
        Refusal("hash-too-short", "/items/0/hashes/sha256", "0f" * 20),
        Refusal("time-without-zone", "/observed_at", "2026-05-04T10:00:00"),
        Refusal("exercise-in-words", "/exercise", "true"),
        Refusal("uncut-in-words", "/items/0/uncut", "yes"),
        Refusal("jurisdiction-in-digits", "/items/0/hosting/0/jurisdiction", "31"),
        Refusal(
            "value-not-in-scheme", "/items/0/assessments/0/value", "A1", by="model", field="/items/0/assessments/0"
        ),
        Refusal(
            "incomplete-without-missing",
            "/actionable/missing",
            GONE,
            by="model",
            field="/actionable",
            of="provider-message",
        ),
        Refusal("user-in-address", _FIELD, "https://anna@files.example/41", by="guard", code="guard_rules_host_user"),
        Refusal("port-impossible", _FIELD, "https://files.example:99999/41", by="guard", code="guard_rules_host_port"),
        Refusal(
            "control-escaped", _FIELD, "https://files.example/41%00", by="guard", code="guard_rules_control_character"
        ),
        Refusal(
            "ip-not-canonical",
            "/subject_accounts/0/events/0/ip",
            "2001:db8:0:0:0:0:0:1",
            by="guard",
            code="guard_rules_ip_not_canonical",
            of="provider-message",
        ),
        Refusal(
            "before-2000",
            "/observed_at",
            "1999-12-31T23:59:59.000Z",
            by="guard",
            code="guard_rules_instant_too_early",
        ),
    ),
    "directory.v1": (
        Refusal("no-parties", "/parties", []),
        Refusal("day-as-time", "/issued_on", "2026-05-01T00:00:00Z"),
        Refusal("kind-unlisted", "/instances/0/kind", "court"),
        Refusal("key-not-a-key", "/instances/0/keys/0/public", "secret"),
        Refusal("version-as-text", "/version", "1"),
        Refusal("valid-until-missing", "/valid_until", GONE),
        Refusal(
            "requires-unknown",
            "/requires",
            ["parties.not_known_yet"],
            by="index",
            code="document_requires_unknown",
            field="/requires/0",
        ),
    ),
    "policy.v1": (
        Refusal("operator-unlisted", "/rules/0/when/0/op", "like"),
        Refusal("fact-unlisted", "/rules/0/reads/0", "locator"),
        Refusal("deadline-of-years", "/rules/0/deadlines/act_h", 9000),
        Refusal("hold-for-ever", "/rules/0/hold_window_h", 9000),
        Refusal("instrument-without-source", "/instruments/0/source", GONE),
        Refusal("clock-never-reviewed", "/clocks/0/reviewed_on", GONE),
        Refusal("source-with-address", "/calendars/0/source", "http//elsewhere.example?x"),
        Refusal("reads-undeclared", "/rules/0/reads", ["providers"], by="index", code="rule_reads_undeclared"),
        Refusal(
            "permit-without-purpose", "/rules/0/purpose", GONE, by="index", code="rule_incomplete", field="/rules/0"
        ),
    ),
    "document_activated.v1": (
        Refusal("one-approval", "/approvals", world.activated("policy")["approvals"][:1]),
        Refusal("kind-unlisted", "/kind", "law"),
        Refusal("signature-too-short", "/approvals/0/signature", "AAAA"),
    ),
    "published_document.v1": (
        Refusal("one-approval", "/activated/approvals", world.activated("policy")["approvals"][:1]),
        Refusal("body-not-base64", "/body", '{"version":1}'),
    ),
    "signed_beat.v1": (
        Refusal("digest-in-capitals", "/beat/policy/1", "AB" * 32),
        Refusal("time-without-zone", "/beat/at", "2026-05-04T12:00:00"),
    ),
}
