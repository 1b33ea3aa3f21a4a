"""The record of an acknowledgement: canonical JSON under one Ed25519 signature; unnumbered, in the urgent lane.

It commits its reader to the exact bytes and order of all records that it took: the chain at each number covers them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from re import compile as pattern
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import canonical_json, signed_statement
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.messaging.acks import Ack
from shared.messaging.exceptions import NUMBER_MAX
from shared.messaging.placement import KIND, PlaceKeys
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import DIGEST_BYTES

CONTEXT: Final = "causeway-ack/v1"
ACK: Final = b"ack"
#: An acknowledgement has a fixed shape, so its record is small.
ACK_BYTES_MAX: Final = 4096
#: An instance's id, as topic names have it.
_NAME: Final = pattern("[a-z][a-z0-9_-]{0,63}")


class _Stated(BaseModel):
    """An acknowledgement as its record states it: bytes in hexadecimal, a lane as a list of its members."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="hex", val_json_bytes="hex")

    version: Literal[1] = 1
    ack: Ack
    key_id: Annotated[str, Field(max_length=64)]
    signature: Annotated[str, Field(max_length=128)] = ""


def build_ack_record(ack: Ack, key: SigningKey) -> RecordBytes:
    """Sign an acknowledgement and return its record."""
    stated = _Stated(ack=replace(ack, at=coarse(ack.at)), key_id=key.key_id)
    signed = stated.model_dump(mode="json", exclude={"signature"})
    signature = to_base64url(key.sign(signed_statement(CONTEXT, signed)))
    return RecordBytes(b"", ((KIND, ACK),), canonical_json(signed | {"signature": signature}))


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
    except (ValidationError, ValueError):
        raise Refused("ack_malformed") from None
    signed = stated.model_dump(mode="json", exclude={"signature"})
    if not _is_bounded(stated.ack) or canonical_json(signed | {"signature": stated.signature}) != value:
        raise Refused("ack_malformed")
    key = keys(stated.ack.reader, stated.key_id, at)
    if key is None:
        raise Refused("key_unknown")
    key.verify(signature, signed_statement(CONTEXT, signed))
    return stated.ack


def _is_bounded(ack: Ack) -> bool:
    """Return whether names, numbers and digests have their form, and the time is of UTC."""
    heads = ack.heads or ()
    numbers = [number for lane in ack.lanes for number in (lane.through, lane.next_offset)]
    return (
        all(_NAME.fullmatch(name) for name in (ack.reader, *ack.pair))
        and all(0 <= number <= NUMBER_MAX for number in (*numbers, *(end.number for end in heads)))
        and all(len(lane.chain) in (0, DIGEST_BYTES) for lane in ack.lanes)
        and all(len(end.chain) == DIGEST_BYTES for end in heads)
        and ack.at.utcoffset() == timedelta()
    )
