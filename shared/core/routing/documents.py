"""The received documents: by digest, with their approvals, and the document in force at a time.

Two different approvers sign the kind, the digest and the activation time. Further approvals may use keys that are not
known here, or not yet. They count for nothing and do no harm.

A document heartbeat is signed by one key of the directory. It names the newest documents and puts nothing in force.

A recipient's check of an edge, from the data that it was sent and the public documents alone.
"""

from __future__ import annotations

import base64
from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic_core import from_json, to_json

from shared.core.canonical import JsonView, canonical_json, digest
from shared.core.clock import coarse, rfc3339
from shared.core.contracts.decision import DecisionRef
from shared.core.contracts.directory import Approval, Beat, Directory, DocumentActivated, SignedBeat, read_leniently
from shared.core.contracts.policy import Policy
from shared.core.errors import Refused, Unavailable
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.edition import DocumentVersion
from shared.core.routing.engine import ENGINE, RoutedEdge, RoutingInput, derive, unfit
from shared.core.routing.facts import ITEMS
from shared.core.routing.policy_index import CompiledRule, PolicyIndex
from shared.core.vocabulary.judgement import Tlp
from shared.core.vocabulary.jurisdiction import TREE

APPROVERS_MIN = 2


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """An approver's Ed25519 public key, 32 bytes.

    It is trusted by configuration, never because a document names it.
    """

    approver: str
    public: bytes


def approval_message(kind: str, document_digest: str, active_from: datetime) -> bytes:
    """Return the bytes that an approver signs.

    They include the time, so an approval cannot be moved to another day.
    """
    return f"causeway-document/v1\n{kind}\n{document_digest}\n{rfc3339(active_from)}\n".encode()


def verify_document(activated: DocumentActivated, body: bytes, approver_keys: Mapping[str, ApproverKey]) -> None:
    """Check that `body` is the document and that two different approvers signed it, by their keys' ids.

    Every approval by a known key must be valid, not just two. Approvals by other keys are ignored. Raises `Refused`. It
    does not check the content of the document.
    """
    if digest(body) != activated.digest:
        raise Refused("document_digest_mismatched", field="/digest")
    message = approval_message(activated.kind, activated.digest, activated.active_from)
    signers = [
        _signer(key, approval, message, field=f"/approvals/{position}")
        for position, approval in enumerate(activated.approvals)
        if (key := approver_keys.get(approval.key_id)) is not None
    ]
    # Names and keys are both counted: two keys of one approver, or one key under two names, are one approval.
    if min(len({signer.approver for signer in signers}), len({signer.public for signer in signers})) < APPROVERS_MIN:
        raise Refused("approvers_too_few", field="/approvals")


def beat_message(beat: Beat) -> bytes:
    """Return the bytes that the operator's key for document heartbeats signs."""
    return b"causeway-beat/v1\n" + canonical_json(beat.model_dump(mode="json"))


def verify_beat(signed: SignedBeat, directory: DirectoryIndex, now: datetime) -> None:
    """Check that a key of this directory signed the heartbeat and that it is not ahead of `now`.

    Raises `Refused`.
    """
    key = directory.beat_key(signed.key_id)
    if key is None or not key.valid_at(signed.beat.at):
        raise Refused("beat_key_unknown", field="/key_id")
    if signed.beat.at > now + TOLERANCE:
        raise Refused("beat_time_off", field="/beat/at")
    try:
        signature = base64.urlsafe_b64decode(signed.signature + "==")
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, beat_message(signed.beat))
    except (InvalidSignature, ValueError):
        raise Refused("beat_signature_invalid", field="/signature") from None


def _signer(key: ApproverKey, approval: Approval, message: bytes, *, field: str) -> ApproverKey:
    if key.approver != approval.approver:
        raise Refused("approver_unknown", field=field)
    try:
        signature = base64.urlsafe_b64decode(approval.signature + "==")
        if base64.urlsafe_b64encode(signature).decode().rstrip("=") != approval.signature:
            raise ValueError("another spelling of the same bytes")
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("approval_invalid", field=f"{field}/signature") from None
    return key


class Document(Protocol):
    digest: str
    edition: DocumentVersion


_Document = TypeVar("_Document", bound=Document)


