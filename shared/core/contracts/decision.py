"""A routing decision in messages: facts, edges, and the digests that bind them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.core.contracts.base import Contract, Day, Digest, Instant, Jurisdiction, PartyId, RuleId
from shared.core.contracts.policy import Deadlines, FactValue, Handling, LegalBasis
from shared.core.vocabulary import referral as codes
from shared.core.vocabulary.routing import PartyKind, Purpose, Reason, WithheldField

_Jurisdictions = Annotated[tuple[Jurisdiction, ...], Field(max_length=40)]
#: Maximum items of a referral.
ITEMS_MAX = 10
#: Maximum edges of a decision, sent or removed by prohibitions, because audit gets them in one record.
EDGES_MAX = 200


class ItemFacts(Contract):
    """The S1 facts of one item. Absent is None; a list that was read is present even if it is empty.

    `locator_kinds` has one kind. `assessments` are written `scheme:value`. In an edge, `hosting`, `providers` and
    `provider_establishment` are those that lead to its recipient.
    """

    locator_kinds: Annotated[tuple[codes.LocatorKind, ...], Field(max_length=16)] | None = None
    assessments: Annotated[tuple[FactValue, ...], Field(max_length=40)] | None = None
    hosting: _Jurisdictions | None = None
    provider_establishment: _Jurisdictions | None = None
    providers: Annotated[tuple[PartyId, ...], Field(max_length=40)] | None = None


class Facts(Contract):
    """The S1 facts of one referral: all of them in a decision, only those that its rules read in an edge.

    Absent is None. A list that was read is present even if it is empty. Lists are sorted and without repeats, except
    `items`, which are in the order of the record.
    """

    origin: PartyId | None = None
    origin_kind: PartyKind | None = None
    reporter: _Jurisdictions | None = None
    incident_kind: codes.IncidentKind | None = None
    incident_flags: Annotated[tuple[codes.IncidentFlag, ...], Field(max_length=32)] | None = None
    media_kind: codes.MediaKind | None = None
    viewed_by: codes.ViewedBy | None = None
    priority: codes.PriorityLevel | None = None
    actionable: codes.Actionability | None = None
    user: _Jurisdictions | None = None
    victim: _Jurisdictions | None = None
    observed_on: Day | None = None
    items: Annotated[tuple[ItemFacts, ...], Field(max_length=ITEMS_MAX)] | None = None


class Edge(Contract):
    """One recipient for one purpose, with all data to derive exactly this edge again.

    `rules` are all permits that propose it, sorted. `basis` has their legal bases in the same order. `reason` is that
    of the first. `handling`, `withheld` and `deadlines` are the strictest of them. `digest` covers the edge with the
    documents, engine and time of its decision.
    """

    recipient: PartyId
    purpose: Purpose
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1, max_length=32)]
    reason: Reason
    basis: Annotated[tuple[LegalBasis, ...], Field(min_length=1, max_length=32)]
    handling: Handling
    withheld: Annotated[tuple[WithheldField, ...], Field(max_length=16)]
    deadlines: Deadlines
    facts: Facts
    digest: Digest


class DecisionRef(Contract):
    """A reference to an edge's decision: document digests, engine version, and time, cut to ten seconds.

    It contains nothing specific to the referral, so it does not link two edges of one decision.
    """

    directory: Digest
    policy: Digest
    engine: Annotated[int, Field(strict=True, ge=1, le=1000)]
    decided_at: Instant


class NotSent(Contract):
    """An edge that a prohibition removed, with the prohibitions' ids."""

    recipient: PartyId
    purpose: Purpose
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1, max_length=32)]
