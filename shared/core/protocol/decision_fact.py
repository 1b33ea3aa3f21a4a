"""Decision facts for audit, and the commitments that bind decisions to the messages with their edges.

The decisions of one transaction travel in one message: its sealed part has them in the order of its clear part. A
recipient also compares the facts of an edge with its record and with the public directory, as far as it can see them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from shared.core.canonical import Json, JsonView
from shared.core.clock import coarse, rfc3339
from shared.core.contracts.decision import Edge, Facts, ItemFacts
from shared.core.contracts.facts import DECISIONS_MAX, DecidedReferral, ReferralDecidedSealed, SealedDecision
from shared.core.contracts.referral import NoticeItem, NoticeRecord, NumberedItem, ReferralRecord
from shared.core.contracts.registry import REFERRAL_DECIDED
from shared.core.envelope.base64url import from_base64url, to_base64url
from shared.core.envelope.segment_sealing import BUCKET_BYTES_MAX, is_sealable
from shared.core.errors import Refused
from shared.core.ids import uuid_of
from shared.core.protocol.message import Draft, compose_fact
from shared.core.protocol.minimise import ITEM_FIELDS, RECORD_FIELDS, sent_hashes
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import TOLERANCE
from shared.core.routing.engine import ENGINE, RoutedEdge, RoutingInput, RoutingResult, judge
from shared.core.routing.facts import SINGLE_FACTS
from shared.core.vocabulary.routing import Disposition, PartyKind, WithheldField, WorkReason

_ALL_ITEM_FIELDS: Final = frozenset(ITEM_FIELDS)


def check_facts(facts: Facts, directory: DirectoryIndex) -> None:
    """Raise `Refused` if facts about a party differ from the directory."""
    origin = directory.party(facts.origin or "")
    if origin is None:
        raise _otherwise("origin")
    if facts.origin_kind not in (None, origin.kind):
        raise _otherwise("origin_kind")
    if facts.reporter is not None and set(facts.reporter) != set(origin.jurisdictions):
        raise _otherwise("reporter")
    for item in facts.items or ():
        if item.providers is None or item.provider_establishment is None:
            continue
        found = [directory.party(provider) for provider in item.providers]
        if set(item.provider_establishment) != {code for party in found if party for code in party.jurisdictions}:
            raise _otherwise("items")


def check_record(edge: Edge, record: ReferralRecord | NoticeRecord, kind: str, *, hash_kinds: Collection[str]) -> None:
    """Raise `Refused` if a record differs from its edge, or has more than its recipient may get.

    `hash_kinds` are those that the edge's rules allow.
    """
    stated = edge.facts
    if isinstance(record, ReferralRecord):
        for name, tell in _TOLD.items():
            said = getattr(stated, name)
            if said is not None and _WITHHELD.get(name) not in edge.withheld and said != tell(record):
                raise _otherwise(name)
        _check_fields(edge, record, kind)
    else:
        for name in _TOLD_TO_PROVIDERS:
            if getattr(stated, name) not in (None, getattr(record, name)):
                raise _otherwise(name)
    _check_hashes(record, hash_kinds)
    if stated.items is None:
        return
    if len(stated.items) != len(record.items):
        raise _otherwise("items")
    items: tuple[NumberedItem | NoticeItem, ...] = record.items
    for facts, item in zip(stated.items, items, strict=True):
        _check_item(facts, item, edge.withheld)


#: The facts that a referral's record shows, each in the form of `Facts`; and those that a notice's record also shows.
_TOLD: Final[Mapping[str, Callable[[ReferralRecord], object]]] = {
    "incident_kind": lambda record: record.incident_kind,
    "media_kind": lambda record: record.media_kind,
    "viewed_by": lambda record: record.viewed_by,
    "priority": lambda record: record.priority.level,
    "actionable": lambda record: record.actionable.status,
    "incident_flags": lambda record: tuple(sorted(set(record.incident_flags))),
    "observed_on": lambda record: record.observed_at.astimezone(UTC).date(),
    "user": lambda record: tuple(sorted(set(record.user_jurisdictions))),
    "victim": lambda record: tuple(sorted(set(record.victim_jurisdictions))),
}
_TOLD_TO_PROVIDERS: Final = ("incident_kind", "media_kind")
_WITHHELD: Final = {"user": WithheldField.USER_JURISDICTIONS, "victim": WithheldField.VICTIM_JURISDICTIONS}


def _check_fields(edge: Edge, record: ReferralRecord, kind: str) -> None:
    """Check that the record has only fields of the recipient's kind, and none that the edge withholds."""
    withheld = {field.value for field in edge.withheld}
    if record.model_fields_set - set(RECORD_FIELDS.get(kind, ())) or record.model_fields_set & withheld:
        raise Refused("edge_not_reproducible", "its record has withheld fields", field="/sealed/record")
    if any(item.model_fields_set - _ALL_ITEM_FIELDS or item.model_fields_set & withheld for item in record.items):
        raise Refused("edge_not_reproducible", "its items have withheld fields", field="/sealed/record/items")


