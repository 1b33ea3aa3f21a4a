"""The content proof: one signature per group. The proof of one message reveals nothing about the other messages."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.envelope.content_proof import (
    TREE_SIZES,
    ContentProof,
    check_groups,
    leaf_digest,
    message_proof,
    pack_proof,
    prove_content,
    unpack_proof,
)
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Defect, Refused

KEY = SigningKey(bytes(range(32)))


def proven(*group_sizes: int) -> tuple[ContentProof, list[tuple[bytes, bytes]]]:
    """Return a proof over groups of these sizes, and the (salt, covered bytes) of each message."""
    messages = [(os.urandom(16), os.urandom(50)) for _ in range(sum(group_sizes))]
    indexes = iter(range(len(messages)))
    groups = [([next(indexes) for _ in range(size)], b"wrap") for size in group_sizes]
    return prove_content(groups, [leaf_digest(*each) for each in messages], KEY), messages


@pytest.mark.parametrize(("count", "size"), [(1, 16), (15, 16), (16, 256), (256, 256)])
def test_a_tree_is_filled_up_so_that_its_size_tells_little_of_the_number_of_messages(count: int, size: int) -> None:
    proof, _ = proven(count)

    assert proof.groups[0].size == size


def test_a_group_above_the_largest_tree_is_our_own_fault() -> None:
    with pytest.raises(Defect, match="group_too_large"):
        proven(TREE_SIZES[-1] + 1)


def test_each_group_has_a_signature_that_holds() -> None:
    proof, _ = proven(1, 5, 100)

    assert check_groups(proof, proof.roots(), lambda _: KEY.verify_key) == [True, True, True]
    assert check_groups(proof, proof.roots(), lambda _: None) == [False, False, False]
    assert check_groups(proof, proof.roots(), lambda _: SigningKey(bytes(32)).verify_key) == [False, False, False]


def test_a_changed_leaf_breaks_its_group_alone() -> None:
    proof, _ = proven(2, 2)
    changed = (proof.leaves[0]._replace(digest=bytes(32)), *proof.leaves[1:])
    other = replace(proof, leaves=changed)

    assert check_groups(other, other.roots(), lambda _: KEY.verify_key) == [False, True]


def test_two_leaves_at_one_position_are_refused() -> None:
    proof, _ = proven(2)
    twice = replace(proof, leaves=(proof.leaves[0], proof.leaves[1]._replace(position=proof.leaves[0].position)))

    with pytest.raises(Refused, match="proof_malformed"):
        twice.roots()


def test_a_group_without_a_message_or_with_a_larger_tree_than_it_needs_is_refused() -> None:
    proof, _ = proven(1)
    empty = replace(proof, groups=(*proof.groups, *proof.groups))
    large = replace(proof, groups=(replace(proof.groups[0], size=TREE_SIZES[-1]),))

    for wrong in (empty, large):
        with pytest.raises(Refused, match="proof_malformed"):
            unpack_proof(pack_proof(wrong))


@pytest.mark.parametrize("sizes", [(1,), (3, 1, 20), (200,)])
def test_a_message_proves_itself_alone(sizes: tuple[int, ...]) -> None:
    proof, messages = proven(*sizes)

    for index, (salt, covered) in enumerate(messages):
        alone = message_proof(proof, index, salt)
        alone.check(covered, KEY.verify_key)
        for wrong in (
            alone._replace(salt=bytes(16)),
            alone._replace(salt=b""),
            alone._replace(position=(alone.position + 1) % alone.size),
            alone._replace(size=TREE_SIZES[alone.size == TREE_SIZES[0]]),
            alone._replace(path=alone.path[1:]),
            alone._replace(signature=bytes(64)),
        ):
            with pytest.raises(Refused, match="signature_invalid"):
                wrong.check(covered, KEY.verify_key)
        with pytest.raises(Refused, match="signature_invalid"):
            alone.check(covered + b".", KEY.verify_key)


def test_the_proof_of_one_message_is_as_long_for_few_neighbours_as_for_many() -> None:
    lengths = {len(message_proof(proven(count)[0], 0, bytes(16)).path) for count in (17, 90, 256)}

    assert lengths == {8}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_proof_has_one_packed_form(sizes: list[int]) -> None:
    proof, _ = proven(*sizes)

    assert unpack_proof(pack_proof(proof)) == proof
    with pytest.raises(Refused, match="proof_malformed"):
        unpack_proof(pack_proof(proof) + b"\0")


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_are_refused_with_a_code(packed: bytes) -> None:
    try:
        proof = unpack_proof(packed)
    except Refused as error:
        assert error.code == "proof_malformed"
    else:
        assert pack_proof(proof) == packed
