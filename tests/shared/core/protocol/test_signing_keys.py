"""Keys that prove a record: those of its writer under the directory at the broker's time, unless revoked since."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.core.contracts.directory import Directory, PublicKey
from shared.core.envelope.keys import SigningKey
from shared.core.protocol.sender_verification import SigningKeys
from shared.core.routing.documents import DocumentStore
from tests.shared.core.protocol.wrong_records import with_keys
from tests.support.builders import AT
from tests.support.exchange_world import World, public_key, world
from tests.support.manual_clock import ManualClock

LAPSED, REVOKED, FOREIGN, UNKNOWN = (SigningKey.generate() for _ in range(4))
MINUTE = timedelta(minutes=1)


def added(document: Directory, instance: str, *keys: PublicKey, version: int = 2) -> Directory:
    """Return the directory with further keys of an instance."""
    instances = tuple(
        each.model_copy(update={"keys": (*each.keys, *keys)}) if each.id == instance else each
        for each in document.instances
    )
    return document.model_copy(update={"version": version, "instances": instances})


@pytest.fixture(scope="module")
def here() -> World:
    there = world()
    lapsed = public_key(LAPSED.verify_key, "sign", valid_to=AT - timedelta(days=1))
    revoked = public_key(REVOKED.verify_key, "sign").model_copy(update={"revoked_at": AT + timedelta(days=1)})
    document = added(there.document, "hotline", lapsed, revoked)
    there.place(added(document, "industry", public_key(FOREIGN.verify_key, "sign")), AT - timedelta(days=3))
    return there


def counts(here: World, key: SigningKey, *, at: datetime = AT, now: datetime = AT) -> bool:
    """Return whether the key proves a record of the hotline's instance that the broker received at `at`."""
    found = SigningKeys(here.shelf.directories, ManualClock(now))("hotline", key.verify_key.key_id, at)
    return found is not None and found.text() == key.verify_key.text()


def test_the_writers_own_key_counts_and_no_other(here: World) -> None:
    assert counts(here, here.keys["hotline"].signing)
    assert not counts(here, FOREIGN)
    assert not counts(here, here.keys["industry"].signing)
    assert not counts(here, UNKNOWN)


def test_a_key_that_was_valid_when_the_broker_took_the_record_still_counts(here: World) -> None:
    assert counts(here, LAPSED, at=AT - timedelta(days=2))
    assert not counts(here, LAPSED)


def test_a_key_that_is_revoked_counts_at_no_time(here: World) -> None:
    """A login that can set the broker's time back cannot use a stolen key."""
    for at in (AT, AT - timedelta(days=2)):
        assert not counts(here, REVOKED, at=at)


def test_a_key_that_the_directory_of_now_has_revoked_does_not_count() -> None:
    there, key = world(), SigningKey.generate()
    named = public_key(key.verify_key, "sign")
    there.place(added(there.document, "hotline", named), AT - timedelta(days=3))
    assert counts(there, key)
    revoked = named.model_copy(update={"revoked_at": AT})
    there.place(added(there.document, "hotline", revoked, version=3), AT)
    assert not counts(there, key, at=AT - MINUTE)
    assert counts(there, key, at=AT - MINUTE, now=AT - MINUTE)  # before it was


def test_a_key_that_ran_out_counts_again_once_the_directory_extends_it() -> None:
    """Sent bytes cannot change. After an outage longer than the key's validity, only the directory can be corrected."""
    there = world()
    document, key = there.document, there.keys["hotline"].signing
    for valid_to, placed_at, does_count in (
        (AT - timedelta(hours=1), AT - 3 * MINUTE, False),
        (AT + timedelta(hours=1), AT - 2 * MINUTE, True),
    ):
        document = with_keys(document, "hotline", "", valid_to=valid_to)
        there.place(document, placed_at)
        assert counts(there, key) is does_count


def test_without_a_directory_no_key_counts(here: World) -> None:
    keys = SigningKeys(DocumentStore().directories, ManualClock(AT))
    assert keys("hotline", here.keys["hotline"].signing.verify_key.key_id, AT) is None
    assert not counts(here, here.keys["hotline"].signing, at=datetime(2020, 1, 1, tzinfo=AT.tzinfo))
