"""Composition: groups, sealing and proofs of one transaction's messages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from shared.core.envelope.content_proof import SALT_BYTES, message_proof, unpack_proof
from shared.core.envelope.keys import KEY_OPERATIONS, OpeningKey
from shared.core.envelope.record_value import split_value
from shared.core.envelope.segment_sealing import GroupOpener
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.messaging.composition import SHARED_GROUP_REFERRALS, DraftBody
from shared.messaging.exceptions import OutcomeList
from shared.messaging.placement import SALT, covered_bytes, digest_record, read_hex
from shared.messaging.ports import MessageDraft
from shared.messaging.segments import NewMessages, OutgoingMessage
from shared.messaging.streams import Lane, WireRole
from tests.shared.messaging.builders import COMPOSER, KEY, OPENING, PAIR, PARTY_OPENING, compose, draft, letter


def compose_lanes(lanes: Mapping[Lane, Sequence[DraftBody]]) -> list[NewMessages]:
    return COMPOSER.compose(PAIR, {lane: [draft(each) for each in letters] for lane, letters in lanes.items()})


def opened(unplaced: NewMessages, index: int, message: DraftBody, key: OpeningKey = OPENING) -> bytes:
    proof = unpack_proof(unplaced.proof)
    wrap = proof.groups[proof.leaves[index].group].wrap
    _, sealed = split_value(unplaced.messages[index].record.value)
    assert sealed is not None
    assert message.context is not None
    return GroupOpener([key]).open(sealed, wrap, message.context)


def test_messages_of_one_stream_make_one_segment_in_the_order_given() -> None:
    messages = [letter(f"provider-{n % 3}.example") for n in range(10)]

    unplaced = compose(messages)

    assert [each.message_id for each in unplaced.messages] == [each.message_id for each in messages]
    for index, message in enumerate(messages):
        assert opened(unplaced, index, message) == message.plaintext


def test_two_recipients_of_a_small_transaction_share_no_group_and_no_data_key() -> None:
    referral = uuid7()
    unplaced = compose([letter("a.example", origin=referral), letter("b.example", origin=referral)])

    proof = unpack_proof(unplaced.proof)
    first, second = proof.groups
    assert {first.seed, first.signature, first.wrap}.isdisjoint({second.seed, second.signature, second.wrap})
    paths = [set(message_proof(proof, index, bytes(16)).path) for index in (0, 1)]
    assert paths[0].isdisjoint(paths[1])


def test_a_large_transaction_has_one_group_and_one_encapsulation_an_instance() -> None:
    for count, groups in ((SHARED_GROUP_REFERRALS, 1), (SHARED_GROUP_REFERRALS - 1, SHARED_GROUP_REFERRALS - 1)):
        unplaced = compose([letter(f"provider-{n}.example") for n in range(count)])
        assert len(unpack_proof(unplaced.proof).groups) == groups


def test_a_party_with_an_opening_key_of_its_own_always_has_its_own_group() -> None:
    messages = [letter(f"provider-{n}.example") for n in range(SHARED_GROUP_REFERRALS)]
    own = letter("own-key.example")

    unplaced = compose([*messages, own])

    assert len(unpack_proof(unplaced.proof).groups) == 2
    assert opened(unplaced, len(messages), own, PARTY_OPENING) == own.plaintext
    with pytest.raises(Refused, match="sealed_unopenable"):
        opened(unplaced, len(messages), own, OPENING)


def test_one_group_spans_both_lanes_and_each_lane_proves_its_own_messages() -> None:
    letters = [letter(f"provider-{n}.example") for n in range(SHARED_GROUP_REFERRALS)]
    before = KEY_OPERATIONS.signed, KEY_OPERATIONS.encapsulated

    parts = compose_lanes({Lane.URGENT: letters[:3], Lane.ORDINARY: letters[3:]})

    assert (KEY_OPERATIONS.signed, KEY_OPERATIONS.encapsulated) == (before[0] + 1, before[1] + 1)
    assert [(part.lane, len(part.messages)) for part in parts] == [(Lane.URGENT, 3), (Lane.ORDINARY, 13)]
    urgent, ordinary = (unpack_proof(part.proof) for part in parts)
    assert (urgent.groups, urgent.roots(), len(urgent.leaves)) == (ordinary.groups, ordinary.roots(), 16)
    for part, members in zip(parts, (letters[:3], letters[3:]), strict=True):
        for index, message in enumerate(members):
            assert opened(part, index, message) == message.plaintext
            proof = message_proof(unpack_proof(part.proof), index, _salt(part.messages[index]))
            proof.check(covered_bytes(*part.messages[index].record[1:]), KEY.verify_key)


def test_two_providers_of_one_referral_have_own_groups_in_both_lanes_of_a_small_transaction() -> None:
    referral = uuid7()
    two = [letter("a.example", origin=referral), letter("b.example", origin=referral)]

    urgent, ordinary = compose_lanes({Lane.URGENT: two[:1], Lane.ORDINARY: two[1:]})

    (first,), (second,) = unpack_proof(urgent.proof).groups, unpack_proof(ordinary.proof).groups
    assert {first.seed, first.signature, first.wrap}.isdisjoint({second.seed, second.signature, second.wrap})


def test_more_messages_than_a_tree_holds_make_further_groups() -> None:
    unplaced = compose([letter() for _ in range(300)])

    proof = unpack_proof(unplaced.proof)
    assert len(proof.groups) == 2
    assert len(proof.roots()) == 2


@pytest.mark.parametrize("count", [SHARED_GROUP_REFERRALS, 200, 256, 300])
@pytest.mark.parametrize("others", [1, 100, 256])
def test_evidence_of_many_referrals_is_the_same_alone_and_with_other_recipients(count: int, others: int) -> None:
    own = [letter("a.example") for _ in range(count)]
    beside = [letter(f"p-{n}.example", origin=own[n % count].origin) for n in range(others)]

    alone, together = compose(own), compose([*beside, *own])

    assert told(alone, range(count)) == told(together, range(others, others + count))


def told(unplaced: NewMessages, indexes: range) -> tuple[set[tuple[int, int]], int]:
    """Return sizes and path lengths of these messages' proofs, and the number of their signatures."""
    proof = unpack_proof(unplaced.proof)
    proofs = [message_proof(proof, index, bytes(SALT_BYTES)) for index in indexes]
    return {(each.size, len(each.path)) for each in proofs}, len({each.signature for each in proofs})


