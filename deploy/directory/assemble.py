"""The directory of an exchange, put together from what its members hand over: for the approvers to judge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from deploy.directory.approval import document_body, valid_until
from shared.contracts.directory import Directory, Instance, Party, PublicKey


def assembled(
    parties: Sequence[Party],
    instances: Sequence[Instance],
    *,
    beat_keys: Sequence[PublicKey],
    version: int,
    issued_on: date,
) -> bytes:
    """The whole document: issued on that day, valid as long as any. Whether it fits together the desk says."""
    directory = Directory(
        version=version,
        issued_on=issued_on,
        valid_until=valid_until(issued_on),
        beat_keys=tuple(beat_keys),
        instances=tuple(instances),
        parties=tuple(sorted(parties, key=lambda party: party.id)),
    )
    return document_body(directory)
