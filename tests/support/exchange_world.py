"""A small world: instances with keys, the sample documents in force, an origin, and records as Kafka holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import create_model

from deploy.directory.approval import document_body, sample_directory
from deploy.policy import sample_policy
from deploy.site.settings import party_kinds
from shared.catalog import CATALOG
from shared.core.acts.catalog import Catalog
from shared.core.canonical import canonical_json
from shared.core.clock import Clock
from shared.core.contracts.directory import Directory, FormerInstance, Instance, PublicKey
from shared.core.contracts.policy import Policy
from shared.core.contracts.referral import ReferralSubmission
from shared.core.contracts.registry import MessageType
from shared.core.envelope.headers import Envelope, decode_headers, encode_headers
from shared.core.envelope.keys import OpeningKey, SealingKey, SigningKey, VerifyKey
from shared.core.envelope.record_value import split_value
from shared.core.envelope.segment_sealing import GroupOpener, GroupSealer
from shared.core.protocol.accept import ReadingInstance
from shared.core.protocol.authority import inbox_topic, pairs_of
from shared.core.protocol.message import Addressing, Draft, Record
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.outgoing_messages import KnownEdge, StaleEdge
from shared.core.protocol.prepare import Documents, Prepared, prepare_again
from shared.core.protocol.read_capabilities import PeerReads
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.core.vocabulary.routing import PartyKind, PartyStatus
from shared.messaging.composition import RecipientKey
from shared.messaging.segments import Segment
from shared.messaging.streams import Pair
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.manual_clock import ManualClock
from tests.support.preparing import prepare
from tests.support.wire_records import Streams, Written, compose, compose_altered, verify, write_segment

INSTANCES = ("hotline", "law_enforcement", "industry", "audit")
#: The topic from the hotline to each instance, which most tests use; and all topics.
FROM_HOTLINE = {name: inbox_topic(name, "hotline") for name in INSTANCES}
TOPICS = tuple(pair.topic for pair in pairs_of(party_kinds({name: name for name in INSTANCES})))
SUSPENDED = "hotline-suspended.example"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AFTER = timedelta(days=400)


def grown(*messages: MessageType) -> Catalog:
    """Return the catalogue of a later release, which also reads these messages."""
    newer = [
        (each, [one for one in messages if one.name in {own.name for own in each.messages}])
        for each in CATALOG.features
    ]
    return Catalog(each._replace(messages=(*each.messages, *later)) for each, later in newer)


def next_version(message: MessageType) -> MessageType:
    """Return the next version of a message, which has one more optional member."""
    remark: Any = {"remark": (int | None, None)}
    clear = create_model(message.clear.__name__, __base__=message.clear, **remark)
    return replace(message, version=message.version + 1, clear=clear, earlier=message)


@dataclass(frozen=True, slots=True)
class Keys:
    """The signing and opening keys of one instance."""

    signing: SigningKey
    opening: OpeningKey

    def public(self) -> tuple[PublicKey, ...]:
        return public_key(self.signing.verify_key, "sign"), public_key(self.opening.sealing_key, "seal")


@dataclass
class World:
    """The inputs of `prepare` and `accept`, and the streams of all instances."""

    keys: Mapping[str, Keys]
    document: Directory
    policy: Policy
    at: datetime = AT
    shelf: DocumentStore = field(default_factory=DocumentStore)
    #: The message versions that instances have announced.
    reads: PeerReads = field(default_factory=PeerReads)
    streams: Streams = field(default_factory=Streams)
    #: The messages that the instances read.
    catalog: Catalog = CATALOG

    def __post_init__(self) -> None:
        self.place(self.document, SINCE)
        self.place(self.policy, SINCE)

    def anew(self) -> World:
        """Return this world without records. Its documents are not read again."""
        fresh = copy(self)
        fresh.streams = Streams()
        return fresh

    def later(self, *messages: MessageType) -> World:
        """Return this world as a later release reads it, with its records and documents."""
        fresh = copy(self)
        fresh.catalog = grown(*messages)
        return fresh

    def place(self, document: Directory | Policy, active_from: datetime) -> None:
        """Put a document in force."""
        body = document_body(document)
        if isinstance(document, Directory):
            self.shelf.directories.place(read_directory(body), active_from)
        else:
            self.shelf.policies.place(read_policy(body), active_from)

    @property
    def documents(self) -> Documents:
        return Documents(self.shelf.directories.active(self.at), self.shelf.policies.active(self.at), self.reads)

    def documents_at(self, at: datetime) -> Documents:
        """Return the documents that are in force at a time."""
        return Documents(self.shelf.directories.active(at), self.shelf.policies.active(at), self.reads)

    def reader(
        self, instance: str, *, opening_keys: Sequence[OpeningKey] = (), clock: Clock | None = None
    ) -> ReadingInstance:
        """Return the reading side of an instance. Without `clock`, its time is long after this world's records."""
        keys = opening_keys or [self.keys[instance].opening]
        return ReadingInstance(instance, self.shelf, keys, clock or ManualClock(self.at + LONG_AFTER), self.catalog)

    def prepared(self, origin: str = HOTLINE, **changes: Any) -> Prepared:
        """Return a referral that `origin` submitted: decided and ready to be sent."""
        party = self.documents.directory.party(origin)
        return prepare(submission(**changes), origin=party, documents=self.documents, at=self.at)

    def offered(self, recipient: str, **changes: Any) -> Draft:
        """Return the single draft of a newly prepared referral to `recipient`."""
        return next(each for each in self.prepared(**changes).drafts if each.recipient == recipient)

    def issued_anew(self, first: Prepared, recipient: str, answered: EdgeAnswer, *, restored: bool = False) -> Draft:
        """Issue the edge of `first` to `recipient` again, with its answers so far, to the recipient's present instance.

        `restored`: the recipient's database was restored and lacks the edge.
        """
        edge = next(each for each in first.emitted if each.recipient == recipient)
        origin = self.documents.directory.party(first.origin)
        known = KnownEdge(edge.edge_id, edge.notice_id, edge.instance, answered, restored=restored)
        stale = StaleEdge(edge.edge_id, edge.message_id, self.documents.law, self.at, 0, known)
        again = prepare_again(
            submission(),
            referral_id=first.referral_id,
            origin=origin,
            exercise=True,
            documents=self.documents,
            at=self.at,
            only={(recipient, edge.purpose): stale},
            body_sha256=first.body_sha256,
            traceparent=None,
        )
        return next(each for each in again.drafts if each.recipient == recipient)

    def place_key(self, instance: str, key_id: str, at: datetime) -> VerifyKey | None:
        """Return the key, if the instance might sign with it at `at`. In this world it may be any instance's key."""
        entry = self.shelf.directories.active(at).signing_key(key_id)
        is_own = entry is not None and entry.owner == instance and entry.valid_at(at)
        return VerifyKey(entry.public) if entry is not None and is_own else None

    def address(self, subject: UUID, sender: str, recipient: str, **more: Any) -> Addressing:
        """Return the addressing of an exercise's message that is composed now."""
        said: dict[str, Any] = {"exercise": True} | more
        return Addressing(
            subject=subject, sender=sender, recipient=recipient, directory=self.documents.directory, at=self.at, **said
        )

    def segments(
        self, drafts: Iterable[Draft], instance: str = "hotline", *, key: SigningKey | None = None
    ) -> list[Segment]:
        """Return the drafts as one transaction of `instance` places them: a segment for each stream."""
        signing = key or self.keys[instance].signing
        composed = compose(list(drafts), instance, key=signing, sealing_keys=self._sealing_key)
        return [self.streams.place(unplaced, self.at) for unplaced in composed]

    def written(
        self, drafts: Iterable[Draft], instance: str = "hotline", *, key: SigningKey | None = None
    ) -> list[Written]:
        """Return the records that the relay of `instance` appends for these drafts, proofs included."""
        signing = key or self.keys[instance].signing
        return [
            each for segment in self.segments(drafts, instance, key=key) for each in write_segment(segment, signing)
        ]

    def records(self, drafts: Iterable[Draft], instance: str = "hotline") -> list[Record]:
        """Return the drafts in their order, as recipients' `accept` gets them after `instance` has sent them."""
        together = list(drafts)
        by_id = {str(each.message_id).encode(): number for number, each in enumerate(together)}
        found = verify(self.written(together, instance), self.streams, at=self.at, keys=self.place_key)
        return sorted(found, key=lambda record: by_id[dict(record.headers)["ce_id"] or b""])

    def resigned(
        self,
        record: Record,
        *,
        key: SigningKey | None = None,
        instance: str = "hotline",
        clear: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        **attributes: Any,
    ) -> Record:
        """Return the record with other attributes or another value, signed again, as a hostile sender could make it.

        `instance` signs the place and `key` the content. A key that is not the instance's own proves no content.
        """
        value = record.value or b"" if body is None else body
        if clear is not None:
            before, sealed = split_value(value)
            value = canonical_json(merged(json.loads(before), clear)) + b"\n" + (sealed or b"")
        told = replace(decode_headers(record.headers, value).attributes, **attributes)
        pair = Pair(instance, record.topic.split(".")[2])
        unplaced = compose_altered(
            replace(record, key=told.subject.encode()),
            encode_headers(Envelope(told, value)),
            value,
            pair=pair,
            key=key or self.keys[instance].signing,
        )
        segment = Streams().place(unplaced, self.at)
        written = write_segment(segment, self.keys[instance].signing)
        (found,) = verify(written, self.streams, at=record.broker_time, keys=self.place_key)
        return replace(found, topic=record.topic, offset=record.offset, topic_id=record.topic_id)

    def _sealing_key(self, instance: str, _party: str) -> RecipientKey:
        entry = self.documents.directory.sealing_key(instance, self.at)
        return RecipientKey(SealingKey(entry.public))


