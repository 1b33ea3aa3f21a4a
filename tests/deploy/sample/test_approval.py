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


def test_two_approvals_make_a_document_valid() -> None:
    verify_document(approved(), BODY, TRUSTED)


def test_a_document_read_back_from_its_message_is_still_valid() -> None:
    verify_document(DocumentActivated.model_validate_json(approved().model_dump_json()), BODY, TRUSTED)


def test_a_body_with_one_byte_changed_is_refused() -> None:
    with pytest.raises(Refused, match="document_digest_mismatched"):
        verify_document(approved(), BODY.replace(b"2026", b"2027", 1), TRUSTED)


@pytest.mark.parametrize(
    "changes", [{"active_from": ACTIVE_FROM + timedelta(seconds=1)}, {"kind": "directory"}], ids=["time", "kind"]
)
def test_an_approval_cannot_be_moved_to_another_time_or_kind(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="approval_invalid"):
        verify_document(approved(**changes), BODY, TRUSTED)


def test_one_approver_twice_is_not_two() -> None:
    first = approved().approvals[0]
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=(first, first)), BODY, TRUSTED)


def test_two_keys_of_one_approver_are_not_two_approvers() -> None:
    one_name = {key_id: ApproverKey("first.example", key.public) for key_id, key in TRUSTED.items()}
    approvals = tuple(each.model_copy(update={"approver": "first.example"}) for each in approved().approvals)
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=approvals), BODY, one_name)


def test_one_key_under_two_names_is_not_two_approvers() -> None:
    first, second = approved().approvals
    again = first.model_copy(update={"approver": "second.example", "key_id": second.key_id})
    same_key = TRUSTED | {second.key_id: ApproverKey("second.example", TRUSTED[first.key_id].public)}
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=(first, again)), BODY, same_key)


def test_a_single_approver_cannot_make_a_document() -> None:
    with pytest.raises(ValidationError):
        approve_document("policy", BODY, active_from=ACTIVE_FROM, approvers={"first.example": KEYS["first.example"]})


def of_a_later_suite(approver: str) -> Approval:
    """Return an approval as a later release may sign it: a key id that names its suite, and a longer signature."""
    return Approval(approver=approver, key_id=f"mldsa65-{'7' * 32}", signature="A" * 4412)


def of_a_stranger(approver: str) -> Approval:
    key = SigningKey(bytes([3]) * 32)
    return sign_approval(approver, key, approval_message("policy", digest(BODY), approved().active_from))


UNKNOWN = [of_a_later_suite, of_a_stranger]


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("name", ["first.example", "third.example"])
def test_an_approval_by_a_key_that_is_not_known_is_passed_over(unknown: Callable[[str], Approval], name: str) -> None:
    verify_document(approved(approvals=(unknown(name), *approved().approvals)), BODY, TRUSTED)


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("known", [0, 1])
def test_one_known_approval_beside_unknown_ones_is_too_few(unknown: Callable[[str], Approval], known: int) -> None:
    first, second = approved().approvals
    others = (unknown("second.example"), unknown("third.example"), of_a_later_suite("second.example"))
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=((first, second)[known], *others)), BODY, TRUSTED)
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=others), BODY, TRUSTED)


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_the_same_approver_twice_beside_unknown_ones_is_not_enough(
    unknown: Callable[[str], Approval],
) -> None:
    first = approved().approvals[0]
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(approved(approvals=(first, unknown("second.example"), first)), BODY, TRUSTED)


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_a_known_key_with_a_false_approval_refuses_what_two_approved(
    unknown: Callable[[str], Approval],
) -> None:
    third = SigningKey(bytes([4]) * 32)
    trusted = TRUSTED | {third.key_id: ApproverKey("fourth.example", b64decode(third.verify_key.text()))}
    bad = sign_approval("fourth.example", third, b"another document")
    with pytest.raises(Refused, match="approval_invalid at /approvals/3/signature"):
        verify_document(approved(approvals=(unknown("third.example"), *approved().approvals, bad)), BODY, trusted)


def test_a_known_key_under_a_name_that_is_not_its_own_refuses_the_document() -> None:
    first, second = approved().approvals
    named = first.model_copy(update={"approver": "third.example"})
    with pytest.raises(Refused, match="approver_unknown at /approvals/2"):
        verify_document(approved(approvals=(first, second, named)), BODY, TRUSTED)


@pytest.mark.parametrize("change", ["{0}A", "{0}AA", "{0}AAAA", "{1}B"])
def test_a_signature_of_a_known_key_has_one_spelling(change: str) -> None:
    """This holds regardless of a later suite's signatures: 64 bytes, without the unused bits of the last character."""
    first, second = approved().approvals
    spelt = change.format(second.signature, second.signature[:-1])
    with pytest.raises(Refused, match="approval_invalid at /approvals/1/signature"):
        verify_document(approved(approvals=(first, second.model_copy(update={"signature": spelt}))), BODY, TRUSTED)


def test_a_signature_of_one_approver_under_the_name_of_another_is_refused() -> None:
    first, second = approved().approvals
    swapped = (first, second.model_copy(update={"signature": first.signature}))
    with pytest.raises(Refused, match="approval_invalid at /approvals/1/signature"):
        verify_document(approved(approvals=swapped), BODY, TRUSTED)