def test_the_key_of_one_message_opens_no_neighbour() -> None:
    messages = [letter(origin=uuid7()) for _ in range(2)]
    unplaced = compose([replace(each, recipient="a.example") for each in messages])
    proof = unpack_proof(unplaced.proof)
    key = GroupOpener([OPENING]).message_key(proof.groups[0].wrap, messages[0].message_id)

    assert key != GroupOpener([OPENING]).message_key(proof.groups[0].wrap, messages[1].message_id)


def test_equal_messages_have_unlike_bytes() -> None:
    message = letter()
    first, second = compose([message]), compose([message])

    assert first.messages[0].digest != second.messages[0].digest
    assert split_value(first.messages[0].record.value)[1] != split_value(second.messages[0].record.value)[1]


def test_a_message_without_a_sealed_part_is_not_sealed() -> None:
    unplaced = compose([replace(letter(), plaintext=None, context=None)])

    assert unpack_proof(unplaced.proof).groups[0].wrap == b""
    assert split_value(unplaced.messages[0].record.value)[1] is None


def test_an_outsider_checks_one_message_by_its_own_proof_alone() -> None:
    unplaced = compose([letter(f"provider-{n}.example") for n in range(20)])
    proof = unpack_proof(unplaced.proof)

    for index, message in enumerate(unplaced.messages):
        assert digest_record(message.record.headers, message.record.value) == message.digest
        alone = message_proof(proof, index, _salt(message))
        alone.check(covered_bytes(message.record.headers, message.record.value), KEY.verify_key)
        with pytest.raises(Refused, match="signature_invalid"):
            alone.check(covered_bytes(message.record.headers, message.record.value + b" "), KEY.verify_key)


def test_nothing_too_large_for_the_largest_bucket_is_sealed() -> None:
    with pytest.raises(Refused, match="sealed_too_large"):
        compose([replace(letter(), plaintext=os.urandom(50_000))])


def _salt(message: OutgoingMessage) -> bytes:
    salt = read_hex(dict(message.record.headers)[SALT], SALT_BYTES)
    assert salt is not None
    return salt


@pytest.mark.parametrize(
    "others",
    [
        [replace(letter(f"p-{n}.example"), plaintext=None, context=None) for n in range(SHARED_GROUP_REFERRALS)],
        [letter(f"own-{n}.example") for n in range(SHARED_GROUP_REFERRALS)],
        [letter(f"p-{n}.example") for n in range(256)],
    ],
    ids=["messages without a sealed part", "parties with own keys", "a full group"],
)
def test_two_providers_of_one_referral_are_never_alone_in_a_group(others: list[DraftBody]) -> None:
    referral = uuid7()
    letters = [*others, letter("a.example", origin=referral), letter("b.example", origin=referral)]

    proof = unpack_proof(compose(letters).proof)

    together = [index for index, leaf in enumerate(proof.leaves) if leaf.group == proof.leaves[-1].group]
    is_alone = proof.leaves[-2].group != proof.leaves[-1].group
    assert is_alone or len({letters[index].origin for index in together}) >= SHARED_GROUP_REFERRALS


def test_messages_of_the_protocol_do_not_count_towards_a_shared_group() -> None:
    control = [MessageDraft(PAIR.addressee, WireRole.OUTCOMES, "outcomes", None, OutcomeList(())) for _ in range(20)]
    referral = uuid7()
    two = [draft(letter("a.example", origin=referral)), draft(letter("b.example", origin=referral))]

    (unplaced,) = COMPOSER.compose(PAIR, {Lane.URGENT: [*control, *two]})
    proof = unpack_proof(unplaced.proof)

    assert proof.leaves[-1].group != proof.leaves[-2].group


def test_a_message_above_the_bound_of_topics_is_refused() -> None:
    with pytest.raises(Refused, match="record_too_large"):
        compose([replace(letter(), clear={"text": "x" * 1_300_000})])
