"""Which document is active when, and which digest a recipient accepts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.directory import DocumentActivated
from shared.kernel.canonical import canonical_json, digest
from shared.kernel.errors import Refused, Unavailable
from shared.routing.shelf import DocumentShelf
from tests.shared.routing.builders import AT, directory_document, hotline, permit, policy_document

OLD, NEW = (canonical_json(policy_document(permit(name)).model_dump(mode="json")) for name in ("old", "new"))
DIRECTORY = canonical_json(directory_document(hotline("hotline-nl.example", "NL")).model_dump(mode="json"))
DAY = timedelta(days=1)


def activated(body: bytes, active_from: Any = AT, kind: str = "policy", **more: Any) -> DocumentActivated:
    approvals = [
        {"approver": name, "key_id": f"ed25519-{'0' * 32}", "signature": "A" * 86}
        for name in ("one.example", "two.example")
    ]
    document = {"kind": kind, "digest": digest(body), "active_from": active_from, "approvals": approvals}
    return DocumentActivated.model_validate(document | more)


def shelf_of(*placed: tuple[bytes, Any]) -> DocumentShelf:
    shelf = DocumentShelf()
    for body, active_from in placed:
        shelf.place(activated(body, active_from), body)
    return shelf


def test_the_document_that_took_effect_last_is_active() -> None:
    shelf = shelf_of((NEW, AT), (OLD, AT - DAY))
    assert shelf.policies.active(AT - timedelta(milliseconds=1)).digest == digest(OLD)
    assert shelf.policies.active(AT).digest == digest(NEW)


def test_before_the_first_document_nothing_is_decided_yet() -> None:
    with pytest.raises(Unavailable, match="document_unknown"):
        shelf_of((OLD, AT)).policies.active(AT - timedelta(milliseconds=1))


def test_of_two_documents_for_one_time_the_later_placed_is_active() -> None:
    assert shelf_of((OLD, AT), (NEW, AT)).policies.active(AT).digest == digest(NEW)
    assert shelf_of((NEW, AT), (OLD, AT)).policies.active(AT).digest == digest(OLD)


def test_reading_the_documents_again_changes_nothing() -> None:
    shelf = shelf_of((OLD, AT), (NEW, AT), (OLD, AT))
    assert shelf.policies.active(AT).digest == digest(NEW)


def test_a_digest_not_seen_yet_is_waited_for() -> None:
    with pytest.raises(Unavailable, match="document_unknown"):
        shelf_of((OLD, AT)).policies.get(digest(NEW), AT)


@pytest.mark.parametrize(
    ("body", "after_s", "accepted"),
    [
        (OLD, -60, True),
        (OLD, 0, True),
        (OLD, 299, True),
        (OLD, 300, False),
        (NEW, -301, False),
        (NEW, -300, True),
        (NEW, 10**8, True),
    ],
)
def test_a_digest_is_accepted_within_five_minutes_of_its_time_in_force(
    body: bytes, after_s: int, accepted: bool
) -> None:
    shelf = shelf_of((OLD, AT - DAY), (NEW, AT))
    if accepted:
        assert shelf.policies.get(digest(body), AT + timedelta(seconds=after_s)).digest == digest(body)
        return
    with pytest.raises(Refused, match="document_lapsed"):
        shelf.policies.get(digest(body), AT + timedelta(seconds=after_s))


def test_a_document_that_returns_is_in_force_again() -> None:
    shelf = shelf_of((OLD, AT - DAY), (NEW, AT), (OLD, AT + DAY))
    assert shelf.policies.active(AT + DAY).digest == digest(OLD)
    assert shelf.policies.get(digest(OLD), AT + 2 * DAY).digest == digest(OLD)
    with pytest.raises(Refused, match="document_lapsed"):
        shelf.policies.get(digest(OLD), AT + DAY / 2)


def test_a_document_replaced_at_the_moment_it_took_effect_was_never_in_force() -> None:
    with pytest.raises(Refused, match="document_lapsed"):
        shelf_of((OLD, AT), (NEW, AT)).policies.get(digest(OLD), AT)


def test_a_body_other_than_the_one_approved_is_refused() -> None:
    with pytest.raises(Refused, match="document_digest_mismatched"):
        DocumentShelf().place(activated(OLD), NEW)


def test_a_directory_is_not_placed_among_the_policies() -> None:
    shelf = DocumentShelf()
    shelf.place(activated(DIRECTORY, kind="directory"), DIRECTORY)
    assert shelf.directories.active(AT).digest == digest(DIRECTORY)
    with pytest.raises(Refused, match="document_invalid"):
        shelf.place(activated(DIRECTORY), DIRECTORY)
    with pytest.raises(Unavailable):
        shelf.policies.active(AT)
