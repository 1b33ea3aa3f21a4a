"""Signatures of webhooks by Standard Webhooks 1.0.0: HMAC-SHA256 under a shared secret.

    webhook-id           the same each time the same event is sent
    webhook-timestamp    seconds since 1970 in UTC, of this attempt
    webhook-signature    `v1,` and the base64 of HMAC-SHA256(secret, ID.TIMESTAMP.BODY); one for each valid secret

A secret is written as `whsec_` and base64. Each holder of the secret can produce a valid signature. So the signature
proves only to the receiver that a holder of the secret sent the body. In doubt, compare with the feed
(`GET /v1/events`).
"""

from __future__ import annotations

import hmac
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.core.errors import EvidenceRejected, Refused

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
#: Maximum difference of a message's time. An older message may be a replay.
TOLERANCE_S: Final = 300

_ID: Final = "webhook-id"
_AT: Final = "webhook-timestamp"
_SIGNATURE: Final = "webhook-signature"
_SECONDS = re.compile(r"[0-9]{1,12}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def new_secret() -> str:
    """Return a secret of 256 random bits. The receiver gets it once."""
    return PREFIX + b64encode(os.urandom(SECRET_BYTES)).decode()


def signed_headers(secrets: Sequence[str], message_id: str, body: bytes, *, at: datetime) -> dict[str, str]:
    """Return the three headers of one attempt, signed under each of the secrets."""
    seconds = str(int(at.timestamp()))
    signatures = [f"v1,{b64encode(_signature(each, message_id, seconds, body=body)).decode()}" for each in secrets]
    return {_ID: message_id, _AT: seconds, _SIGNATURE: " ".join(signatures)}


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, at: datetime) -> str:
    """Return the id of a message that was signed under the secret shortly before or after `at`.

    A receiver must process each id once, because an attempt with a lost answer is repeated. Raises `EvidenceRejected`:
    `webhook_headers_missing`, `webhook_headers_malformed`, `webhook_too_old`, `webhook_ahead` or
    `webhook_signature_invalid`; and `Refused("webhook_secret_malformed")`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if not {_ID, _AT, _SIGNATURE} <= given.keys():
        raise EvidenceRejected("webhook_headers_missing", f"{_ID}, {_AT} and {_SIGNATURE} are required")
    message_id, seconds = given[_ID], given[_AT]
    if not _MESSAGE_ID.fullmatch(message_id) or not _SECONDS.fullmatch(seconds):
        raise EvidenceRejected("webhook_headers_malformed", "an id without full stops, and whole seconds since 1970")
    age_s = at.timestamp() - int(seconds)
    if age_s > TOLERANCE_S:
        raise EvidenceRejected("webhook_too_old", f"signed over {TOLERANCE_S} s ago")
    if age_s < -TOLERANCE_S:
        raise EvidenceRejected("webhook_ahead", f"signed for a time over {TOLERANCE_S} s later")
    expected = _signature(secret, message_id, seconds, body=body)
    # A list: one match among several secrets is enough. Signatures of other versions are skipped.
    matches = [hmac.compare_digest(expected, each) for each in _given(given[_SIGNATURE])]
    if not any(matches):
        raise EvidenceRejected("webhook_signature_invalid", "not signed under this secret, or changed on its way")
    return message_id


def secret_bytes(secret: str) -> bytes:
    """Return the key that a secret encodes. Raises `Refused("webhook_secret_malformed")`."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise Refused("webhook_secret_malformed", f"{PREFIX} and the base64 of 24 to 64 bytes", status=400)
    return key


def _signature(secret: str, message_id: str, seconds: str, *, body: bytes) -> bytes:
    return hmac.digest(secret_bytes(secret), f"{message_id}.{seconds}.".encode() + body, "sha256")


def _given(header: str) -> list[bytes]:
    found = []
    for each in header.split(" "):
        version, _, text = each.partition(",")
        if version == "v1":
            try:
                found.append(b64decode(text, validate=True))
            except ValueError:
                continue
    return found
