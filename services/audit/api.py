"""The HTTP door: flows and entries for auditors. Every look is noted with its purpose before it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from services.audit import use_cases
from services.audit.domain import EntryKind
from services.audit.ports import Partition
from services.audit.store import PostgresEntries
from services.audit.use_cases import Look
from shared.contracts.base import Contract, Digest, ErrorCode, Flag, Instant, RuleId, Uuid
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.vocabulary.answers import ReceiptOutcome

Topic = Annotated[str, Query(pattern=r"^causeway\.[a-z_.]{1,64}\.v[0-9]{1,2}$", max_length=80)]
Limit = Annotated[int, Query(ge=1, le=500)]
Number = Annotated[int, Query(ge=0, le=2**53 - 1)]
#: Described by hand: a missing one has a refusal of its own.
Purpose = Annotated[str | None, Header(max_length=64, include_in_schema=False)]
PURPOSE: Final[dict[str, Any]] = {
    "name": "Purpose",
    "in": "header",
    "required": True,
    "description": "Why the auditor looks. It is kept with the look.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]$"},
}
Count = Annotated[int, Field(ge=0)]


class KeptEntry(Contract):
    """What audit keeps of one record: where it is, what it claims, whether its sender's proof held then.

    A topic that was deleted and made again is another `generation`. `problem` says why a record is not verified.
    `detail` is what a fact states: a decision with its facts and what was not sent, a refusal, or why a record was
    parked. `rules`, `outcome` and `code` are there where a decided fact or a receipt speaks of the message.
    """

    position: Count
    at: Instant
    topic: str
    generation: Uuid
    partition: Count
    offset: Count
    previous_offset: Count | None
    kind: EntryKind
    type: str | None
    subject: str | None
    sender: str | None
    recipient: str | None
    sequence: Count | None
    message_id: Uuid | None
    digest: Digest
    verified: Flag
    problem: ErrorCode | None
    exercise: Flag | None
    detail: dict[str, Any] | None
    rules: tuple[RuleId, ...]
    outcome: ReceiptOutcome | None
    code: ErrorCode | None


class Flow(Contract):
    """All messages of one referral, in the order of the broker's time."""

    referral_id: Uuid
    messages: Annotated[tuple[KeptEntry, ...], Field(min_length=1)]


class EntryPage(Contract):
    """Entries of one partition, in the order of their offsets; and the topic's generations, the newest last."""

    generations: tuple[Uuid, ...]
    items: tuple[KeptEntry, ...]


def flows_router(entries: PostgresEntries, identified: Callable[[Request], Awaitable[Identity]]) -> APIRouter:
    """The routes under /v1/flows and /v1/entries."""
    router = APIRouter(prefix="/v1", tags=["audit"])
    who = Depends(identified)

    @router.get("/flows/{referral_id}", **shows(Flow, headers=[PURPOSE]))
    async def flow(referral_id: UUID, identity: Identity = who, purpose: Purpose = None) -> Response:
        """All messages of one referral, in the order of the broker's time."""
        found = await use_cases.show_flow(referral_id, _look(identity, purpose), entries=entries)
        return JSONResponse(dict(found))

    @router.get("/entries", **shows(EntryPage, headers=[PURPOSE]))
    async def page(
        topic: Topic,
        partition: Number,
        identity: Identity = who,
        generation: UUID | None = None,
        from_offset: Number = 0,
        limit: Limit = 100,
        purpose: Purpose = None,
    ) -> Response:
        """The entries of one partition from an offset on, in the newest generation of its topic or the one named."""
        place = Partition(topic, partition, from_offset, generation)
        found = await use_cases.show_entries(place, _look(identity, purpose), limit=limit, entries=entries)
        return JSONResponse(dict(found))

    return router


def _look(identity: Identity, purpose: str | None) -> Look:
    return Look(identity.party, identity.role, identity.exercise, purpose)
