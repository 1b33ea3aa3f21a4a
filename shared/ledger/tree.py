"""The Merkle tree of RFC 6962 §2.1, and its proofs: a leaf is in a tree; one tree is the beginning of another.

SHA-256 has one prefix byte for leaves and another for nodes, which keeps a node from passing as a leaf (second
pre-image). Every hash is 32 bytes. Makers follow RFC 6962 §2.1.1 and §2.1.2, verifiers RFC 9162 §2.1.3.2 and §2.1.4.2
(the same proofs). A verifier raises `EvidenceRejected` and nothing else, whatever numbers and bytes it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from shared.kernel.errors import Defect, EvidenceRejected

HASH_BYTES = 32
#: The hashes of a path that are worked through for each leaf; the rest, for each 16 neighbours once.
_OWN_HASHES = 4
_LENGTHS = frozenset({HASH_BYTES})


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The tree head over `leaf_hashes`; of no leaves, the SHA-256 of nothing."""
    return levels(leaf_hashes)[-1][0] if leaf_hashes else hashlib.sha256().digest()


def levels(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Every row of the tree, leaves first, the root's row last.

    A row of odd length hands its last hash up unchanged. That gives the tree RFC 6962 defines by
    splitting at the largest power of two, and needs each hash once.
    """
    rows = [list(leaf_hashes)]
    while len(below := rows[-1]) > 1:
        above = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        if len(below) % 2:
            above.append(below[-1])
        rows.append(above)
    return rows


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root, lowest first. O(n)."""
    if not 0 <= index < len(leaf_hashes):
        raise Defect("index_outside_tree")
    return _path(levels(leaf_hashes), index)


def all_paths(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """`inclusion_path` of every leaf, in order, from one pass over the tree. O(n log n)."""
    return root_and_paths(leaf_hashes)[1]


def root_and_paths(leaf_hashes: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """`root` and `all_paths`, from one pass over the tree."""
    rows = levels(leaf_hashes)
    head = rows[-1][0] if leaf_hashes else root(leaf_hashes)
    return head, [_path(rows, index) for index in range(len(leaf_hashes))]


def root_from_inclusion(leaf: bytes, index: int, size: int, *, path: Sequence[bytes]) -> bytes:
    """The root that `path` leads to from the leaf hash `leaf`.

    It proves nothing until the caller compares it with a root it trusts. Raises `EvidenceRejected`
    when no tree of `size` leaves has a path of this shape at `index`.
    """
    if not 0 <= index < size:
        raise EvidenceRejected("inclusion_index_outside_tree")
    _check_hashes(leaf, *path)
    found, place = _climbed(leaf, (index, size - 1), path[:_OWN_HASHES])
    return _root_above(found, place, b"".join(path[_OWN_HASHES:]))


def consistency_path(leaf_hashes: Sequence[bytes], first_size: int) -> list[bytes]:
    """The proof that the first `first_size` leaves are the beginning of `leaf_hashes`. Empty when they are all."""
    if not 0 < first_size <= len(leaf_hashes):
        raise Defect("size_outside_tree")
    return _subproof(leaf_hashes, first_size, True)


def verify_consistency(
    *, first_size: int, first_root: bytes, second_size: int, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree with `second_root` begins with the tree with `first_root`.

    An empty first tree is refused: everything begins with nothing, so such a proof says nothing.
    """
    if not 0 < first_size <= second_size:
        raise EvidenceRejected("consistency_sizes_impossible")
    if first_size == second_size:  # one tree: the roots are compared and nothing is hashed
        if path or first_root != second_root:
            raise EvidenceRejected("consistency_not_proven")
        return
    _check_hashes(first_root, second_root, *path)
    # A first tree that is one whole subtree is its own starting point and is left out of the path.
    steps = list(path) if first_size & (first_size - 1) else [first_root, *path]
    if _roots_from_consistency(first_size, second_size, steps) != (first_root, second_root):
        raise EvidenceRejected("consistency_not_proven")


def _path(rows: list[list[bytes]], index: int) -> list[bytes]:
    path = []
    for row in rows[:-1]:
        sibling = index ^ 1
        if sibling < len(row):
            path.append(row[sibling])
        index >>= 1
    return path


def _climbed(found: bytes, place: tuple[int, int], path: Sequence[bytes]) -> tuple[bytes, tuple[int, int]]:
    """The hash that `path` leads to from `found`, and its place: its number in its row, and the row's last number."""
    node, last = place
    for sibling in path:
        if last == 0:
            raise EvidenceRejected("inclusion_path_too_long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:  # rows that handed this node up unchanged have no sibling in the path
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return found, (node, last)


@lru_cache(1024)  # the leaves of one tree share what is above them
def _root_above(found: bytes, place: tuple[int, int], path: bytes) -> bytes:
    """The root that the rest of a path, its hashes joined, leads to."""
    hashes = [path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)]
    top, (_, last) = _climbed(found, place, hashes)
    if last != 0:
        raise EvidenceRejected("inclusion_path_too_short")
    return top


def _subproof(leaf_hashes: Sequence[bytes], first_size: int, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of RFC 6962 §2.1.2; `whole` is b: the verifier already has this subtree's root."""
    size = len(leaf_hashes)
    if first_size == size:
        return [] if whole else [root(leaf_hashes)]
    split = 1 << (size - 1).bit_length() - 1
    if first_size <= split:
        return [*_subproof(leaf_hashes[:split], first_size, whole), root(leaf_hashes[split:])]
    return [*_subproof(leaf_hashes[split:], first_size - split, False), root(leaf_hashes[:split])]


def _roots_from_consistency(first_size: int, second_size: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees that `steps` leads to."""
    if not steps:
        raise EvidenceRejected("consistency_not_proven")
    node, last = first_size - 1, second_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise EvidenceRejected("consistency_not_proven")
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise EvidenceRejected("consistency_not_proven")
    return first, second


def _check_hashes(*hashes: bytes) -> None:
    if not _LENGTHS.issuperset(map(len, hashes)):
        raise EvidenceRejected("hash_not_32_bytes")
