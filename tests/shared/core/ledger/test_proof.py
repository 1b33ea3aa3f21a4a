"""Inclusion proofs: foreign vectors, every position of every small tree, and a single error of the verifier."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Defect, EvidenceRejected
from shared.core.ledger.tree import inclusion_path, leaf_hash, levels, root, root_from_inclusion

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "data" / "rfc6962-vectors.json").read_text(encoding="utf-8")
)
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(70)]
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


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: vector["name"])
def test_an_inclusion_vector_gets_the_verdict_its_authors_gave_it(vector: dict[str, Any]) -> None:
    assert inclusion_holds(vector) is not vector["wantErr"]


def test_the_vectors_hold_both_verdicts() -> None:
    assert {vector["wantErr"] for vector in VECTORS["inclusion"]} == {True, False}


@pytest.mark.parametrize("size", range(1, 71))
def test_the_path_of_every_leaf_leads_to_the_root(size: int) -> None:
    leaves = LEAVES[:size]
    rows = levels(leaves)
    for index in range(size):
        assert root_from_inclusion(leaves[index], index, size, path=inclusion_path(rows, index)) == root(leaves)


@pytest.mark.parametrize("size", range(2, 71))
def test_the_path_of_a_leaf_proves_no_other_position(size: int) -> None:
    leaves = LEAVES[:size]
    rows = levels(leaves)
    for index in range(size):
        path = inclusion_path(rows, index)
        for other in {index - 1, index + 1, index ^ 1} & set(range(size)) - {index}:
            assert not reaches(root(leaves), leaves[index], other, size=size, path=path)


def test_the_path_of_a_leaf_proves_no_smaller_tree() -> None:
    head, path = root(LEAVES[:8]), inclusion_path(levels(LEAVES[:8]), 7)
    assert reaches(head, LEAVES[7], 7, size=8, path=path)
    assert not reaches(head, LEAVES[7], 1, size=2, path=path)  # The last leaf, with left siblings only, in both.


def test_bytes_moved_between_a_leaf_and_its_path_prove_nothing() -> None:
    head, [sibling] = root(LEAVES[:2]), inclusion_path(levels(LEAVES[:2]), 0)
    assert not reaches(head, LEAVES[0] + sibling[:1], 0, size=2, path=[sibling[1:]])


@given(size=st.integers(1, 70), data=st.data())
def test_a_changed_bit_anywhere_in_a_path_leads_elsewhere(size: int, data: st.DataObject) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    material = bytearray(leaves[index] + b"".join(inclusion_path(levels(leaves), index)))
    bit = data.draw(st.integers(0, len(material) * 8 - 1))
    material[bit // 8] ^= 1 << bit % 8
    leaf, *path = (bytes(material[at : at + 32]) for at in range(0, len(material), 32))
    assert not reaches(root(leaves), leaf, index, size=size, path=path)


@given(leaf=st.binary(max_size=40), index=numbers, size=numbers, path=st.lists(st.binary(max_size=40), max_size=70))
def test_an_inclusion_verifier_raises_nothing_but_evidence_rejected(
    leaf: bytes, index: int, *, size: int, path: list[bytes]
) -> None:
    assert not reaches(LEAVES[0], leaf, index, size=size, path=path)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_path_is_made_only_for_a_leaf_that_exists(index: int) -> None:
    with pytest.raises(Defect):
        inclusion_path(levels(LEAVES[:3]), index)


def reaches(head: bytes, leaf: bytes, index: int, *, size: int, path: Sequence[bytes]) -> bool:
    try:
        return root_from_inclusion(leaf, index, size, path=path) == head
    except EvidenceRejected:
        return False