def world(*, instances: Sequence[str] = INSTANCES) -> World:
    """Return the sample directory with a suspended hotline, and the sample policy, over fresh keys."""
    keys = {name: Keys(SigningKey.generate(), OpeningKey.generate()) for name in instances}
    document = with_suspended(sample_directory({name: each.public() for name, each in keys.items()}))
    return World(keys, document, sample_policy())


def move(here: World, party: str = HOTLINE, *, at: datetime = AT - timedelta(minutes=1)) -> Directory:
    """Let a second instance of its kind, with its own keys and database, serve the party from `at` on.

    Returns the directory that says so.
    """
    old = here.documents.directory.instance_of(party)
    new = f"{old.id}_two"
    here.keys = {**here.keys, new: Keys(SigningKey.generate(), OpeningKey.generate())}
    instance = Instance(id=new, kind=PartyKind(old.kind), keys=here.keys[new].public())
    before = (FormerInstance(instance=old.id, until=at.date()),)
    moved: dict[str, Any] = {"instance": new, "instances_before": before}
    parties = tuple(each.model_copy(update=moved) if each.id == party else each for each in here.document.parties)
    changes = {"version": 2, "instances": (*here.document.instances, instance), "parties": parties}
    document = here.document.model_copy(update=changes)
    here.place(document, at)
    return document


