"""The forging kit works: what it makes is taken where the key is right, and refused where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from deploy.devstack.stack import DevStack
from deploy.policy import sample_policy
from deploy.site.access import kafka_access
from shared.envelope.headers import decode_headers
from shared.envelope.keys import SigningKey
from shared.exchange.accept import accept
from shared.exchange.message import Record
from shared.kernel.errors import Refused, Unavailable
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import FROM_HOTLINE, INSTANCES, World, world
from tests.support.forging import FAR, forged, held, installed_world, write

AGENCIES = "law_enforcement"


@pytest.fixture(scope="module")
def here() -> World:
    return world()


def offer(here: World, *, instance: str = "hotline", key: SigningKey | None = None) -> Record:
    """An offer to an agency, forged."""
    [record] = forged(here, [here.offered(POLICE)], instance=instance, key=key)
    return record


def test_an_instance_can_forge_whatever_its_own_parties_say(here: World) -> None:
    received = accept(offer(here), here.reader(AGENCIES))
    assert (received.sender, received.recipient, received.sender_instance) == (HOTLINE, POLICE, "hotline")


@pytest.mark.parametrize("owner", [None, *INSTANCES[1:]])
def test_a_forgery_with_another_key_is_refused(here: World, owner: str | None) -> None:
    """One that nobody knows, or that another instance has in the directory."""
    key = SigningKey.generate() if owner is None else here.keys[owner].signing
    with pytest.raises(Refused) as refused:
        accept(offer(here, key=key), here.reader(AGENCIES))
    assert (refused.value.code, refused.value.field) == ("key_unknown", "ce_keyid")


def test_an_instance_cannot_forge_for_the_parties_of_another(here: World) -> None:
    with pytest.raises(Refused) as refused:
        accept(offer(here, instance="industry"), here.reader(AGENCIES))
    assert (refused.value.code, refused.value.field) == ("sender_unknown", "ce_sender")


def test_a_forgery_takes_no_sequence_that_anybody_has(here: World) -> None:
    drafts = here.prepared().drafts
    records = [
        *here.records(drafts),
        *forged(here, drafts, instance="hotline"),
        *forged(here, drafts, instance="hotline"),
    ]
    sent = [decode_headers(record.headers, record.value or b"").attributes for record in records]
    numbers = [(each.sender, each.recipient, each.sequence) for each in sent]
    assert len(set(numbers)) == len(numbers)
    assert all(sequence >= FAR for _, _, sequence in numbers[len(drafts) :])


def test_the_world_of_an_installation_signs_with_its_keys(here: World, tmp_path: Path) -> None:
    for name, keys in here.keys.items():
        folder = tmp_path / "keys" / name
        folder.mkdir(parents=True)
        (folder / "signing.key").write_text(keys.signing.secret_text())
        (folder / "opening.key").write_text(keys.opening.secret_text())
    (tmp_path / "directory.json").write_text(here.document.model_dump_json(exclude_none=True))
    (tmp_path / "policy.json").write_text(sample_policy().model_dump_json(exclude_none=True))
    there = installed_world(tmp_path)
    received = accept(offer(there), there.reader(AGENCIES))
    assert received.sender == HOTLINE


async def test_a_forgery_goes_through_a_login_that_may_write(stack: DevStack, here: World) -> None:
    hotline, agencies = (kafka_access(stack.endpoints, name) for name in ("hotline", AGENCIES))
    record = offer(here)
    [(where, offset)] = await write(hotline, [record])
    assert (where.topic, where.partition) == (FROM_HOTLINE[AGENCIES], 0)
    [found] = [each for each in await held(agencies, where.topic) if each.offset == offset]
    assert (found.key, found.headers, found.value) == (record.key, record.headers, record.value)


async def test_a_login_keeps_its_limits_in_a_forgers_hands(stack: DevStack, here: World) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(kafka_access(stack.endpoints, "audit"), [offer(here)])
    with pytest.raises(Unavailable):
        await held(kafka_access(stack.endpoints, "industry"), FROM_HOTLINE[AGENCIES])
