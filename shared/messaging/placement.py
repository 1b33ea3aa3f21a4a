"""Records on Kafka: numbered messages, and the proof record that precedes every append of a segment.

    message record  its covered headers, `salt`, `place` (incarnation 16 ‖ number 8), maybe `traceparent`; its value
    proof record    header `causeway: proof`; the place of the segment, signed, and its content proof; no number

The relay adds places outside all locks. The place signature covers the stream, the numbers, the chain before and after
them and the content proof. So a record that is moved to another place is invalid there. The place is not part of
evidence.
"""

from __future__ import annotations

import hashlib
from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import Struct, pack, unpack_from
from struct import error as StructError  # noqa: N812 - the library's class has a lower-case name
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.envelope.content_proof import (
    SALT_BYTES,
    ContentProof,
    Leaf,
    MessageProof,
    check_groups,
    leaf_digest,
    message_proof,
    unpack_proof,
)
from shared.core.envelope.headers import PLACE, SALT, is_signed
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.errors import Refused
from shared.core.ids import uuid_of
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.streams import DIGEST_BYTES, Lane, Pair, StreamPlace, extend_chain

CONTEXT: Final = "causeway-place/v1"
KIND: Final = "causeway"
PROOF: Final = b"proof"

_PLACE: Final = Struct(">16sQ")
_HEAD: Final = Struct(f">B16sBQH{DIGEST_BYTES}s64s")
_VERSION: Final = 1