def _check_hashes(record: ReferralRecord | NoticeRecord, hash_kinds: Collection[str]) -> None:
    items: tuple[NumberedItem | NoticeItem, ...] = record.items
    found = [item.hashes.model_fields_set for item in items if item.hashes is not None]
    if any(sent != kinds for kinds, sent in zip(found, sent_hashes(found, hash_kinds), strict=True)):
        raise Refused("edge_not_reproducible", "its hashes are not those that its rules allow", field="/sealed/record")


def _check_item(facts: ItemFacts, item: NumberedItem | NoticeItem, withheld: Collection[WithheldField]) -> None:
    if facts.locator_kinds not in (None, (item.locator.kind,)):
        raise _otherwise("items")
    assessed = tuple(sorted({f"{each.scheme.value}:{each.value}" for each in item.assessments}))
    if facts.assessments not in (None, assessed) and WithheldField.ASSESSMENTS not in withheld:
        raise _otherwise("items")
    if isinstance(item, NumberedItem) and not set(facts.hosting or ()) <= {each.jurisdiction for each in item.hosting}:
        raise _otherwise("items")


def _otherwise(fact: str) -> Refused:
    return Refused("edge_not_reproducible", "it differs from record or directory", field=f"/sealed/edge/facts/{fact}")


#: Reasons for which some edges are not stated: they are not sent, or not yet.
_SENT_IN_PART = (WorkReason.UNDELIVERABLE, WorkReason.RECIPIENT_CANNOT_READ)
#: Reasons for which no edge is sent: not yet, or never.
_GIVEN_UP = (WorkReason.UNDELIVERABLE, WorkReason.TOO_WIDE, WorkReason.OVER_BUDGET, WorkReason.OVER_DAY)
_DECISIONS: Final = "decisions"
#: The JSON text around the decision in the sealed part of a fact, as `to_json` writes it.
_BEGIN: Final = b'{"decisions":['
_END: Final = b"]}"
_DUE: Final = {"acknowledge_h": "acknowledge_by", "act_h": "act_by"}


class StatedEdge(NamedTuple):
    """An edge as its origin states it to audit. `digest`: 64 hexadecimal digits."""

    edge_id: UUID
    recipient: str
    purpose: str
    digest: str


class ReadDecision(NamedTuple):
    """One decision of an opened fact: by its contract, as the received JSON, and its edges."""

    fact: SealedDecision
    stated: Json
    edges: Sequence[StatedEdge]


# Not frozen, for the same reason as a draft.
@dataclass(slots=True, kw_only=True)
class FactBody:
    """The content of a decision fact.

    Times, documents and engine are in `decision`; `superseded` are edge ids.
    """

    referral_id: UUID
    origin: str
    body_sha256: str
    disposition: str
    decision: Json
    salt: str
    facts: Json
    edges: Sequence[tuple[UUID, str, str, str]] = ()
    not_sent: Sequence[JsonView] = ()
    superseded: Sequence[UUID] = ()
    work_reason: WorkReason | None = None
    revision: int = 1


def edge_salt(decision_salt: str, edge_id: UUID) -> str:
    """Return the salt of one edge (64 hexadecimal digits). It does not reveal any other salt."""
    return hmac.digest(bytes.fromhex(decision_salt), edge_id.bytes, "sha256").hex()


def commitment(salt: str, edge_digest: str) -> str:
    """Return SHA-256 of salt ‖ digest, both given in hexadecimal digits, as 64 hexadecimal digits."""
    return hashlib.sha256(bytes.fromhex(salt) + bytes.fromhex(edge_digest)).hexdigest()


@lru_cache(4096)  # a batch calls it with one time, for each of its messages
def due(at: datetime, hours: int) -> datetime:
    """Return the due time of an act. It counts from the message time, which is cut to ten seconds."""
    return coarse(at) + timedelta(hours=hours)


