"""Messages for the envelope's tests: fixed ones, and hypothesis strategies for any."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import strategies as st

from shared.envelope.batch import covered_bytes, sign_batch
from shared.envelope.headers import COVERED, FIRST_OF_EPOCH, PROOF, Attributes, Envelope, Previous, Tier
from shared.envelope.keys import SigningKey, VerifyKey
from shared.kernel.clock import coarse

KEY = SigningKey(bytes(range(32)))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EPOCH = UUID("0195395e-fa00-7abc-8def-0123456789ab")
GUARD = "00112233445566778899aabbccddeeff normal"
BODY = b'{"clear":{"revision":1},"sealed":"v2.x25519.x25519-00.AAAA"}'


def uuid7_of(number: int) -> UUID:
    """The UUIDv7 whose other 122 bits are `number`."""
    return UUID(int=(number & ~(0xF << 76) & ~(0b11 << 62)) | (0x7 << 76) | (0b10 << 62))


def attributes(number: int = 1, *, key_id: str = KEY.key_id, sender: str = "hotline-a") -> Attributes:
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
        key_id=key_id,
        sequence=number,
        exercise=False,
        epoch=EPOCH,
        guard=GUARD,
    )


def batch(size: int, *, key: SigningKey = KEY) -> list[Envelope]:
    """`size` messages under one signature of `key`, each with a body of its own."""
    drafts = [(attributes(number, key_id=key.key_id), BODY + b" " * number) for number in range(1, size + 1)]
    proofs = sign_batch([covered_bytes(draft, body) for draft, body in drafts], key)
    return [Envelope(draft, proof, body) for (draft, body), proof in zip(drafts, proofs, strict=True)]


def with_everything() -> Envelope:
    """The seventh of eleven signed messages: the first of an epoch, from a later release that says more."""
    drafts = [attributes(number) for number in range(1, 12)]
    drafts[6] = replace(drafts[6], previous=Previous(EPOCH, 41), extensions=(("ce_xhint", "1"), ("ce_xmore", "later")))
    proofs = sign_batch([covered_bytes(draft, BODY) for draft in drafts], KEY)
    return Envelope(drafts[6], proofs[6], BODY)


#: The headers of `with_everything`.
EVERY = (*COVERED, *FIRST_OF_EPOCH, "ce_xhint", "ce_xmore", *PROOF)


def keys_of(*known: VerifyKey, sender: str = "hotline-a") -> dict[tuple[str, str], VerifyKey]:
    """A directory in which `sender` may sign with each of `known`."""
    return {(sender, key.key_id): key for key in known}


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
    key_id=visible_texts,
    sequence=st.integers(0, 2**53 - 1),
    exercise=st.booleans(),
    epoch=uuids,
    guard=st.builds("{} {}".format, st.text("0123456789abcdef", min_size=32, max_size=32), st.sampled_from(FATES)),
)
#: Also with what only some messages have: the first of an epoch, and one of a later release.
any_further_attributes = st.builds(
    lambda attributes, previous, extensions: replace(
        attributes, previous=previous, extensions=tuple(sorted(extensions.items()))
    ),
    any_attributes,
    st.none() | st.builds(Previous, st.none() | uuids, st.none() | st.integers(0, 2**53 - 1)),
    st.dictionaries(
        st.text(string.ascii_lowercase + string.digits, max_size=19).map("ce_x{}".format), visible_texts, max_size=3
    ),
)
