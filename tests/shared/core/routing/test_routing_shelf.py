"""The document that is active at a given time, and the digests that a recipient accepts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from shared.core.canonical import canonical_json, digest
from shared.core.contracts.directory import DocumentActivated
from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import DocumentStore, read_policy
from shared.core.routing.edition import DocumentVersion
from tests.shared.core.routing.builders import AT, directory_document, hotline, permit, policy_document

OLD, NEW, OTHER_NEW = (
    canonical_json(policy_document(permit(name), version=version).model_dump(mode="json"))
    for name, version in (("old", 1), ("new", 2), ("other", 2))
)
DIRECTORY = canonical_json(directory_document(hotline("hotline-nl.example", "NL")).model_dump(mode="json"))
DAY = timedelta(days=1)


def activated(body: bytes, active_from: Any = AT, kind: str = "policy", **more: Any) -> DocumentActivated:
    approvals = [
        {"approver": name, "key_id": f"ed25519-{'0' * 32}", "signature": "A" * 86}
        for name in ("one.example", "two.example")
    ]
    document = {"kind": kind, "digest": digest(body), "active_from": active_from, "approvals": approvals}
    return DocumentActivated.model_validate(document | more)


def shelf_of(*placed: tuple[bytes, Any]) -> DocumentStore:
    shelf = DocumentStore()
    for body, active_from in placed:
        shelf.place(activated(body, active_from), body)
    return shelf


@pytest.mark.parametrize(
    ("placed", "after", "active"),
    [
        ([(NEW, AT), (OLD, AT - DAY)], timedelta(milliseconds=-1), OLD),
        ([(NEW, AT), (OLD, AT - DAY)], timedelta(0), NEW),
        ([(OLD, AT), (NEW, AT)], timedelta(0), NEW),
        ([(NEW, AT), (OLD, AT)], timedelta(0), NEW),
        ([(OLD, AT), (NEW, AT), (OLD, AT)], timedelta(0), NEW),
    ],
    ids=["until the next", "from its time", "a later version", "in any order", "read again"],
)
def test_the_document_that_took_effect_last_is_active(
    placed: list[tuple[bytes, Any]], after: timedelta, active: bytes
) -> None:
    assert shelf_of(*placed).policies.active(AT + after).digest == digest(active)


def test_before_the_first_document_nothing_is_decided_yet() -> None:
    with pytest.raises(Unavailable, match="document_unknown"):
        shelf_of((OLD, AT)).policies.active(AT - timedelta(milliseconds=1))


def test_of_one_version_only_the_first_to_take_effect_is_ever_in_force() -> None:
    for order in ((NEW, OTHER_NEW), (OTHER_NEW, NEW)):
        times = {NEW: AT, OTHER_NEW: AT + DAY}
        shelf = shelf_of((OLD, AT - DAY), *((body, times[body]) for body in order))
        assert shelf.policies.active(AT + 2 * DAY).digest == digest(NEW)
        with pytest.raises(Refused, match="document_lapsed"):
            shelf.policies.get(digest(OTHER_NEW), AT + 2 * DAY)


def test_a_document_whose_version_is_not_above_says_so_when_it_is_placed() -> None:
    shelf = DocumentStore()
    assert shelf.place(activated(NEW, AT), NEW)
    assert not shelf.place(activated(OLD, AT + DAY), OLD)
    assert shelf.policies.active(AT + 2 * DAY).digest == digest(NEW)


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


def test_a_document_does_not_return_and_the_same_law_under_a_higher_version_does() -> None:
    shelf = shelf_of((OLD, AT - DAY), (NEW, AT), (OLD, AT + DAY))
    assert shelf.policies.active(AT + DAY).digest == digest(NEW)
    again = canonical_json(policy_document(permit("old"), version=3).model_dump(mode="json"))
    shelf.place(activated(again, AT + DAY), again)
    assert shelf.policies.active(AT + DAY).digest == digest(again)


def test_a_document_replaced_at_the_moment_it_took_effect_was_never_in_force() -> None:
    with pytest.raises(Refused, match="document_lapsed"):
        shelf_of((OLD, AT), (NEW, AT)).policies.get(digest(OLD), AT)


def test_a_body_other_than_the_one_approved_is_refused() -> None:
    with pytest.raises(Refused, match="document_digest_mismatched"):
        DocumentStore().place(activated(OLD), NEW)


def test_a_directory_is_not_placed_among_the_policies() -> None:
    shelf = DocumentStore()
    shelf.place(activated(DIRECTORY, kind="directory"), DIRECTORY)
    assert shelf.directories.active(AT).digest == digest(DIRECTORY)
    with pytest.raises(Refused, match="document_invalid"):
        shelf.place(activated(DIRECTORY), DIRECTORY)
    with pytest.raises(Unavailable):
        shelf.policies.active(AT)


@pytest.mark.parametrize("place", [(), ("rules", 0), ("rules", 0, "basis"), ("rules", 0, "select")])
def test_a_member_that_nobody_knows_yet_is_ignored_and_stays_in_the_digest(place: tuple[str | int, ...]) -> None:
    policy = policy_document(permit("one")).model_dump(mode="json")
    within: Any = policy
    for part in place:
        within = within[part]
    within["not_known_yet"] = {"anything": [1]}
    grown = canonical_json(policy)
    index = read_policy(grown)
    assert index.digest == digest(grown)
    assert [rule.id for rule in index.rules] == ["one"]


def test_a_member_that_must_be_known_keeps_the_document_out_until_it_is() -> None:
    policy = policy_document(permit("one")).model_dump(mode="json")
    known = policy | {"requires": ["rules.hold_window_h", "clocks", "rules.basis.article"]}
    assert read_policy(canonical_json(known)).rules
    unknown = known | {"requires": ["clocks", "rules.not_known_yet"]}
    with pytest.raises(Refused, match="document_requires_unknown at /requires/1"):
        read_policy(canonical_json(unknown))


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'"x"', b'{"requires":1}', b"null"])
def test_what_is_no_document_is_refused_without_its_text(body: bytes) -> None:
    with pytest.raises(Refused, match="document_invalid"):
        read_policy(body)


@pytest.mark.parametrize(
    ("days_before", "age"),
    [
        (91, "fresh"),
        (90, "ends_in_90d"),
        (31, "ends_in_90d"),
        (30, "ends_in_30d"),
        (7, "ends_in_7d"),
        (1, "ends_in_7d"),
        (0, "ended"),
        (-59, "ended"),
        (-60, "expired"),
    ],
)
def test_a_document_nears_its_end_in_steps(days_before: int, age: str) -> None:
    edition = DocumentVersion(1, date(2027, 12, 25), 60)
    on = edition.valid_until - timedelta(days=days_before)
    assert (edition.age(on), edition.days_left(on)) == (age, days_before)