def due_times(deadlines: Mapping[str, int], at: datetime) -> dict[str, str]:
    """Return the due times of a clear part."""
    return {_DUE[name]: rfc3339(due(at, hours)) for name, hours in deadlines.items()}


def decided_fact(
    stated: FactBody, *, instance: str, directory: DirectoryIndex, exercise: bool, at: datetime, traceparent: str | None
) -> Draft:
    """Compose the fact of one decision.

    The clear part says that a referral was decided; the rest is sealed for audit. `join_decided` joins the facts of a
    transaction in one message. Raises `Refused("sealed_too_large")` for a decision that exceeds one record.
    """
    return compose_fact(
        REFERRAL_DECIDED,
        clear_of_decided(stated),
        sealed=to_json(sealed_of_decided(stated)),
        subject=stated.referral_id,
        instance=instance,
        directory=directory,
        exercise=exercise,
        at=at,
        traceparent=traceparent,
    )


def join_decided(drafts: Sequence[Draft]) -> list[Draft]:
    """Join the decision facts of one transaction in as few messages as possible, after its other messages."""
    messages: list[list[Draft]] = []
    filling: dict[tuple[str, str, bool], tuple[list[Draft], int]] = {}
    for draft in drafts:
        if draft.message is REFERRAL_DECIDED:
            key = draft.sender, draft.recipient, draft.exercise
            parts, size = filling.get(key, ([], BUCKET_BYTES_MAX))
            size += len(draft.plaintext or b"")
            if len(parts) >= DECISIONS_MAX or not is_sealable(size):
                parts, size = [], len(draft.plaintext or b"")
                messages.append(parts)
            parts.append(draft)
            filling[key] = parts, size
    return [*(draft for draft in drafts if draft.message is not REFERRAL_DECIDED), *map(_joined, messages)]


def _joined(parts: Sequence[Draft]) -> Draft:
    """Join facts of one decision each in one message.

    It has the id, the subject and the trace of the first.
    """
    if len(parts) == 1:
        return parts[0]
    sealed = b",".join((each.plaintext or b"")[len(_BEGIN) : -len(_END)] for each in parts)
    told = [each.clear[_DECISIONS] for each in parts]
    clear = {_DECISIONS: [one for each in told if isinstance(each, list) for one in each]}
    return replace(parts[0], clear=clear, plaintext=_BEGIN + sealed + _END)


def stated_edges(fact: SealedDecision) -> list[StatedEdge]:
    """Return the stated edges of a decision. Raises `ValueError` for an invalid recipient number or id."""
    return [
        StatedEdge(
            uuid_of(int.from_bytes(from_base64url(each.id))),
            _recipient(fact, each.to),
            each.purpose.value,
            from_base64url(each.digest).hex(),
        )
        for each in fact.edges
    ]


def read_decided(plaintext: bytes, count: int) -> list[ReadDecision | ValueError]:
    """Read an opened fact of `count` decisions.

    A decision that violates its contract is replaced by the error. Raises `ValueError` for a part with another number
    of decisions.
    """
    stated = from_json(plaintext)
    decisions = stated.get(_DECISIONS) if isinstance(stated, dict) and len(stated) == 1 else None
    if not isinstance(decisions, list) or len(decisions) != count:
        raise ValueError("not so many decisions")
    try:
        facts: Sequence[SealedDecision | ValueError] = ReferralDecidedSealed.model_validate_json(
            plaintext, strict=True
        ).decisions
    except ValidationError:
        facts = [_read_one(each) for each in decisions]
    return [_with_edges(fact, each) for fact, each in zip(facts, decisions, strict=True)]


def _read_one(stated: object) -> SealedDecision | ValueError:
    try:
        return SealedDecision.model_validate_json(to_json(stated), strict=True)
    except ValidationError as error:
        return error


def _with_edges(fact: SealedDecision | ValueError, stated: Json) -> ReadDecision | ValueError:
    if isinstance(fact, ValueError):
        return fact
    try:
        return ReadDecision(fact, stated, stated_edges(fact))
    except ValueError as error:
        return error


