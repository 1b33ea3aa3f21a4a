"""Rows of amendments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared.core.protocol.amend import CurrentEdge


@dataclass(frozen=True, slots=True)
class AmendableReferral:
    """A referral for an amendment, locked with its edges. `content` is in the clear, None after erasure.

    `numbered` is the highest number that any of its items had, None if that is the highest of the present items.
    `edges` are the current ones, `ended` as in `AmendmentInput`.
    """

    referral_id: UUID
    party: str
    external_ref: str
    exercise: bool
    state: str
    revision: int
    content: bytes | None
    numbered: int | None
    body_sha256: str
    traceparent: str | None
    edges: tuple[CurrentEdge, ...]
    ended: frozenset[str]


class WrongProvider(NamedTuple):
    """The open items of a notice that its provider says it does not host.

    They have the origin's own numbers, each with the provider that the answer suggests, if any.
    """

    recipient: str
    items: Mapping[int, str | None]


class RevisionContent(NamedTuple):
    """The record of one revision, as JSON."""

    revision: int
    content: bytes
