"""S3 content at rest: each record under a data key of its own; deleting the wrapped key erases the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, reveal, unwrap, wrap
from shared.exchange.message import Received
from shared.kernel.errors import Defect


def seal_contents(messages: Sequence[Received], kek: KeyEncryptionKey) -> list[tuple[bytes, bytes]]:
    """(protected content, wrapped key) of each message's opened sealed part, bound to its subject."""
    contents = []
    for message in messages:
        if message.sealed is None:
            raise Defect("sealed_part_missing")
        key, subject = DataKey.generate(), UUID(message.subject).bytes
        plaintext = message.sealed.model_dump_json(exclude_none=True, exclude_defaults=True).encode()
        contents.append((protect(plaintext, key, subject), wrap(key, kek, subject)))
    return contents


def open_content(content: bytes, wrapped: bytes | None, kek: KeyEncryptionKey, *, subject: UUID) -> Any:
    """The record as JSON, or None when it was erased."""
    if wrapped is None:
        return None
    return json.loads(reveal(content, unwrap(wrapped, kek, subject.bytes), subject.bytes))
