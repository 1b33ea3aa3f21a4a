"""Proofs: foreign vectors, every position of every small tree, and no exit of a verifier but one."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Defect, EvidenceRejected
from shared.ledger.tree import (
    all_paths,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root,
    root_and_paths,
    root_from_inclusion,
    verify_consistency,
)

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "data" / "rfc6962-vectors.json").read_text(encoding="utf-8")
)
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(70)]
hashes = st.binary(min_size=32, max_size=32)
numbers = st.integers(min_value=-2, max_value=2**64)


def in_vector(vector: dict[str, Any], name: str) -> bytes:
    return b64decode(vector[name] or "")


def path_in(vector: dict[str, Any]) -> list[bytes]:
    return [b64decode(text) for text in vector["proof"] or []]


def inclusion_holds(vector: dict[str, Any]) -> bool:
    try:
        found = root_from_inclusion(
            in_vector(vector, "leafHash"), vector["leafIdx"], vector["treeSize"], path=path_in(vector)
        )
    except EvidenceRejected:
        return False
    return found == in_vector(vector, "root")


def consistency_holds(vector: dict[str, Any]) -> bool:
    try:
        verify_consistency(
            first_size=vector["size1"],
            first_root=in_vector(vector, "root1"),
            second_size=vector["size2"],
            second_root=in_vector(vector, "root2"),
            path=path_in(vector),
        )
    except EvidenceRejected:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: vector["name"])
def test_an_inclusion_vector_gets_the_verdict_its_authors_gave_it(vector: dict[str, Any]) -> None:
    assert inclusion_holds(vector) is not vector["wantErr"]


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda vector: vector["name"])
def test_a_consistency_vector_gets_the_verdict_its_authors_gave_it(vector: dict[str, Any]) -> None:
    assert consistency_holds(vector) is not vector["wantErr"]


def test_the_vectors_hold_both_verdicts() -> None:
    for kind in ("inclusion", "consistency"):
        assert {vector["wantErr"] for vector in VECTORS[kind]} == {True, False}


@pytest.mark.parametrize("size", range(1, 71))
def test_the_path_of_every_leaf_leads_to_the_root(size: int) -> None:
    leaves = LEAVES[:size]
    for index, path in enumerate(all_paths(leaves)):
        assert root_from_inclusion(leaves[index], index, size, path=path) == root(leaves)
        assert inclusion_path(leaves, index) == path


@pytest.mark.parametrize("size", range(2, 71))
def test_the_path_of_a_leaf_proves_no_other_position(size: int) -> None:
    leaves = LEAVES[:size]
    for index, path in enumerate(all_paths(leaves)):
        for other in {index - 1, index + 1, index ^ 1} & set(range(size)) - {index}:
            assert not reaches(root(leaves), leaves[index], other, size=size, path=path)


def test_the_path_of_a_leaf_proves_no_smaller_tree() -> None:
    head, path = root(LEAVES[:8]), inclusion_path(LEAVES[:8], 7)
    assert reaches(head, LEAVES[7], 7, size=8, path=path)
    assert not reaches(head, LEAVES[7], 1, size=2, path=path)  # the last leaf, under left siblings only, in both


def test_bytes_moved_between_a_leaf_and_its_path_prove_nothing() -> None:
    head, [sibling] = root(LEAVES[:2]), inclusion_path(LEAVES[:2], 0)
    assert not reaches(head, LEAVES[0] + sibling[:1], 0, size=2, path=[sibling[1:]])


def test_bytes_moved_between_a_root_and_its_consistency_path_prove_nothing() -> None:
    [step] = consistency_path(LEAVES[:2], 1)
    with pytest.raises(EvidenceRejected):
        verify_consistency(
            first_size=1,
            first_root=LEAVES[0] + step[:1],
            second_size=2,
            second_root=root(LEAVES[:2]),
            path=[step[1:]],
        )


@given(size=st.integers(1, 70), data=st.data())
def test_a_changed_bit_anywhere_in_a_path_leads_elsewhere(size: int, data: st.DataObject) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    material = bytearray(leaves[index] + b"".join(inclusion_path(leaves, index)))
    bit = data.draw(st.integers(0, len(material) * 8 - 1))
    material[bit // 8] ^= 1 << bit % 8
    leaf, *path = (bytes(material[at : at + 32]) for at in range(0, len(material), 32))
    assert not reaches(root(leaves), leaf, index, size=size, path=path)


@given(leaf=st.binary(max_size=40), index=numbers, size=numbers, path=st.lists(st.binary(max_size=40), max_size=70))
def test_an_inclusion_verifier_raises_nothing_but_evidence_rejected(
    leaf: bytes, index: int, *, size: int, path: list[bytes]
) -> None:
    assert not reaches(LEAVES[0], leaf, index, size=size, path=path)


@pytest.mark.parametrize("second_size", range(1, 71))
def test_every_earlier_tree_is_proven_to_be_the_beginning_of_a_later_one(second_size: int) -> None:
    for first_size in range(1, second_size + 1):
        verify_consistency(
            first_size=first_size,
            first_root=root(LEAVES[:first_size]),
            second_size=second_size,
            second_root=root(LEAVES[:second_size]),
            path=consistency_path(LEAVES[:second_size], first_size),
        )


@given(second_size=st.integers(1, 70), data=st.data())
def test_a_rewritten_history_is_not_consistent(second_size: int, data: st.DataObject) -> None:
    first_size = data.draw(st.integers(1, second_size))
    rewritten = list(LEAVES[:second_size])
    rewritten[data.draw(st.integers(0, first_size - 1))] = leaf_hash(b"rewritten")
    with pytest.raises(EvidenceRejected):
        verify_consistency(
            first_size=first_size,
            first_root=root(LEAVES[:first_size]),
            second_size=second_size,
            second_root=root(rewritten),
            path=consistency_path(rewritten, first_size),
        )


@given(sizes=st.tuples(numbers, numbers), roots=st.tuples(hashes, hashes), path=st.lists(st.binary(max_size=40)))
def test_a_consistency_verifier_raises_nothing_but_evidence_rejected(
    sizes: tuple[int, int], roots: tuple[bytes, bytes], path: list[bytes]
) -> None:
    proven = sizes[0] == sizes[1] > 0 and roots[0] == roots[1] and not path
    try:
        verify_consistency(
            first_size=sizes[0], first_root=roots[0], second_size=sizes[1], second_root=roots[1], path=path
        )
    except EvidenceRejected:
        assert not proven
    else:
        assert proven


@pytest.mark.parametrize("index", [-1, 3])
def test_a_path_is_made_only_for_a_leaf_that_exists(index: int) -> None:
    with pytest.raises(Defect):
        inclusion_path(LEAVES[:3], index)


@pytest.mark.parametrize("first_size", [0, 4])
def test_a_consistency_proof_is_made_only_for_a_tree_that_existed(first_size: int) -> None:
    with pytest.raises(Defect):
        consistency_path(LEAVES[:3], first_size)


def reaches(head: bytes, leaf: bytes, index: int, *, size: int, path: list[bytes]) -> bool:
    try:
        return root_from_inclusion(leaf, index, size, path=path) == head
    except EvidenceRejected:
        return False


@pytest.mark.parametrize("size", [*range(10), 64, 70])
def test_root_and_paths_are_those_of_the_two_functions(size: int) -> None:
    leaves = LEAVES[:size]
    assert root_and_paths(leaves) == (root(leaves), all_paths(leaves))


def test_a_path_that_held_says_nothing_for_one_that_differs_from_it_in_any_hash() -> None:
    path, head = inclusion_path(LEAVES, 33), root(LEAVES)
    for _ in range(2):
        assert root_from_inclusion(LEAVES[33], 33, 70, path=path) == head
        for at, right in enumerate(path):
            wrong = [*path[:at], leaf_hash(right), *path[at + 1 :]]
            assert root_from_inclusion(LEAVES[33], 33, 70, path=wrong) != head
            for shape in (path[:at], [*path, *path[at:]]):
                with pytest.raises(EvidenceRejected):
                    root_from_inclusion(LEAVES[33], 33, 70, path=shape)


def test_neighbours_lead_to_the_root_whichever_of_them_is_asked_first() -> None:
    head, paths = root_and_paths(LEAVES)
    for index in [*range(69, -1, -1), *range(70)]:
        assert root_from_inclusion(LEAVES[index], index, 70, path=paths[index]) == head
