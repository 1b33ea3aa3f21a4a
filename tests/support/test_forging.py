"""The forging kit works: its records are accepted with the right key and refused with another."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from deploy.devstack.stack import DevStack
from deploy.policy import sample_policy
from deploy.site.access import kafka_access
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.core.protocol.accept import accept
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, UnreadableRecord, Verified
from shared.messaging.streams import Lane
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import FROM_HOTLINE, INSTANCES, World, world
from tests.support.forging import forge, forged, installed_world, write
from tests.support.kafka_records import read_partition
from tests.support.wire_records import Streams, Written

AGENCIES = "law_enforcement"


@pytest.fixture(scope="module")
def here() -> World:
    return world()


def offer(here: World, *, instance: str = "hotline", key: SigningKey | None = None) -> list[Written]:
    """Return a forged offer to an agency: its proof and its message."""
    return forge(here, [here.offered(POLICE)], instance=instance, key=key)


def read(here: World, written: list[Written]) -> list[Verified]:
    """Return the recipient's verdicts on the records of one stream."""
    streams = Streams()
    verifier = PartitionVerifier(written[0].pair, written[0].lane, here.place_key)
    return verifier.verify([streams.raw(each, here.at) for each in written])


@pytest.mark.parametrize("owner", [None, *INSTANCES[1:]])
def test_a_forgery_with_another_key_is_refused(here: World, owner: str | None) -> None:
    """The key is unknown, or another instance's in the directory. The record gets no place in any stream."""
    key = SigningKey.generate() if owner is None else here.keys[owner].signing
    found = read(here, offer(here, key=key))
    assert [each.code for each in found if isinstance(each, UnreadableRecord)] == ["key_unknown", "proof_missing"]
    assert forged(here, [here.offered(POLICE)], instance="hotline", key=key) == []


def test_an_instance_cannot_forge_for_the_parties_of_another(here: World) -> None:
    [record] = forged(here, [here.offered(POLICE)], instance="industry")
    with pytest.raises(Refused) as refused:
        accept(record, here.reader(AGENCIES))
    assert (refused.value.code, refused.value.field) == ("sender_unknown", "ce_sender")


def test_a_forgery_takes_no_sequence_that_anybody_has(here: World) -> None:
    """Each forgery is in an incarnation of its own."""
    drafts = here.prepared().drafts
    written = [here.written(drafts), forge(here, drafts, instance="hotline"), forge(here, drafts, instance="hotline")]
    places = [
        {(each.place.incarnation, each.place.number) for stream in _streams(records) for each in _placed(here, stream)}
        for records in written
    ]
    assert all(places)
    assert len(set.union(*places)) == sum(map(len, places))


def _streams(written: list[Written]) -> list[list[Written]]:
    return [[each for each in written if (each.pair, each.lane) == one] for one in {(w.pair, w.lane) for w in written}]


def _placed(here: World, written: list[Written]) -> list[PlacedMessage]:
    return [each for each in read(here, written) if isinstance(each, PlacedMessage)]


def test_an_installations_instance_can_forge_whatever_its_own_parties_say(here: World, tmp_path: Path) -> None:
    for name, keys in here.keys.items():
        folder = tmp_path / "keys" / name
        folder.mkdir(parents=True)
        (folder / "signing.key").write_text(keys.signing.secret_text())
        (folder / "opening.key").write_text(keys.opening.secret_text())
    (tmp_path / "directory.json").write_text(here.document.model_dump_json(exclude_none=True))
    (tmp_path / "policy.json").write_text(sample_policy().model_dump_json(exclude_none=True))
    there = installed_world(tmp_path)
    [record] = forged(there, [there.offered(POLICE)], instance="hotline")
    received = accept(record, there.reader(AGENCIES))
    assert (received.sender, received.recipient, received.sender_instance) == (HOTLINE, POLICE, "hotline")


async def test_a_forgery_goes_through_a_login_that_may_write(stack: DevStack, here: World) -> None:
    hotline, agencies = (kafka_access(stack.endpoints, name) for name in ("hotline", AGENCIES))
    written = offer(here)
    offsets = await write(hotline, written)
    assert {each.topic for each in written} == {FROM_HOTLINE[AGENCIES]}
    found = {each.offset: each for each in await read_partition(agencies, FROM_HOTLINE[AGENCIES], Lane.ORDINARY)}
    appended = [found[offset] for offset in offsets]
    assert [(each.key, each.headers, each.value) for each in appended] == [tuple(each.record) for each in written]


async def test_a_login_keeps_its_limits_in_a_forgers_hands(stack: DevStack, here: World) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(kafka_access(stack.endpoints, "audit"), offer(here))
    with pytest.raises(TopicAuthorizationFailedError):
        await read_partition(kafka_access(stack.endpoints, "industry"), FROM_HOTLINE[AGENCIES], Lane.ORDINARY)
