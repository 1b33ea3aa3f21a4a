"""Documents take effect only when two different approvers have signed them, and in the signed form."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.directory.approval import approve_document, document_body, sign_approval
from deploy.policy import sample_policy
from shared.core.canonical import digest
from shared.core.contracts.directory import Approval, DocumentActivated
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.core.routing.documents import ApproverKey, approval_message, verify_document

BODY = document_body(sample_policy())
ACTIVE_FROM = datetime(2026, 3, 14, 12, 0, 0, 123_456, tzinfo=UTC)
KEYS = {name: SigningKey(bytes([number]) * 32) for number, name in enumerate(("first.example", "second.example"), 1)}
TRUSTED = {key.key_id: ApproverKey(name, b64decode(key.verify_key.text())) for name, key in KEYS.items()}


def approved(**changes: Any) -> DocumentActivated:
    document = approve_document("policy", BODY, active_from=ACTIVE_FROM, approvers=KEYS)
    return document.model_copy(update=changes)


FIRST, SECOND = approved().approvals
THIRD = SigningKey(bytes([4]) * 32)


def key(name: str, of: str) -> ApproverKey:
    """Return the public key of one approver under the name of another."""
    return ApproverKey(name, b64decode(KEYS[of].verify_key.text()))


#: Trusts other than the two approvers': two keys of one approver, one key under two names, and a third approver.
ONE_NAME = {each.key_id: key("first.example", of) for of, each in KEYS.items()}
ONE_KEY = TRUSTED | {SECOND.key_id: key("second.example", "first.example")}
THREE = TRUSTED | {THIRD.key_id: ApproverKey("fourth.example", b64decode(THIRD.verify_key.text()))}


def as_(approval: Approval, **changes: str) -> Approval:
    return approval.model_copy(update=changes)


def test_two_approvals_make_a_document_valid_also_when_read_back_from_its_message() -> None:
    verify_document(approved(), BODY, TRUSTED)
    verify_document(DocumentActivated.model_validate_json(approved().model_dump_json()), BODY, TRUSTED)


def test_a_body_with_one_byte_changed_is_refused() -> None:
    with pytest.raises(Refused, match="document_digest_mismatched"):
        verify_document(approved(), BODY.replace(b"2026", b"2027", 1), TRUSTED)


def test_a_single_approver_cannot_make_a_document() -> None:
    with pytest.raises(ValidationError):
        approve_document("policy", BODY, active_from=ACTIVE_FROM, approvers={"first.example": KEYS["first.example"]})


@pytest.mark.parametrize(
    ("changes", "code", "trusted"),
    [
        # An approval is of one time and one kind.
        ({"active_from": ACTIVE_FROM + timedelta(seconds=1)}, "approval_invalid", TRUSTED),
        ({"kind": "directory"}, "approval_invalid", TRUSTED),
        # One approver twice, two keys of one approver, and one key under two names are not two approvers.
        ({"approvals": (FIRST, FIRST)}, "approvers_too_few", TRUSTED),
        ({"approvals": (FIRST, as_(SECOND, approver="first.example"))}, "approvers_too_few", ONE_NAME),
        (
            {"approvals": (FIRST, as_(FIRST, approver="second.example", key_id=SECOND.key_id))},
            "approvers_too_few",
            ONE_KEY,
        ),
        (
            {"approvals": (FIRST, SECOND, as_(FIRST, approver="third.example"))},
            "approver_unknown at /approvals/2",
            TRUSTED,
        ),
        # A signature is its approver's, and has one spelling: 64 bytes, no unused bits in the last character.
        *(
            (
                {"approvals": (FIRST, as_(SECOND, signature=spelt))},
                "approval_invalid at /approvals/1/signature",
                TRUSTED,
            )
            for spelt in (
                FIRST.signature,
                *(f"{SECOND.signature}{more}" for more in ("A", "AA", "AAAA")),
                f"{SECOND.signature[:-1]}B",
            )
        ),
    ],
)
def test_what_two_approvers_have_not_approved_so_is_refused(
    changes: dict[str, Any], code: str, trusted: dict[str, ApproverKey]
) -> None:
    with pytest.raises(Refused, match=code):
        verify_document(approved(**changes), BODY, trusted)


def of_a_later_suite(approver: str) -> Approval:
    """Return an approval as a later release may sign it: a key id that names its suite, and a longer signature."""
    return Approval(approver=approver, key_id=f"mldsa65-{'7' * 32}", signature="A" * 4412)


def of_a_stranger(approver: str) -> Approval:
    stranger = SigningKey(bytes([3]) * 32)
    return sign_approval(approver, stranger, approval_message("policy", digest(BODY), ACTIVE_FROM))


@pytest.mark.parametrize("unknown", [of_a_later_suite, of_a_stranger])
def test_an_approval_by_an_unknown_key_is_passed_over_and_never_counts(unknown: Callable[[str], Approval]) -> None:
    for name in ("first.example", "third.example"):
        verify_document(approved(approvals=(unknown(name), FIRST, SECOND)), BODY, TRUSTED)
    others = (unknown("second.example"), unknown("third.example"), of_a_later_suite("second.example"))
    for few in ((FIRST, *others), (SECOND, *others), others, (FIRST, others[0], FIRST)):
        with pytest.raises(Refused, match="approvers_too_few"):
            verify_document(approved(approvals=few), BODY, TRUSTED)
    false = sign_approval("fourth.example", THIRD, b"another document")
    with pytest.raises(Refused, match="approval_invalid at /approvals/3/signature"):
        verify_document(approved(approvals=(others[1], FIRST, SECOND, false)), BODY, THREE)
