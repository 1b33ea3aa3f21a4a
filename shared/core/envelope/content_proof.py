"""The content proof of a segment: it proves the sender of each message, independent of its place.

    leaf       SHA-256(0x00 ‖ salt ‖ covered bytes), the salt is 16 random bytes of the sender
    tree       16 leaves, or 256 from 16 messages on (RFC 6962); messages are at random positions, fillers are derived
    signature  Ed25519 over context, tree size and root, once a group

A group is the set of messages that share a tree and one key encapsulation: the messages to one recipient party, or all
messages of a large segment. The salt, position and path of a message prove it to others. The path contains only hashes,
so it reveals nothing about other messages or their number. Packed, a proof is binary and has one form.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from random import SystemRandom
from struct import Struct
from struct import error as StructError  # noqa: N812 - the library's class has a lower-case name
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.contracts.evidence import LeafProof
from shared.core.envelope.base64url import from_base64url, to_base64url
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.errors import Defect, EvidenceRejected, Refused
from shared.core.ledger.tree import HASH_BYTES, inclusion_path, levels, root, root_from_inclusion

CONTEXT: Final = "causeway-content/v1"
SALT_BYTES: Final = 16
SEED_BYTES: Final = 16
SIGNATURE_BYTES: Final = 64
#: The number of leaves of a tree; a group has at most as many messages as the largest.
TREE_SIZES: Final = (16, 256)
GROUP_MESSAGES_MAX: Final = TREE_SIZES[-1]
#: Maximum messages of one proof, which limits a reader's work.
LEAVES_MAX: Final = 1_024

#: Maximum cached checks of signatures. Both lanes have the same group, and so does each append of a segment.
VERIFIED_MAX: Final = 1_024

_VERSION: Final = 1
_HEAD, _COUNT, _ENTRY = Struct(">BH"), Struct(">H"), Struct(f">HB{HASH_BYTES}s")
_GROUP = Struct(f">{SIGNATURE_BYTES}s{SEED_BYTES}sB")
_RANDOM = SystemRandom()


def draw_salt() -> bytes:
    """Return a new salt for one message."""
    return os.urandom(SALT_BYTES)


def leaf_digest(salt: bytes, covered: bytes) -> bytes:
    """Return the leaf of a message, 32 bytes: its name in chains, acknowledgements and evidence."""
    return sha256(b"\0" + salt + covered).digest()


@dataclass(frozen=True, slots=True)
class GroupProof:
    """One tree: its signature, the seed of its fillers and its size.

    `wrap`: the encapsulated data key, if any.
    """

    key_id: str
    signature: bytes
    seed: bytes
    size: int
    wrap: bytes = b""


class SharedProof(NamedTuple):
    """The packed proof of a segment without its data keys: stored once, for all messages that it proves.

    `proof_id`: the first half of its SHA-256.
    """

    proof_id: UUID
    packed: bytes

    def prove(self, digest: bytes, salt: bytes) -> MessageProof | None:
        """Return the proof of the message with this leaf, or None if the bytes prove no such message."""
        try:
            proof = unpack_proof(self.packed)
            found = [index for index, leaf in enumerate(proof.leaves) if leaf.digest == digest]
            return message_proof(proof, found[0], salt) if found else None
        except Refused:
            return None


class Leaf(NamedTuple):
    """The leaf of one message: the index of its group, its position in that group's tree, and its digest."""

    group: int
    position: int
    digest: bytes


