"""One signature for many messages: Ed25519 over the Merkle root of what goes to one recipient together.

Every message carries root, signature and its own path, so it proves itself alone and offline. A batch of one is the
same thing with an empty path.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from shared.envelope.attributes import BATCH_SIZE_MAX, Attributes, Envelope, Proof
from shared.envelope.keys import SigningKey, VerifyKey
from shared.kernel.errors import Defect, EvidenceRejected, Refused
from shared.ledger.proof import root_and_paths, root_from_inclusion
from shared.ledger.tree import leaf_hash

CONTEXT = "causeway-batch/v1"

KeyLookup = Callable[[str, str], VerifyKey | None]
"""(sender, key id) → the key, or None unless that sender may sign with that key *now*."""


def covered_bytes(attributes: Attributes, body: bytes) -> bytes:
    """What is signed of a message: each covered header with its name, `:` and a line feed, one more, the exact body."""
    return attributes.head.encode() + body


def message_digest(attributes: Attributes, body: bytes) -> str:
    """The message's leaf hash in its batch's tree, 64 lower-case hexadecimal digits: how all name a message's content.

    So what a receipt, audit or evidence names is what its sender has signed, and nothing else can stand for it.
    """
    return digest_of(covered_bytes(attributes, body))


def digest_of(covered: bytes) -> str:
    """The message digest of covered bytes."""
    return leaf_hash(covered).hex()


class RootCache:
    """The batch roots verified last, at most `capacity` of them; the one unused longest goes first.

    It holds only what a signature check accepted, never a refusal. Not thread-safe: one consumer loop owns it.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._verified: OrderedDict[tuple[str, bytes, int, bytes], None] = OrderedDict()

    def check(self, proof: Proof, key: VerifyKey) -> None:
        """Accept a root that `key` signed, verifying the signature only the first time. Raises `Refused`."""
        known = (key.key_id, proof.root, proof.size, proof.signature)
        if known in self._verified:
            self._verified.move_to_end(known)
            return
        key.verify(proof.signature, signed_bytes(proof.root, proof.size))
        self._verified[known] = None
        if len(self._verified) > self._capacity:
            self._verified.popitem(last=False)


def sign_batch(messages: Sequence[bytes], key: SigningKey) -> list[Proof]:
    """A proof for each of `messages` (their covered bytes), in order, with one signature for all.

    The caller sees to it that each message names `key` as its key id; a message that names another never verifies.
    """
    if not messages:
        return []
    if len(messages) > BATCH_SIZE_MAX:
        raise Defect("batch_too_large")
    leaves = [leaf_hash(message) for message in messages]
    (head, paths), size = root_and_paths(leaves), len(leaves)
    signature = key.sign(signed_bytes(head, size))
    return [
        Proof(root=head, signature=signature, index=index, size=size, path=tuple(path))
        for index, path in enumerate(paths)
    ]


def verify(envelope: Envelope, keys: KeyLookup, cache: RootCache) -> None:
    """Check that the sender signed exactly these attributes and this body.

    Success does not say that the message is new, in sequence, addressed to the reader or allowed to be sent. Raises
    `Refused` with `proof_missing`, `key_unknown` or `signature_invalid`. The lookup comes before the cache, so a key
    that is withdrawn stops at once.
    """
    attributes, proof = envelope.attributes, envelope.proof
    if proof is None:
        raise Refused("proof_missing")
    key = keys(attributes.sender, attributes.key_id)
    if key is None or key.key_id != attributes.key_id:
        raise Refused("key_unknown", field="ce_keyid")
    try:
        found = root_from_inclusion(
            leaf_hash(covered_bytes(attributes, envelope.body)), proof.index, proof.size, path=proof.path
        )
    except EvidenceRejected:
        raise Refused("signature_invalid") from None
    if found != proof.root:
        raise Refused("signature_invalid")
    cache.check(proof, key)


def signed_bytes(head: bytes, size: int) -> bytes:
    """What the Ed25519 signature is over: context, root in hexadecimal and size in decimal, a line feed after each."""
    return f"{CONTEXT}\n{head.hex()}\n{size}\n".encode()
