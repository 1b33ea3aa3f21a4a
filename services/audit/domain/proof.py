"""The batch proof of a record as audit keeps it, and what holds of it when somebody looks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from shared.contracts.base import Contract, Digest, Instant, Uuid
from shared.envelope.base64url import to_base64url
from shared.envelope.batch import signed_bytes
from shared.envelope.keys import VerifyKey
from shared.kernel.errors import EvidenceRejected, Refused
from shared.ledger.proof import root_from_inclusion
from shared.routing.directory_index import DirectoryIndex

_Count = Annotated[int, Field(ge=0)]
_HASH_BYTES: Final = 32


class SignatureIs(StrEnum):
    """What a check of the signature over the batch's root, and of the way to it, comes to now."""

    VALID = "valid"
    INVALID = "invalid"
    #: The directory of its time has no such key, or it counted for nothing then.
    OF_NO_KEY = "of_no_key"


@dataclass(frozen=True, slots=True)
class KeptProof:
    """The proof as it came: root and path of hashes of 32 bytes, one signature for all of the batch."""

    key_id: str
    root: bytes
    signature: bytes
    index: int
    size: int
    path: bytes


class Place(NamedTuple):
    """Where a record lies, and what it is: enough to find its one entry."""

    topic: str
    topic_id: Uuid
    partition: int
    offset: int
    at: datetime
    digest: str


class Proof(Contract):
    """The proof of one record, and where that lies.

    `path` leads from its `digest`, leaf number `index` of `size`, to `root`. `signature` is over root and size, by
    `key_id`, which was `signed_by`'s by the directory of its time. Audit keeps no record, so it cannot make the digest
    again; whoever has the record can.
    """

    topic: str
    topic_id: Uuid
    partition: _Count
    offset: _Count
    at: Instant
    digest: Digest
    key_id: str
    signed_by: str | None
    root: Digest
    size: _Count
    index: _Count
    path: tuple[Digest, ...]
    signature: str
    signature_is: SignatureIs


def proof_of(place: Place, kept: KeptProof, directory: DirectoryIndex | None) -> Proof:
    """The proof, with its way and its signature checked anew, by the key that the directory of its time has."""
    key = directory.signing_key(kept.key_id) if directory is not None else None
    public = None if key is None or not key.valid_at(place.at) else key.public
    path = tuple(kept.path[step : step + _HASH_BYTES] for step in range(0, len(kept.path), _HASH_BYTES))
    return Proof(
        topic=place.topic,
        topic_id=place.topic_id,
        partition=place.partition,
        offset=place.offset,
        at=place.at,
        digest=place.digest,
        key_id=kept.key_id,
        signed_by=key.owner if key is not None else None,
        root=kept.root.hex(),
        size=kept.size,
        index=kept.index,
        path=tuple(step.hex() for step in path),
        signature=to_base64url(kept.signature),
        signature_is=_signature(place, kept, path=path, public=public),
    )


def _signature(place: Place, kept: KeptProof, *, path: tuple[bytes, ...], public: bytes | None) -> SignatureIs:
    if public is None:
        return SignatureIs.OF_NO_KEY
    try:
        VerifyKey(public).verify(kept.signature, signed_bytes(kept.root, kept.size))
        if root_from_inclusion(bytes.fromhex(place.digest), kept.index, kept.size, path=path) != kept.root:
            return SignatureIs.INVALID
    except (Refused, EvidenceRejected):
        return SignatureIs.INVALID
    return SignatureIs.VALID
