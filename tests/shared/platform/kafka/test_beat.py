"""The document heartbeat: its signer, its age, and its lack of other effects."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.directory.approval import document_body, sign_beat
from shared.core.contracts.directory import Beat, PublicKey
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.platform.kafka.documents import BeatMonitor
from tests.shared.core.routing.builders import directory_document, hotline, permit, policy_document
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

KEY, STRANGER = SigningKey(b"5" * 32), SigningKey(b"6" * 32)
EARLIER = NOW - timedelta(days=1)


def shelf() -> DocumentStore:
    public = tuple(
        PublicKey(key_id=key.key_id, use="sign", suite="ed25519", public=key.verify_key.text(), valid_from=EARLIER)
        for key in (KEY,)
    )
    directory = directory_document(hotline("hotline-nl.example", "NL")).model_copy(update={"beat_keys": public})
    filled = DocumentStore()
    filled.directories.place(read_directory(document_body(directory)), EARLIER)
    filled.policies.place(read_policy(document_body(policy_document(permit("one")))), EARLIER)
    return filled


def beat(at: datetime = NOW, *, key: SigningKey = KEY, policy: int = 1, other: str = "") -> bytes:
    """Return a heartbeat that names the shelf's documents, or an unknown document of the kind `other`."""
    here = shelf()
    digests = {"directory": here.directories.active(NOW).digest, "policy": here.policies.active(NOW).digest}
    digests |= {other: "e" * 64} if other else {}
    named: dict[str, Any] = {"directory": (1, digests["directory"]), "policy": (policy, digests["policy"])}
    return sign_beat(Beat.model_validate({"at": at} | named), key).model_dump_json().encode()


def test_a_beat_is_as_old_as_it_says_and_one_sent_again_makes_nobody_younger() -> None:
    clock = ManualClock(NOW)
    watch = BeatMonitor(shelf(), clock)
    watch.receive(beat())
    clock.advance(4 * 60)
    assert (watch.age_s(), watch.reason()) == (240.0, "")
    watch.receive(beat(NOW - timedelta(hours=1)))
    assert watch.age_s() == 240.0, "a repeated one does not change the age"
    watch.receive(beat())
    clock.advance(2 * 60)
    assert (watch.age_s(), watch.reason()) == (360.0, "beat_late")
    watch.receive(beat(clock.now()))
    assert (watch.age_s(), watch.reason()) == (0.0, "")


def test_without_a_first_beat_the_age_counts_from_the_start_and_nothing_is_said() -> None:
    clock = ManualClock(NOW)
    watch = BeatMonitor(shelf(), clock)
    clock.advance(6 * 60)
    assert (watch.age_s(), watch.reason()) == (360.0, "")


def test_where_the_directory_names_no_beat_key_nobody_promises_beats() -> None:
    clock = ManualClock(NOW)
    documents = shelf()
    watch = BeatMonitor(documents, clock)
    watch.receive(beat())
    without = directory_document(hotline("hotline-nl.example", "NL"), version=2)
    documents.directories.place(read_directory(document_body(without)), NOW)
    clock.advance(6 * 86400)
    assert watch.reason() == ""


def test_a_beat_that_names_a_later_version_says_that_this_instance_is_behind() -> None:
    watch = BeatMonitor(shelf(), ManualClock(NOW))
    watch.receive(beat(policy=2))
    assert watch.reason() == "documents_behind"


@pytest.mark.parametrize("kind", ["directory", "policy"])
def test_a_beat_that_names_another_document_under_the_same_version_says_that_they_differ(kind: str) -> None:
    watch = BeatMonitor(shelf(), ManualClock(NOW))
    watch.receive(beat(other=kind))
    assert watch.reason() == "documents_differ"
    watch.receive(beat(NOW + timedelta(seconds=1)))
    assert watch.reason() == ""


def test_a_beat_that_names_what_was_in_force_before_says_nothing() -> None:
    """The signer of the heartbeat may be behind; the instance is not."""
    documents = shelf()
    watch = BeatMonitor(documents, ManualClock(NOW))
    documents.policies.place(read_policy(document_body(policy_document(permit("one"), version=2))), EARLIER)
    watch.receive(beat())
    assert watch.reason() == ""


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (beat(key=STRANGER), "beat_key_unknown"),
        (beat(EARLIER - timedelta(seconds=1)), "beat_key_unknown"),
        (beat(NOW + timedelta(minutes=6)), "beat_time_off"),
        (beat(policy=2).replace(b'"policy":[2', b'"policy":[3'), "beat_signature_invalid"),
        (b"{}", "beat_malformed"),
        (b"\xff", "beat_malformed"),
    ],
)
def test_a_beat_that_does_not_hold_is_refused_and_changes_nothing(value: bytes, code: str) -> None:
    clock = ManualClock(NOW)
    watch = BeatMonitor(shelf(), clock)
    clock.advance(30)
    with pytest.raises(Refused, match=code):
        watch.receive(value)
    assert watch.age_s() == 30.0


def test_a_beat_before_the_first_directory_is_believed_by_nobody() -> None:
    with pytest.raises(Unavailable):
        BeatMonitor(DocumentStore(), ManualClock(NOW)).receive(beat())
