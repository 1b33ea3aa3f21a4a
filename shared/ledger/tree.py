"""The Merkle tree of RFC 6962 §2.1: SHA-256 with one prefix byte for leaves and another for nodes.

The prefixes keep a node from passing as a leaf (second pre-image). Every hash is 32 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


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