@dataclass(frozen=True)
class ContentProof:
    """The proof of a segment: its groups, and a leaf for each message in the order of the numbers.

    The leaves of messages in the other lane that share a group follow.
    """

    groups: tuple[GroupProof, ...]
    leaves: tuple[Leaf, ...]

    @cached_property
    def trees(self) -> list[list[list[bytes]]]:
        """The `levels` of each group's tree.

        Raises `Refused("proof_malformed")` if two leaves share a position.
        """
        members: list[dict[int, bytes]] = [{} for _ in self.groups]
        for number, position, digest in self.leaves:
            members[number][position] = digest
        if sum(map(len, members)) != len(self.leaves):
            raise Refused("proof_malformed")
        return [levels(_fill(each, group.seed, group.size)) for group, each in zip(self.groups, members, strict=True)]

    @cached_property
    def shared(self) -> SharedProof:
        """The proof as its readers store it."""
        packed = pack_proof(replace(self, groups=tuple(replace(group, wrap=b"") for group in self.groups)))
        return SharedProof(UUID(bytes=sha256(packed).digest()[:16]), packed)

    def roots(self) -> list[bytes]:
        """Return the root of each group. Raises `Refused("proof_malformed")` if two leaves share a position."""
        return [rows[-1][0] for rows in self.trees]

    def part(self, indexes: range) -> ContentProof:
        """Return the proof of these messages: their groups whole, their own leaves first."""
        own = self.leaves[indexes.start : indexes.stop]
        numbers = {group: number for number, group in enumerate(sorted({leaf.group for leaf in own}))}
        others = (*self.leaves[: indexes.start], *self.leaves[indexes.stop :])
        leaves = [leaf._replace(group=numbers[leaf.group]) for leaf in (*own, *others) if leaf.group in numbers]
        return ContentProof(tuple(self.groups[group] for group in numbers), tuple(leaves))


class MessageProof(NamedTuple):
    """The proof of one message for outsiders. It does not depend on the place and names no other message.

    Signed acceptances have proofs of the same form, under a separate context.
    """

    key_id: str
    signature: bytes
    size: int
    position: int
    path: tuple[bytes, ...]
    salt: bytes

    @classmethod
    def read(cls, stated: LeafProof, salt: str) -> MessageProof:
        """Parse the proof in a contract, with its salt in hexadecimal."""
        path = tuple(map(bytes.fromhex, stated.path))
        signature = from_base64url(stated.signature)
        return cls(stated.key_id, signature, stated.size, stated.position, path, bytes.fromhex(salt))

    def members(self) -> dict[str, object]:
        """Return the members of `LeafProof`: all but the salt."""
        return {
            "key_id": self.key_id,
            "signature": to_base64url(self.signature),
            "size": self.size,
            "position": self.position,
            "path": [each.hex() for each in self.path],
        }

    def check(self, covered: bytes, key: VerifyKey) -> None:
        """Check that `key` signed the message with these covered bytes. Raises `Refused("signature_invalid")`."""
        key.verify(self.signature, signed_bytes(self.derive_root(covered), self.size))

    def derive_root(self, covered: bytes) -> bytes:
        """Return the root that the path reaches from these covered bytes.

        Raises `Refused("signature_invalid")`.
        """
        if self.size not in TREE_SIZES or len(self.salt) != SALT_BYTES:
            raise Refused("signature_invalid")
        try:
            return root_from_inclusion(leaf_digest(self.salt, covered), self.position, self.size, path=self.path)
        except EvidenceRejected:
            raise Refused("signature_invalid") from None


class FilledTree(NamedTuple):
    """A tree of 16 or 256 leaves: given digests at random positions, and fillers elsewhere.

    `positions`: of each digest, in the given order. `leaves`: all of them. `seed`: the seed of the fillers.
    """

    positions: tuple[int, ...]
    leaves: list[bytes]
    seed: bytes


def fill_tree(digests: Sequence[bytes]) -> FilledTree:
    """Build the tree for these digests: at least one, at most `GROUP_MESSAGES_MAX`."""
    size = _tree_size(len(digests))
    if size is None:
        raise Defect("group_too_large")
    positions, seed = tuple(_RANDOM.sample(range(size), len(digests))), os.urandom(SEED_BYTES)
    return FilledTree(positions, _fill(dict(zip(positions, digests, strict=True)), seed, size), seed)


def prove_content(
    groups: Sequence[tuple[Sequence[int], bytes]], digests: Sequence[bytes], key: SigningKey
) -> ContentProof:
    """Sign messages in groups and return the proof of all of them.

    `groups`: for each group the indexes of its messages, and its encapsulated data key. Each message is in one group.
    """
    proofs: list[GroupProof] = []
    leaves: dict[int, Leaf] = {}
    for number, (members, wrap) in enumerate(groups):
        tree = fill_tree([digests[member] for member in members])
        for member, position in zip(members, tree.positions, strict=True):
            leaves[member] = Leaf(number, position, digests[member])
        size = len(tree.leaves)
        signature = key.sign(signed_bytes(root(tree.leaves), size))
        proofs.append(GroupProof(key.key_id, signature, tree.seed, size, wrap))
    return ContentProof(tuple(proofs), tuple(leaves[index] for index in range(len(digests))))


