"""Messages for the envelope's tests: fixed ones, and hypothesis strategies for arbitrary ones."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from shared.core.clock import coarse
from shared.core.envelope.attributes import COVERED, Attributes, Envelope, Tier
from shared.core.envelope.content_proof import MessageProof, leaf_digest, message_proof, prove_content
from shared.core.envelope.keys import SigningKey

KEY = SigningKey(bytes(range(32)))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GUARD = "00112233445566778899aabbccddeeff normal"
BODY = b'{"revision":1}\n\x00\xffsealed'


def uuid7_of(number: int) -> UUID:
    """The UUIDv7 whose other 122 bits are `number`."""
    return UUID(int=(number & ~(0xF << 76) & ~(0b11 << 62)) | (0x7 << 76) | (0b10 << 62))


def attributes(number: int = 1, *, sender: str = "hotline-a") -> Attributes:
    return Attributes(
        id=uuid7_of(number << 96 | 0xABCDEF << 32 | number),
        type="causeway.referral_routed.v1",
        source="/instances/hotline",
        time=datetime(2026, 3, 1, 12, 30, 10, tzinfo=UTC),
        subject=str(uuid7_of(number << 90)),
        dataschema="https://schemas.causeway.example/referral_routed/v1",
        sender=sender,
        recipient="agency-b",
        tier=Tier.HOSTED,
        exercise=False,
        guard=GUARD,
    )


class Proven(NamedTuple):
    """A message and its proof for third parties."""

    envelope: Envelope
    proof: MessageProof


def covered_bytes(attributes: Attributes, body: bytes) -> bytes:
    return attributes.head.encode() + body


def prove(envelopes: Sequence[Envelope], key: SigningKey = KEY) -> list[Proven]:
    """Messages in one group, signed by `key`."""
    salts = [bytes([number]) * 16 for number in range(len(envelopes))]
    digests = [
        leaf_digest(salt, covered_bytes(each.attributes, each.body))
        for salt, each in zip(salts, envelopes, strict=True)
    ]
    proof = prove_content([(range(len(envelopes)), b"")], digests, key)
    return [Proven(each, message_proof(proof, at, salts[at])) for at, each in enumerate(envelopes)]


def batch(size: int, *, key: SigningKey = KEY) -> list[Proven]:
    """`size` messages under one signature of `key`, each with a body of its own."""
    return prove([Envelope(attributes(number), BODY + b" " * number) for number in range(1, size + 1)], key)


def with_everything() -> Proven:
    """The seventh of eleven signed messages, in the form of a later release with more headers."""
    drafts = [attributes(number) for number in range(1, 12)]
    drafts[6] = replace(drafts[6], extensions=(("ce_xhint", "1"), ("ce_xmore", "later")))
    return prove([Envelope(each, BODY) for each in drafts])[6]


#: The headers of `with_everything`.
EVERY = (*COVERED, "ce_xhint", "ce_xmore")

visible_texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=256)
instance_names = st.text(string.ascii_letters + string.digits + "._~-", min_size=1, max_size=40)
times = st.datetimes(
    min_value=datetime.fromisoformat("1970-01-02"),
    max_value=datetime.fromisoformat("2500-01-01"),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).map(coarse)
uuids = st.integers(0, 2**128 - 1).map(uuid7_of)
FATES = ("normal", "released")
any_attributes = st.builds(
    Attributes,
    id=uuids,
    type=visible_texts,
    source=instance_names.map("/instances/{}".format),
    time=times,
    subject=visible_texts,
    dataschema=visible_texts,
    sender=visible_texts,
    recipient=visible_texts,
    tier=st.sampled_from(Tier),
    exercise=st.booleans(),
    guard=st.builds("{} {}".format, st.text("0123456789abcdef", min_size=32, max_size=32), st.sampled_from(FATES)),
)
#: Also with the extensions of a later release.
any_further_attributes = st.builds(
    lambda attributes, extensions: replace(attributes, extensions=tuple(sorted(extensions.items()))),
    any_attributes,
    st.dictionaries(
        st.text(string.ascii_lowercase + string.digits, max_size=19).map("ce_x{}".format), visible_texts, max_size=3
    ),
)