class DocumentSeries(Generic[_Document]):
    """All documents of one kind.

    Each takes over at its activation, if its version is above the one in force.
    """

    def __init__(self) -> None:
        self._documents: dict[str, _Document] = {}
        #: (activation, version, digest), sorted, so the schedule does not depend on the order of arrival.
        self._activations: list[tuple[datetime, int, str]] = []
        #: The activations that took over, or will: their times and digests.
        self._begins: list[datetime] = []
        self._taken_over: list[str] = []

    def place(self, document: _Document, active_from: datetime) -> bool:
        """Put a document in force from `active_from`. A repeated call changes nothing.

        Return False if it never takes over, because its version or a later one is in force by then.
        """
        self._documents.setdefault(document.digest, document)
        activation = active_from, document.edition.version, document.digest
        if activation not in self._activations:
            insort(self._activations, activation)
            self._begins, self._taken_over, in_force = [], [], 0
            for when, version, placed in self._activations:
                if version > in_force:
                    in_force = version
                    self._begins.append(when)
                    self._taken_over.append(placed)
        return (active_from, document.digest) in zip(self._begins, self._taken_over, strict=True)

    @property
    def newest(self) -> int:
        """The highest version that has arrived, in force or not; 0 before the first."""
        return max((version for _, version, _ in self._activations), default=0)

    @property
    def first(self) -> datetime:
        """The first time at which a document is in force. Raises `Unavailable` if none has arrived."""
        if not self._begins:
            raise Unavailable("document_unknown")
        return self._begins[0]

    def has(self, document_digest: str) -> bool:
        """Return whether the document with that digest has arrived, in force or not."""
        return document_digest in self._documents

    def of(self, document_digest: str) -> _Document:
        """Return the document with that digest, whenever it is in force.

        Raises `Unavailable` if it is unknown.
        """
        document = self._documents.get(document_digest)
        if document is None:
            raise Unavailable("document_unknown")
        return document

    def active(self, at: datetime) -> _Document:
        """Return the document in force at `at`. Raises `Unavailable` before the first."""
        number = bisect_right(self._begins, at)
        if not number:
            raise Unavailable("document_unknown")
        return self._documents[self._taken_over[number - 1]]

    def get(self, document_digest: str, at: datetime) -> _Document:
        """Return the document, if it was in force within five minutes of `at`, the broker's time.

        The tolerance allows for different clocks. Raises `Unavailable` for an unknown digest, `Refused` for a document
        that was not in force then.
        """
        document = self._documents.get(document_digest)
        if document is None:
            raise Unavailable("document_unknown")
        for number, placed in enumerate(self._taken_over, 1):
            if placed == document_digest:
                begin, end = self._begins[number - 1], self._begins[number] if number < len(self._begins) else None
                ended = end is not None and (end <= begin or at - end >= TOLERANCE)
                if begin - at <= TOLERANCE and not ended:
                    return document
        raise Refused("document_lapsed")


class DocumentStore:
    """Directories and policies.

    The caller must verify the approvals of a document before (`verify_document`).
    """

    def __init__(self) -> None:
        self.directories: DocumentSeries[DirectoryIndex] = DocumentSeries()
        self.policies: DocumentSeries[PolicyIndex] = DocumentSeries()

    def place(self, activated: DocumentActivated, body: bytes) -> bool:
        """Store a document.

        Return False if it never takes over, since its version is not above the one in force. Raises `Refused` if `body`
        is not the approved document, or is invalid.
        """
        if digest(body) != activated.digest:
            raise Refused("document_digest_mismatched", field="/digest")
        if activated.kind == "directory":
            return self.directories.place(read_directory(body), activated.active_from)
        return self.policies.place(read_policy(body), activated.active_from)


def read_directory(body: bytes) -> DirectoryIndex:
    """Parse the directory whose exact bytes are `body`.

    Raises `Refused`, with the field, if it is invalid.
    """
    return DirectoryIndex(_valid(Directory, body), digest(body), TREE)


def read_policy(body: bytes) -> PolicyIndex:
    """Parse the policy whose exact bytes are `body`. Raises `Refused`, with the field, if it is invalid."""
    return PolicyIndex(_valid(Policy, body), digest(body), TREE)


def _valid(contract: type[Directory] | type[Policy], body: bytes) -> dict[str, object]:
    return read_leniently(contract, body).model_dump(mode="json", exclude_none=True)


#: Maximum distance of a document's activity from the broker's time, and of a message's time from its decision's.
TOLERANCE = timedelta(minutes=5)
#: Maximum time by which a decision may be ahead of the broker's time. Any earlier time is allowed.
AHEAD_MAX = timedelta(seconds=60)