def with_suspended(document: Directory) -> Directory:
    """Return the directory with one more hotline, which is suspended."""
    hotline = next(party for party in document.parties if party.id == HOTLINE)
    suspended = hotline.model_copy(update={"id": SUSPENDED, "status": PartyStatus.SUSPENDED})
    return document.model_copy(update={"parties": (*document.parties, suspended)})


def public_key(
    key: VerifyKey | SealingKey, use: str, *, valid_from: datetime = SINCE, valid_to: datetime | None = None
) -> PublicKey:
    suite = "ed25519" if isinstance(key, VerifyKey) else key.suite
    return PublicKey(
        key_id=key.key_id, use=use, suite=suite, public=key.text(), valid_from=valid_from, valid_to=valid_to
    )


def submission(**changes: Any) -> ReferralSubmission:
    """Return a referral to a hotline, three agencies and a provider, with every kind of field that can be withheld."""
    return ReferralSubmission.model_validate_json(json.dumps(SUBMISSION | changes))


def told_to_audit(world: World, fact: Draft) -> dict[str, Any]:
    """Return the decision in a fact of one decision: its clear part, and its sealed part as audit opens it."""
    (told,), (sealed,) = decisions(fact.clear), decisions(opened(world, fact))
    return told | sealed


def decisions(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the decisions in a part of a decision fact."""
    return list(part["decisions"])


def opened(world: World, draft: Draft) -> dict[str, Any]:
    """Return the sealed part of a message, as the receiving instance opens it."""
    key = world.keys[draft.recipient_instance].opening
    sealer = GroupSealer(key.sealing_key)
    return json.loads(GroupOpener([key]).open(sealer.seal(draft.plaintext, draft.context), sealer.wrap, draft.context))


def merged(value: Any, changes: Any) -> Any:
    """Return `value` with the members of `changes` merged in, at any depth."""
    if not isinstance(value, dict) or not isinstance(changes, Mapping):
        return changes
    return value | {name: merged(value.get(name), change) for name, change in changes.items()}


def later(record: Record, delta: timedelta) -> Record:
    """Return the same record, appended by the broker later by `delta`."""
    return replace(record, broker_time=record.broker_time + delta)


#: Values that no clear part may contain: one for each kind of field that a rule can withhold.
LOCATION, ELSEWHERE = "https://images.example/gallery/17", "https://pages.example/thread/18"
ACCOUNT, EXTERNAL_REF, CORRELATION, MD5 = "user-4711@provider-001.example", "ref-2026-0815", "7654321", "0f" * 16
_ASSESSED = {"scheme": "interpol_baseline", "value": "baseline", "jurisdiction": "FR", "assessed_on": "2026-05-03"}
_ASSESSED |= {"status": "final"}
SUBMISSION: dict[str, Any] = {
    "external_ref": EXTERNAL_REF,
    "exercise": True,
    "incident_kind": "csam",
    "observed_at": "2026-05-03T08:00:00Z",
    "media_kind": "image",
    "viewed_by": "human",
    "items": [
        {
            "locator": {"kind": "url", "value": LOCATION},
            "hosting": [{"provider": PROVIDER, "jurisdiction": "NL", "method": "stated", "observed_on": "2026-05-03"}],
            "assessments": [_ASSESSED],
            "hashes": {"md5": MD5},
        },
        {"locator": {"kind": "url", "value": ELSEWHERE}},
    ],
    "user_jurisdictions": ["BE"],
    "victim_jurisdictions": ["FR"],
    "subject_accounts": [{"service": PROVIDER, "account": ACCOUNT, "events": []}],
    "correlations": [{"system": "iccam_report", "ref": CORRELATION}],
}
