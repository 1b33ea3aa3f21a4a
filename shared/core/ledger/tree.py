"""The Merkle tree of RFC 6962 §2.1, and the path that proves a leaf in it.

SHA-256 has one prefix byte for leaves and another for nodes, so a node cannot be presented as a leaf (second
pre-image). Every hash is 32 bytes. Paths follow RFC 6962 §2.1.1, and their check RFC 9162 §2.1.3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from shared.core.errors import Defect, EvidenceRejected

HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def levels(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return every row of the tree over at least one leaf: the leaves first, and the row of the root last.

    A row of odd length passes its last hash up unchanged. The result is the tree that RFC 6962 defines by splitting at
    the largest power of two. Each hash is computed once.
    """
    rows = [list(leaf_hashes)]
    while len(below := rows[-1]) > 1:
        above = [sha256(b"\x01" + left + right).digest() for left, right in zip(below[::2], below[1::2], strict=False)]
        if len(below) % 2:
            above.append(below[-1])
        rows.append(above)
    return rows


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the tree head over at least one leaf."""
    return levels(leaf_hashes)[-1][0]


def inclusion_path(rows: Sequence[Sequence[bytes]], index: int) -> tuple[bytes, ...]:
    """Return the hashes from leaf `index` to the root of a tree with these `levels`, lowest first."""
    if not 0 <= index < len(rows[0]):
        raise Defect("index_outside_tree")
    path = []
    for row in rows[:-1]:
        if (sibling := index ^ 1) < len(row):
            path.append(row[sibling])
        index >>= 1
    return tuple(path)


def root_from_inclusion(leaf: bytes, index: int, size: int, *, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to from the leaf hash `leaf`.

    It proves nothing until the caller compares it with a trusted root. Raises only `EvidenceRejected`, if no tree of
    `size` leaves has a path of this form at `index`.
    """
    if not 0 <= index < size:
        raise EvidenceRejected("inclusion_index_outside_tree")
    if any(len(each) != HASH_BYTES for each in (leaf, *path)):
        raise EvidenceRejected("hash_not_32_bytes")
    found, node, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise EvidenceRejected("inclusion_path_too_long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:  # rows that passed this node up unchanged have no sibling in the path
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise EvidenceRejected("inclusion_path_too_short")
    return found