def signed_bytes(head: bytes, size: int) -> bytes:
    """Return the bytes under a group's signature: context, root in hexadecimal and size, in lines."""
    return f"{CONTEXT}\n{head.hex()}\n{size}\n".encode()


def check_groups(proof: ContentProof, roots: Sequence[bytes], keys: Callable[[str], VerifyKey | None]) -> list[bool]:
    """Return for each group whether its signature is valid under a key that `keys` finds by its id."""
    found = []
    for group, head in zip(proof.groups, roots, strict=True):
        key = keys(group.key_id)
        found.append(key is not None and _has_signed(key, group.signature, signed_bytes(head, group.size)))
    return found


@lru_cache(VERIFIED_MAX)
def _has_signed(key: VerifyKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data)
    except Refused:
        return False
    return True


def message_proof(proof: ContentProof, index: int, salt: bytes) -> MessageProof:
    """Return the proof of one message for outsiders."""
    leaf = proof.leaves[index]
    group = proof.groups[leaf.group]
    path = inclusion_path(proof.trees[leaf.group], leaf.position)
    return MessageProof(group.key_id, group.signature, group.size, leaf.position, path, salt)


def pack_proof(proof: ContentProof) -> bytes:
    """Return the proof in its one binary form."""
    parts = [_HEAD.pack(_VERSION, len(proof.groups))]
    for group in proof.groups:
        key_id = group.key_id.encode()
        parts += [bytes([len(key_id)]), key_id, _GROUP.pack(group.signature, group.seed, TREE_SIZES.index(group.size))]
        parts += [_COUNT.pack(len(group.wrap)), group.wrap]
    parts.append(_COUNT.pack(len(proof.leaves)))
    parts += [_ENTRY.pack(*leaf) for leaf in proof.leaves]
    return b"".join(parts)


def unpack_proof(packed: bytes) -> ContentProof:
    """Parse the form of `pack_proof` and reject any other. Raises `Refused("proof_malformed")`."""
    try:
        return _read(packed)
    except (StructError, ValueError, IndexError):
        pass  # as in other readers: the decoder's own error contains the bytes
    raise Refused("proof_malformed")


def _read(packed: bytes) -> ContentProof:
    version, group_count = _HEAD.unpack_from(packed)
    if version != _VERSION:
        raise ValueError(version)
    at, groups = _HEAD.size, []
    for _ in range(group_count):
        key_end = at + 1 + packed[at]
        key_id = packed[at + 1 : key_end].decode("ascii")
        signature, seed, size = _GROUP.unpack_from(packed, key_end)
        (wrap_bytes,) = _COUNT.unpack_from(packed, key_end + _GROUP.size)
        wrap_at = key_end + _GROUP.size + _COUNT.size
        at = wrap_at + wrap_bytes
        groups.append(GroupProof(key_id, signature, seed, TREE_SIZES[size], packed[wrap_at:at]))
    (leaf_count,) = _COUNT.unpack_from(packed, at)
    entries = packed[at + _COUNT.size :]
    if leaf_count > LEAVES_MAX or len(entries) != leaf_count * _ENTRY.size:
        raise ValueError(leaf_count)
    leaves = tuple(map(Leaf._make, _ENTRY.iter_unpack(entries)))
    if any(position >= groups[group].size for group, position, _ in leaves):
        raise ValueError(leaf_count)
    counts = Counter(group for group, _, _ in leaves)
    if any(group.size != _tree_size(counts[number]) for number, group in enumerate(groups)):
        raise ValueError(group_count)  # an empty or oversized tree would cost its reader useless work
    return ContentProof(tuple(groups), leaves)


def _tree_size(count: int) -> int | None:
    """Return the number of leaves of the tree for this many messages; None for no message or too many.

    Sixteen messages have the large tree: its size must not tell a group of one recipient's from a shared group.
    """
    return TREE_SIZES[count >= TREE_SIZES[0]] if 0 < count <= GROUP_MESSAGES_MAX else None


def _fill(members: dict[int, bytes], seed: bytes, size: int) -> list[bytes]:
    """Return all leaves of a tree: the members at their positions, fillers elsewhere."""
    return [members.get(position) or sha256(seed + bytes([position])).digest() for position in range(size)]
