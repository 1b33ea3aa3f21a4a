"""The record of an acknowledgement: canonical JSON under one Ed25519 signature; unnumbered, in the urgent lane.

It commits its reader to the exact bytes and order of all records that it took: the chain at each number covers them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import canonical_json, signed_statement
from shared.kernel.clock import coarse, rfc3339
from shared.kernel.errors import Refused
from shared.messaging.acks import Ack, LaneAck
from shared.messaging.placement import KIND, PlaceKeys
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import DIGEST_BYTES, LaneEnd, Pair

CONTEXT: Final = "causeway-ack/v1"
ACK: Final = b"ack"
#: An acknowledgement has a fixed shape, so its record is small.
ACK_BYTES_MAX: Final = 4096


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


#: An instance's id, as topic names have it.
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class _Lane(_Model):
    through: int = Field(ge=0, le=2**53 - 1)
    chain: str = Field(pattern=f"^([0-9a-f]{{{2 * DIGEST_BYTES}}})?$")
    is_full: bool
    has_gap: bool
    topic_id: UUID | None
    next_offset: int = Field(ge=0, le=2**53 - 1)


class _End(_Model):
    number: int = Field(ge=0, le=2**53 - 1)
    chain: str = Field(pattern=f"^[0-9a-f]{{{2 * DIGEST_BYTES}}}$")


class _Stated(_Model):
    version: int = Field(ge=1, le=1)
    reader: _Name
    writer: _Name
    addressee: _Name
    incarnation: UUID | None
    lanes: tuple[_Lane, _Lane]
    at: datetime
    closed: UUID | None
    nonce: UUID | None
    echo: UUID | None
    own_incarnation: UUID | None
    heads: tuple[_End, _End] | None
    key_id: str = Field(max_length=64)
    signature: str = Field(max_length=128)


def build_ack_record(ack: Ack, key: SigningKey) -> RecordBytes:
    """Sign an acknowledgement and return its record."""
    stated = _to_json(ack) | {"key_id": key.key_id}
    signature = to_base64url(key.sign(signed_statement(CONTEXT, stated)))
    value = canonical_json(stated | {"signature": signature})
    return RecordBytes(b"", ((KIND, ACK),), value)


def parse_ack_record(value: bytes, keys: PlaceKeys, at: datetime) -> Ack:
    """Read an acknowledgement that the broker took at `at`, and check its signature.

    Raises `Refused` with `ack_malformed`, `key_unknown` or `signature_invalid`. The caller checks that its reader may
    acknowledge the pair.
    """
    if len(value) > ACK_BYTES_MAX:
        raise Refused("ack_malformed")
    try:
        stated = _Stated.model_validate_json(value)
        signature = from_base64url(stated.signature)
        rfc3339(stated.at)
    except (ValidationError, ValueError, OverflowError):
        raise Refused("ack_malformed") from None
    signed = stated.model_dump(mode="json", exclude={"signature"}) | {"at": rfc3339(stated.at)}
    if canonical_json(signed | {"signature": stated.signature}) != value:
        raise Refused("ack_malformed")
    key = keys(stated.reader, stated.key_id, at)
    if key is None:
        raise Refused("key_unknown")
    key.verify(signature, signed_statement(CONTEXT, signed))
    urgent, ordinary = (LaneAck(**(dict(lane) | {"chain": bytes.fromhex(lane.chain)})) for lane in stated.lanes)
    return Ack(
        reader=stated.reader,
        pair=Pair(stated.writer, stated.addressee),
        incarnation=stated.incarnation,
        lanes=(urgent, ordinary),
        at=stated.at,
        closed=stated.closed,
        nonce=stated.nonce,
        echo=stated.echo,
        own_incarnation=stated.own_incarnation,
        heads=None if stated.heads is None else (_end(stated.heads[0]), _end(stated.heads[1])),
    )


def _to_json(ack: Ack) -> dict[str, object]:
    lanes = [said._asdict() | {"chain": said.chain.hex(), "topic_id": _text(said.topic_id)} for said in ack.lanes]
    heads = None if ack.heads is None else [{"number": end.number, "chain": end.chain.hex()} for end in ack.heads]
    return {
        "version": 1,
        "reader": ack.reader,
        "writer": ack.pair.writer,
        "addressee": ack.pair.addressee,
        "incarnation": _text(ack.incarnation),
        "lanes": lanes,
        "at": rfc3339(coarse(ack.at)),
        "closed": _text(ack.closed),
        "nonce": _text(ack.nonce),
        "echo": _text(ack.echo),
        "own_incarnation": _text(ack.own_incarnation),
        "heads": heads,
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _end(end: _End) -> LaneEnd:
    return LaneEnd(end.number, bytes.fromhex(end.chain))