def judged_edges(
    clear: DecidedReferral, read: ReadDecision, setting: RoutingInput, *, told_at: datetime
) -> dict[tuple[str, str], RoutedEdge]:
    """Decide again from the stated facts, and return the edges by (recipient, purpose).

    The statement must equal the result from its facts on the day of the message (`told_at`, the message's own time).
    This covers the disposition, its reason, each edge with its digest, and the removed edges. All edges must
    be stated, unless the fact gives a reason for missing ones. Success does not mean that the facts are true. Raises
    `Refused("decision_not_derived")`.
    """
    fact, edges, facts = read.fact, read.edges, read.stated["facts"]
    unknown = fact.work_reason if clear.disposition is Disposition.UNKNOWN_CODE else None
    if not all(map(facts.get, SINGLE_FACTS)):
        raise Refused("decision_not_derived", "a required fact is missing")
    try:
        check_facts(fact.facts, setting.directory)
    except Refused as error:
        raise Refused("decision_not_derived", error.detail) from None
    outcome = judge(facts, setting, salt=fact.salt, unknown=unknown)
    judged = {(edge.recipient, edge.terms.purpose): edge for edge in outcome.edges}
    stated = {(edge.recipient, edge.purpose): edge.digest for edge in edges}
    if len({edge.edge_id for edge in edges}) != len(edges) or len(stated) != len(edges):
        raise Refused("decision_not_derived", "an edge is stated twice")
    derived = fact.facts.origin == fact.origin and all(
        key in judged and judged[key].digest == digest for key, digest in stated.items()
    )
    # For an amended referral, unchanged edges were stated by an earlier fact.
    some = bool(fact.superseded) or fact.work_reason in _SENT_IN_PART or clear.revision > 1
    every = all(_may_wait(judged[key], setting) for key in judged.keys() - stated.keys())
    whole = given_up(fact) or ((some or every) and _concluded(clear, fact, outcome))
    if fact.decision.engine != ENGINE or not derived or not whole:
        raise Refused("decision_not_derived", "its facts lead to another decision")
    if not given_up(fact) and abs(fact.decision.decided_at - told_at) > TOLERANCE:
        raise Refused("decision_not_derived", "its time is not that of its message")
    return judged


def _may_wait(edge: RoutedEdge, setting: RoutingInput) -> bool:
    """Return whether a notice has a hold window. It is planned, and stated when it is issued."""
    party = setting.directory.party(edge.recipient)
    return edge.terms.hold_window_h is not None and party is not None and party.kind == PartyKind.INDUSTRY


def given_up(fact: SealedDecision) -> bool:
    """Return whether the fact states that no edge could be sent and a person must decide.

    If a repeated decision is given up, the fact states the first decision, at any age.
    """
    return fact.work_reason in _GIVEN_UP and not fact.edges and not fact.not_sent


def _concluded(clear: DecidedReferral, fact: SealedDecision, outcome: RoutingResult) -> bool:
    """Return whether the disposition, its reason and the removed edges are those that the facts lead to."""
    removed = {(each["recipient"], str(each["purpose"]), tuple(each["rules"])) for each in outcome.not_sent}
    stated = {(each.recipient, each.purpose.value, each.rules) for each in fact.not_sent}
    reasons = (outcome.work_reason, *_SENT_IN_PART)
    return clear.disposition == outcome.disposition and fact.work_reason in reasons and stated == removed


def clear_of_decided(stated: FactBody) -> Json:
    """Return the clear part of the fact: the referral, its revision and its disposition."""
    told = {"referral_id": str(stated.referral_id), "revision": stated.revision, "disposition": stated.disposition}
    return {_DECISIONS: [told]}


def sealed_of_decided(stated: FactBody) -> Json:
    """Return the sealed part of the fact, as JSON."""
    recipients = sorted({recipient for _, recipient, _, _ in stated.edges})
    place = {recipient: number for number, recipient in enumerate(recipients)}
    sealed: Json = {
        "origin": stated.origin,
        "body_sha256": stated.body_sha256,
        "decision": stated.decision,
        "salt": stated.salt,
        "facts": stated.facts,
        "recipients": recipients,
        "edges": [
            (to_base64url(edge_id.bytes), place[recipient], purpose, to_base64url(bytes.fromhex(digest)))
            for edge_id, recipient, purpose, digest in stated.edges
        ],
        "not_sent": stated.not_sent,
        "superseded": [str(edge_id) for edge_id in stated.superseded],
    }
    if stated.work_reason is not None:
        sealed["work_reason"] = stated.work_reason.value
    return {_DECISIONS: [sealed]}


def _recipient(fact: SealedDecision, place: int) -> str:
    if place >= len(fact.recipients):
        raise ValueError("no such recipient")
    return fact.recipients[place]
