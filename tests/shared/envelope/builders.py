"""Messages for the envelope's tests: fixed ones, and hypothesis strategies for any."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import strategies as st

from shared.envelope.batch import covered_bytes, sign_batch
from shared.envelope.headers import Attributes, Envelope, Tier
from shared.envelope.keys import SigningKey, VerifyKey

KEY = SigningKey(bytes(range(32)))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY = b'{"clear":{"revision":1},"sealed":"v1.x25519.AAAA"}'


def uuid7_of(number: int) -> UUID:
    """The UUIDv7 whose other 122 bits are `number`."""
    return UUID(int=(number & ~(0xF << 76) & ~(0b11 << 62)) | (0x7 << 76) | (0b10 << 62))


def attributes(number: int = 1, *, key_id: str = KEY.key_id, sender: str = "hotline-a") -> Attributes:
    return Attributes(
        id=uuid7_of(number << 96 | 0xABCDEF << 32 | number),
        type="causeway.referral_routed.v1",
        source="/instances/hotline",
        time=datetime(2026, 3, 1, 12, 30, 15, 120_000, tzinfo=UTC),
        subject=str(uuid7_of(number << 90)),
        dataschema="https://schemas.causeway.example/referral_routed/v1",
        sender=sender,
        recipient="agency-b",
        tier=Tier.HOSTED,
        key_id=key_id,
        sequence=number,
        exercise=False,
    )


def batch(size: int, *, key: SigningKey = KEY) -> list[Envelope]:
    """`size` messages under one signature of `key`, each with a body of its own."""
    drafts = [(attributes(number, key_id=key.key_id), BODY + b" " * number) for number in range(1, size + 1)]
    proofs = sign_batch([covered_bytes(draft, body) for draft, body in drafts], key)
    return [Envelope(draft, proof, body) for (draft, body), proof in zip(drafts, proofs, strict=True)]


def keys_of(*known: VerifyKey, sender: str = "hotline-a") -> dict[tuple[str, str], VerifyKey]:
    """A directory in which `sender` may sign with each of `known`."""
    return {(sender, key.key_id): key for key in known}


visible_texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=256)
instance_names = st.text(string.ascii_letters + string.digits + "._~-", min_size=1, max_size=40)
times = st.datetimes(
    min_value=datetime.fromisoformat("1970-01-02"),
    max_value=datetime.fromisoformat("2500-01-01"),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
any_attributes = st.builds(
    Attributes,
    id=st.integers(0, 2**128 - 1).map(uuid7_of),
    type=visible_texts,
    source=instance_names.map("/instances/{}".format),
    time=times,
    subject=visible_texts,
    dataschema=visible_texts,
    sender=visible_texts,
    recipient=visible_texts,
    tier=st.sampled_from(Tier),
    key_id=visible_texts,
    sequence=st.integers(0, 2**63 - 1),
    exercise=st.booleans(),
)