#: (instance, key id, the broker's time of the record) → the key, or None. A key counts if the directory had it at that
#: time and it has not been revoked since.
PlaceKeys = Callable[[str, str, datetime], VerifyKey | None]
Headers = Iterable[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class ProvenSegment:
    """A segment's place and content from its proof record, with a valid place signature.

    `digests`: for each number from `first` on. `is_signed`: for each of them, whether its group's content signature is
    valid. `proof`: the content proof as it arrived. `members`: the index of each number's leaf in it.
    """

    pair: Pair
    incarnation: UUID
    lane: Lane
    first: int
    chain_before: bytes
    digests: tuple[bytes, ...]
    is_signed: tuple[bool, ...]
    proof: ContentProof
    members: tuple[int, ...]

    def leaf(self, number: int) -> Leaf:
        """Return the leaf of a number. Raises `IndexError` if the segment does not have it."""
        return self.proof.leaves[self.members[number - self.first]]

    def wrap(self, number: int) -> bytes:
        """Return the encapsulated data key of the group that a number belongs to."""
        return self.proof.groups[self.leaf(number).group].wrap

    def prove(self, number: int, salt: bytes) -> MessageProof:
        """Return the proof of one message for outsiders."""
        return message_proof(self.proof, self.members[number - self.first], salt)

    def has(self, place: StreamPlace) -> bool:
        """Return whether this place lies in the segment."""
        is_here = place.incarnation == self.incarnation and place.lane is self.lane
        return is_here and self.first <= place.number < self.first + len(self.digests)


def build_proof_record(segment: Segment, key: SigningKey) -> RecordBytes:
    """Sign the place of a segment and return its proof record: the same bytes at every append."""
    proof = unpack_proof(segment.proof)
    index = {leaf.digest: at for at, leaf in enumerate(proof.leaves)}
    members = [index[message.digest] for message in segment.messages]
    signature = key.sign(_signed_bytes(segment))
    head = _HEAD.pack(
        _VERSION, segment.incarnation.bytes, segment.lane, segment.first, len(members), segment.chain_before, signature
    )
    names = [bytes([len(text)]) + text.encode("ascii") for text in (*segment.pair, key.key_id)]
    value = b"".join((head, *names, pack(f">{len(members)}H", *members), segment.proof))
    return RecordBytes(b"", ((KIND, PROOF),), value)


def place_record(record: RecordBytes, place: StreamPlace) -> RecordBytes:
    """Return a record with its place."""
    header = PLACE, write_hex(_PLACE.pack(place.incarnation.bytes, place.number))
    return record._replace(headers=(*record.headers, header))


def parse_proof_record(value: bytes, keys: PlaceKeys, at: datetime) -> ProvenSegment:
    """Read a proof record that the broker took at `at`, and check its place signature.

    Raises `Refused` with `proof_malformed`, `key_unknown` or `signature_invalid`. `is_signed` shows a group with an
    invalid content signature: its messages become dead letters, and the others are taken.
    """
    try:
        stated, proof, members = _read_proof(value)
        digests = tuple(proof.leaves[member].digest for member in members)
    except (StructError, ValueError, IndexError):
        raise Refused("proof_malformed") from None
    key = keys(stated.pair.writer, stated.key_id, at)
    if key is None:
        raise Refused("key_unknown")
    packed = value[len(value) - stated.proof_bytes :]
    key.verify(
        stated.signature, _statement(stated, extend_chain(stated.chain_before, digests), packed, count=len(members))
    )
    valid = check_groups(proof, proof.roots(), lambda key_id: keys(stated.pair.writer, key_id, at))
    signed = tuple(valid[proof.leaves[member].group] for member in members)
    where = stated.pair, stated.incarnation, stated.lane, stated.first, stated.chain_before
    return ProvenSegment(*where, digests, signed, proof, members)


def parse_place(value: bytes | None, lane: Lane) -> StreamPlace | None:
    """Read the place of a message record in this lane's partition; return None if it is malformed."""
    packed = read_hex(value, _PLACE.size)
    if packed is None:
        return None
    incarnation, number = _PLACE.unpack(packed)
    return StreamPlace(uuid_of(int.from_bytes(incarnation)), lane, number) if number else None


def write_hex(raw: bytes) -> bytes:
    """Return bytes as a header has them, so that each reader of CloudEvents can decode it: lower-case hexadecimal."""
    return hexlify(raw)


def read_hex(text: bytes | None, size: int) -> bytes | None:
    """Read `size` bytes as `write_hex` writes them; return None for any other text."""
    if text is None or len(text) != 2 * size:
        return None
    try:
        raw = unhexlify(text)
    except ValueError:
        return None
    return raw if hexlify(raw) == text else None


def covered_bytes(headers: Headers, value: bytes) -> bytes:
    """Return the bytes that a leaf covers: each `ce_` header and the content type, sorted by name, then the value.

    Each header is its name, `:`, its value and a line feed; one more line feed precedes the value.
    """
    return _join_head({name: text or b"" for name, text in headers if is_signed(name)}) + value


def _join_head(covered: Mapping[str, bytes]) -> bytes:
    return b"".join([b"%s:%s\n" % (name.encode(), text) for name, text in sorted(covered.items())]) + b"\n"


def digest_record(headers: Sequence[tuple[str, bytes | None]], value: bytes) -> bytes | None:
    """Return the digest of a message record, or None if it has none.

    It needs one salt of fixed length. Each covered header must occur once and have a value without a line feed.
    Otherwise bytes could move between salt, headers and value without a change of the digest.
    """
    salts, covered = [], dict[str, bytes]()
    for name, text in headers:
        if name == SALT:
            salts.append(text)
        elif is_signed(name):
            if text is None or name in covered:
                return None
            covered[name] = text
    salt = read_hex(salts[0], SALT_BYTES) if len(salts) == 1 else None
    head = _join_head(covered)
    return None if salt is None or head.count(b"\n") > len(covered) + 1 else leaf_digest(salt, head + value)


class _ProofText(NamedTuple):
    pair: Pair
    incarnation: UUID
    lane: Lane
    first: int
    chain_before: bytes
    signature: bytes
    key_id: str
    proof_bytes: int = 0


def _read_proof(value: bytes) -> tuple[_ProofText, ContentProof, tuple[int, ...]]:
    version, incarnation, lane, first, count, chain_before, signature = _HEAD.unpack_from(value)
    if version != _VERSION or not first or not count:
        raise ValueError(version)
    at, texts = _HEAD.size, []
    for _ in range(3):
        end = at + 1 + value[at]
        texts.append(value[at + 1 : end].decode("ascii"))
        at = end
    members = unpack_from(f">{count}H", value, at)
    packed = value[at + 2 * count :]
    proof = unpack_proof(packed)
    writer, addressee, key_id = texts
    where = Pair(writer, addressee), UUID(bytes=incarnation), Lane(lane), first, chain_before
    stated = _ProofText(*where, signature, key_id, len(packed))
    return stated, proof, members


def _signed_bytes(segment: Segment) -> bytes:
    where = segment.pair, segment.incarnation, segment.lane, segment.first, segment.chain_before
    return _statement(_ProofText(*where, b"", ""), segment.chain, segment.proof, count=len(segment.messages))


def _statement(stated: _ProofText, chain: bytes, proof: bytes, *, count: int) -> bytes:
    """Return the bytes under a place signature: one line each, in this order."""
    lines = (
        CONTEXT,
        *stated.pair,
        stated.incarnation,
        int(stated.lane),
        stated.first,
        count,
        stated.chain_before.hex(),
        chain.hex(),
        hashlib.sha256(proof).hexdigest(),
    )
    return "".join(f"{line}\n" for line in lines).encode()