#: The common data of a decision's edges is built once, for the few decisions whose messages are read now.
_setting: Final = lru_cache(maxsize=16)(RoutingInput)


def derive_edge(
    spelt: bytes,
    ref: DecisionRef,
    *,
    directory: DirectoryIndex,
    policy: PolicyIndex,
    exercise: bool,
    stated: JsonView | None = None,
) -> RoutedEdge:
    """Derive the edge again from its own facts alone.

    Raises `Refused` unless the result equals it, byte for byte. `spelt` is its JSON, which its contract has accepted.
    An edge has exactly one text, that of `RoutedEdge.as_json`. `stated` is the value that the caller has parsed from
    it. Success does not mean that the facts are true. It does not exclude further permits in the origin's complete
    facts, which the recipient does not see. Origin and audit hold the decision that binds them.
    """
    if (ref.directory, ref.policy) != (directory.digest, policy.digest):
        raise Refused("edge_not_reproducible", "not the documents of its decision", field="/decision")
    if ref.engine != ENGINE:
        raise Refused("engine_unknown", field="/decision/engine")
    derived = _derived(stated or from_json(spelt), _setting(directory, policy, exercise, ref.decided_at))
    if to_json(derived.as_json()) != spelt:
        raise Refused("edge_not_reproducible", "its facts lead to another edge")
    return derived


def check_time(
    spelt: bytes,
    ref: DecisionRef,
    broker_time: datetime,
    *,
    documents: tuple[DirectoryIndex, PolicyIndex],
    exercise: bool,
) -> None:
    """Check that the decision is not ahead of the broker's time and holds on the broker's day.

    The decision may be of any age. Raises `Refused("decision_time_off")`: the origin must decide again.
    """
    if ref.decided_at > broker_time + AHEAD_MAX:
        raise Refused("decision_time_off", "decided after the broker's time", field="/decision/decided_at")
    if ref.decided_at.date() == broker_time.date():
        return
    directory, policy = documents
    another = Refused("decision_time_off", "another edge on the broker's day", field="/decision/decided_at")
    try:
        stated = from_json(spelt)
        derived = _derived(stated, _setting(directory, policy, exercise, coarse(broker_time)))
    except Refused:
        raise another from None
    if to_json(derived.as_json() | {"digest": stated["digest"]}) != spelt:
        raise another  # only the digest may differ, because it covers the time


def _derived(stated: JsonView, setting: RoutingInput) -> RoutedEdge:
    """Return the edge that its own facts lead to at the setting's time. Raises `Refused`."""
    return derive(stated["facts"], setting, recipient_id=stated["recipient"], claimed=stated["rules"])


def check_onward(edge: JsonView, setting: RoutingInput, *, to: str) -> PartyEntry:
    """Return the party to which a holder may pass its edge on. `edge` is the holder's edge, as JSON.

    Raises `Refused`: `agency_unknown` if the party is unknown, or not another agency of the same status.
    `agency_not_entitled` if it does not accept this kind of report, the edge is TLP red, no law of the edge is in
    force, or a law prohibits it.
    """
    facts, holder = edge["facts"], edge["recipient"]
    directory, by = setting.directory, setting.directory.party(holder)
    other = directory.party(to)
    if by is None or other is None or other.id == holder or (other.kind, other.status) != (by.kind, by.status):
        raise Refused("agency_unknown", "no other agency of the directory", field="/agency")
    view = setting.view(facts)
    permits = [
        rule for name in edge["rules"] if (rule := setting.policy.permits.get(name)) and rule.in_force(view.days)
    ]
    if edge["handling"]["tlp"] == Tlp.RED or not permits or unfit(other, view) is not None:
        raise _not_entitled()
    plan = setting.policy.plan(view.standing(other), tuple(rule.order for rule in permits), view.days)
    if any(_unread(rule, facts) or rule.holds(view) for rule in plan.prohibitions):
        raise _not_entitled()
    return other


def _unread(rule: CompiledRule, facts: JsonView) -> bool:
    """Return whether a rule reads facts that the holder does not have. Then its result is unknown."""
    read = {*facts, *(name for item in facts.get(ITEMS, ()) for name in item)}
    return not rule.reads <= read


def _not_entitled() -> Refused:
    return Refused("agency_not_entitled", "the law does not allow passing it on", field="/agency")
